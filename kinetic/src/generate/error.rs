//! What can go wrong with generating. Each text says all, so no variant has a `source` that would say it again.

use std::{io, path::PathBuf};

use kinetic_bus::BusError;

/// Why the traffic did not get out.
#[derive(Debug, thiserror::Error)]
pub(super) enum GenerateError {
    /// The lines could not be written.
    #[error("--out {}: {reason}", path.display())]
    Write { path: PathBuf, reason: io::Error },

    /// The truth could not be written.
    #[error("--truth {}: {reason}", path.display())]
    Truth { path: PathBuf, reason: io::Error },

    /// The statsd address leads nowhere.
    #[error("--statsd {addr}: {reason}; write HOST:PORT, such as 127.0.0.1:8125")]
    Address { addr: String, reason: io::Error },

    /// The broker's address is not one.
    #[error("--amqp: {reason}; write amqp://user:password@host:port/vhost")]
    AmqpUrl { reason: String },

    /// No stream takes the messages.
    #[error(
        "{place}: no source takes messages with profile {profile} yet; start kinetic run --amqp URL -f PATH first, \
         which declares the streams of your Topologies, and check that the vhost is {{region}}.{{provider}}.{{customer}}"
    )]
    Nobody { place: String, profile: String },

    /// The broker did not confirm what was sent.
    #[error("{place}: messages still unconfirmed after {seconds} s; some may be lost")]
    Unconfirmed { place: String, seconds: u64 },

    /// The broker refused.
    #[error("--amqp: {0}")]
    Bus(BusError),
}

impl From<BusError> for GenerateError {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}
