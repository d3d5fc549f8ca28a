//! Incidents: groups, delivers, retries, remembers.
//!
//! A finding goes through the rooms in this order: `intake` takes it from the bus, `store` records it with the incidents that
//! [`matching`] makes of it, the timers of their [`group`]s and the messages that are due, in one transaction, before the bus
//! hears that it was taken; `delivery` hands what waits to a mail server or a folder, composed by `mail` with a `chart`.

pub mod event;
pub mod group;
pub mod incident;
pub mod matching;
pub mod notification;

mod chart;
mod clock;
mod delivery;
mod error;
mod identity;
mod intake;
mod mail;
mod metrics;
mod plans;
mod service;
mod store;
mod wake;

#[cfg(test)]
mod fixture;

pub use clock::Clock;
pub use delivery::{MailTransport, SmtpUrl, SmtpUrlError};
pub use error::AlertError;
pub use event::IncidentEvent;
pub use incident::{DeliveryState, Incident};
pub use service::{AlertConfig, AlertService, FlushReport};
pub use store::History;
