//! What an intake speaks.

use kinetic_api::names;

/// What an intake speaks, as routing keys, messages and errors call it.
#[derive(Debug)]
pub(crate) struct Protocol {
    /// The first word of the routing key.
    pub(crate) name: &'static str,
    /// The content type of the messages.
    pub(crate) content_type: &'static str,
}

/// Lines, gathered by their sender.
pub(crate) const STATSD: Protocol = Protocol { name: "statsd", content_type: names::STATSD_CONTENT_TYPE };

/// Packets, each a message of its own.
pub(crate) const COLLECTD: Protocol =
    Protocol { name: "collectd", content_type: names::COLLECTD_NETWORK_CONTENT_TYPE };
