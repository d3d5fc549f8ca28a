//! What the intakes' tests publish to: a bus in this process with one stream.

use std::time::Duration;

use kinetic_api::names::METRICS_EXCHANGE;
use kinetic_bus::{
    Binding, Bus, Declaration, Exchange, ExchangeKind, Queue, QueueKind, Retention, StreamOffset,
    StreamReader,
};

const STREAM: &str = "kinetic.metrics.web.source";

/// A bus with one stream, bound by `binding`, and its reader.
pub(crate) async fn bus(binding: &str) -> (Bus, StreamReader) {
    let bus = Bus::local();
    let retention = Retention { age: Duration::from_hours(1), bytes: 1 << 30 };
    bus.declare(&Declaration {
        exchanges: vec![Exchange { name: METRICS_EXCHANGE.into(), kind: ExchangeKind::Topic }],
        queues: vec![Queue {
            name: STREAM.into(),
            kind: QueueKind::Stream { segment_bytes: 1 << 20, retention },
        }],
        bindings: vec![Binding {
            exchange: METRICS_EXCHANGE.into(),
            queue: STREAM.into(),
            routing_key: binding.into(),
        }],
    })
    .await
    .unwrap();
    let reader = bus.read_stream(STREAM, StreamOffset::First).await.unwrap();
    (bus, reader)
}
