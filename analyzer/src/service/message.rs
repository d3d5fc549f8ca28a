//! Between the bus and the engine: what of a message matters, and findings as messages.

use kinetic_api::{
    anomaly::Anomaly,
    names,
    plan::{OriginRule, SourcePlan},
};
use kinetic_bus::{HeaderValue, Message};

use crate::{engine::Input, window::hash::hash};

/// What the engine needs of a message.
pub(crate) fn input<'a>(source: &SourcePlan, message: &'a Message) -> Input<'a> {
    let origin = match &source.origin {
        OriginRule::Header(name) => name.as_str(),
        OriginRule::Tag(_) | OriginRule::Pattern { .. } => names::ORIGIN_HEADER,
    };
    Input {
        body: &message.body,
        routing_key: &message.routing_key,
        content_type: message.content_type.as_deref(),
        origin: match message.header(origin) {
            Some(HeaderValue::Text(text)) => Some(text),
            _ => None,
        },
        timestamp_in_ms: match message.header(names::TIMESTAMP_HEADER) {
            Some(HeaderValue::Int(ms)) => Some(*ms),
            #[allow(clippy::cast_possible_truncation, reason = "`as` saturates; no clock is near the bounds")]
            Some(HeaderValue::Float(ms)) => Some(*ms as i64),
            Some(HeaderValue::Text(text)) => text.parse().ok(),
            _ => None,
        },
        timestamp: message.timestamp,
    }
}

/// A finding as a message: a `CloudEvents` event in JSON's structured mode.
pub(super) fn event(anomaly: &Anomaly) -> Message {
    Message {
        routing_key: format!("{}.{}", anomaly.data.topology, anomaly.data.analytic),
        content_type: Some(names::CLOUDEVENT_CONTENT_TYPE.into()),
        message_id: Some(anomaly.id.clone()),
        body: serde_json::to_vec(anomaly)
            .expect("a finding holds text and finite numbers, which JSON can carry")
            .into(),
        ..Message::default()
    }
}

/// A hash of what tells a message from others: where, who, when, what. Kept in checkpoints: it must not change.
pub(super) fn digest(message: &Message) -> u64 {
    let id = message.message_id.as_deref().unwrap_or_default();
    let time = message.timestamp.unwrap_or_default();
    hash(hash(hash(time, message.routing_key.as_bytes()), id.as_bytes()), &message.body)
}
