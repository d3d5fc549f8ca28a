//! What happens, for whoever watches: the terminal of `kinetic run`, metrics.

use jiff::Timestamp;

use crate::{
    group::Reason,
    incident::{Facts, Silence},
};

/// Something happened, and is recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum IncidentEvent {
    /// An incident has begun.
    Opened(Subject),
    /// An incident is over.
    Resolved(Subject),
    /// People are to be told of a group: the message is in the outbox.
    Decided {
        /// The customer.
        customer: String,
        /// The Alert.
        alert: String,
        /// The receiver.
        receiver: String,
        /// Why.
        reason: Reason,
        /// How many incidents of the group fire.
        firing: usize,
        /// How many are over.
        resolved: usize,
    },
    /// A message was delivered to a recipient.
    Delivered {
        /// The customer.
        customer: String,
        /// The Alert.
        alert: String,
        /// The receiver.
        receiver: String,
        /// The recipient.
        recipient: String,
        /// The mail's subject.
        subject: String,
        /// Where it went: the server's host and port, or the file's path.
        to: String,
    },
    /// A message was refused for good.
    Refused {
        /// The customer.
        customer: String,
        /// The Alert.
        alert: String,
        /// The receiver.
        receiver: String,
        /// The recipient.
        recipient: String,
        /// The server's text.
        reply: String,
    },
    /// An attempt to deliver a message failed: it is tried again.
    Delayed {
        /// The customer.
        customer: String,
        /// The Alert.
        alert: String,
        /// The receiver.
        receiver: String,
        /// The recipient.
        recipient: String,
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt met.
        error: String,
    },
    /// Messages were dropped, since too many waited for a receiver.
    Dropped {
        /// `customer/alert/receiver`.
        lane: String,
        /// How many.
        count: u64,
    },
}

/// The incident that an event is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// The incident's id.
    pub incident: String,
    /// The customer.
    pub customer: String,
    /// The Topology.
    pub topology: String,
    /// The Alert.
    pub alert: String,
    /// The analytic.
    pub analytic: String,
    /// The series.
    pub series: String,
    /// The metric.
    pub metric: String,
    /// Who sent the series.
    pub origin: String,
    /// The end of the window in which it happened.
    pub at: Timestamp,
    /// Why nobody is told, if so.
    pub silence: Option<Silence>,
    /// What was found.
    pub facts: Facts,
}
