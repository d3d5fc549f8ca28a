//! A message about a group to one receiver: all that its mail is composed of, but for the charts' data.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    group::{Phase, Reason},
    identity,
    incident::Facts,
};

/// The incidents that one message describes at most; the rest is counted.
pub const MAX_ENTRIES: usize = 50;

/// A message about a group to one receiver, as it was when it was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The customer.
    pub customer: String,
    /// The Topology.
    pub topology: String,
    /// The Alert.
    pub alert: String,
    /// The receiver's name.
    pub receiver: String,
    /// The receiver's addresses.
    pub to: Vec<String>,
    /// The receiver's template of the subject.
    pub subject_template: Option<String>,
    /// The receiver's template of the text.
    pub body_template: Option<String>,
    /// The group's id.
    pub group: String,
    /// What makes the incidents one group.
    pub labels: Vec<(String, String)>,
    /// The message's number within the group, from 1.
    pub sequence: u32,
    /// Why it is sent.
    pub reason: Reason,
    /// When it was decided, by the service's clock.
    pub at: Timestamp,
    /// The incidents: what is new first, the farthest off first, [`MAX_ENTRIES`] at most.
    pub entries: Vec<Entry>,
    /// How many incidents there are, described or not.
    pub counts: Counts,
    /// How many more found no room in the group.
    pub overflow: usize,
}

/// A group's incidents by what a message says of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Those that have begun.
    pub new: usize,
    /// Those that fire still.
    pub ongoing: usize,
    /// Those that are over.
    pub resolved: usize,
    /// Those that have begun and are over.
    pub passed: usize,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, phase: Phase) {
        *match phase {
            Phase::New => &mut self.new,
            Phase::Ongoing => &mut self.ongoing,
            Phase::Resolved => &mut self.resolved,
            Phase::Passed => &mut self.passed,
        } += 1;
    }

    /// How many fire.
    #[must_use]
    pub const fn firing(&self) -> usize {
        self.new + self.ongoing
    }

    /// How many are over.
    #[must_use]
    pub const fn over(&self) -> usize {
        self.resolved + self.passed
    }
}

/// An incident in a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What the message says of it.
    pub phase: Phase,
    /// The incident's id.
    pub incident: String,
    /// The analytic that found it.
    pub analytic: String,
    /// The series.
    pub series: String,
    /// The metric.
    pub metric: String,
    /// Who sent the series; empty for a whole source.
    pub origin: String,
    /// The start of the window in which it began.
    pub starts_at: Timestamp,
    /// The end of the window in which it was over.
    pub ends_at: Option<Timestamp>,
    /// What was found when it began.
    pub facts: Facts,
    /// What was found when it was over.
    pub resolution: Option<Facts>,
    /// The finding whose windows the chart shows.
    pub chart: String,
}

impl Notification {
    /// The part of the Message-ID before the `@`: the same however often it is sent.
    #[must_use]
    pub fn id(&self) -> String {
        self.numbered(self.sequence)
    }

    /// The same of the group's first message, which mail programs thread the later ones to.
    #[must_use]
    pub fn first_id(&self) -> String {
        self.numbered(1)
    }

    fn numbered(&self, sequence: u32) -> String {
        identity::notification(&self.customer, &self.alert, &self.receiver, &self.group, sequence)
    }

    /// How many incidents the message counts but does not describe.
    #[must_use]
    pub fn omitted(&self) -> usize {
        (self.counts.firing() + self.counts.over() + self.overflow).saturating_sub(self.entries.len())
    }
}
