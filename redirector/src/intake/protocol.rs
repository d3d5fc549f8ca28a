//! What an intake speaks.

use kinetic_api::names;

/// What an intake speaks, as routing keys, messages and errors call it.
#[derive(Debug)]
pub(super) struct Protocol {
    /// The first word of the routing key.
    pub(super) name: &'static str,
    /// The content type of the messages.
    pub(super) content_type: &'static str,
}

/// Lines, gathered by their sender.
pub(super) const STATSD: Protocol = Protocol { name: "statsd", content_type: names::STATSD_CONTENT_TYPE };

/// Packets, each a message of its own.
pub(super) const COLLECTD: Protocol =
    Protocol { name: "collectd", content_type: names::COLLECTD_NETWORK_CONTENT_TYPE };
