//! What makes a message of a batch.

use bytes::Bytes;
use kinetic_api::names;
use kinetic_bus::{HeaderValue, Message};

use super::protocol::Protocol;

/// What a message says beside its lines (DESIGN.md, "Messages"; the id and the time by its rule 8).
#[derive(Debug)]
pub(crate) struct Stamp<'a> {
    pub(crate) profile: &'a str,
    pub(crate) instance: &'a str,
    pub(crate) sequence: u64,
    pub(crate) origin: String,
    pub(crate) arrived_ms: i64,
}

impl Stamp<'_> {
    pub(crate) fn message(self, protocol: &Protocol, body: Bytes) -> Message {
        let Self { profile, instance, sequence, origin, arrived_ms } = self;
        Message {
            routing_key: names::metrics(protocol.name, profile, &origin),
            headers: vec![
                (names::ORIGIN_HEADER.to_owned(), HeaderValue::Text(origin)),
                (names::TIMESTAMP_HEADER.to_owned(), HeaderValue::Int(arrived_ms)),
            ],
            content_type: Some(protocol.content_type.to_owned()),
            message_id: Some(format!("{instance}-{sequence}")),
            body,
            ..Message::default()
        }
    }
}
