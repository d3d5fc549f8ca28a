//! What a vhost needs: declared by whoever runs a role, or by the operator over the broker's HTTP interface.

use kinetic_api::{
    names,
    plan::{SourcePlan, TopologyPlan},
};

use crate::{Binding, Declaration, Exchange, ExchangeKind, Queue, QueueKind, Retention};

/// The exchange that clients publish to, and each source's stream with its bindings: the profiles' messages and its ticks.
#[must_use]
pub fn topology(plan: &TopologyPlan) -> Declaration {
    let mut declaration = anomalies();
    declaration.exchanges.push(topic(names::METRICS_EXCHANGE));
    declaration.merge(&streams(plan));
    declaration
}

/// What every customer has before there is a Topology: all exchanges, and the queue of findings.
#[must_use]
pub fn customer() -> Declaration {
    let mut declaration = anomalies();
    declaration.exchanges.push(topic(names::METRICS_EXCHANGE));
    declaration.merge(&control());
    declaration
}

/// What a Topology adds to that: each source's stream with its bindings.
#[must_use]
pub fn streams(plan: &TopologyPlan) -> Declaration {
    let mut declaration = Declaration::default();
    for source in &plan.sources {
        declaration.queues.push(Queue { name: source.stream.clone(), kind: stream(source) });
        let profiles = source.profiles.iter().map(|p| Some(p.as_str()));
        let all = source.profiles.is_empty().then_some(None);
        let messages = profiles.chain(all).map(|p| names::metrics_binding(source.kind.as_str(), p));
        for routing_key in messages.chain([names::tick(&plan.name, &source.name)]) {
            declaration.bindings.push(Binding {
                exchange: names::METRICS_EXCHANGE.into(),
                queue: source.stream.clone(),
                routing_key,
            });
        }
    }
    declaration
}

/// The exchange that findings are published to, and the queue that the alert service takes them from: declared by both sides, so that no
/// finding is published before there is a queue to keep it.
#[must_use]
pub fn anomalies() -> Declaration {
    Declaration {
        exchanges: vec![topic(names::ANOMALIES_EXCHANGE)],
        queues: vec![Queue {
            name: names::ANOMALIES_QUEUE.into(),
            kind: QueueKind::Quorum { max_length: names::ANOMALIES_MAX_LENGTH },
        }],
        bindings: vec![Binding {
            exchange: names::ANOMALIES_EXCHANGE.into(),
            queue: names::ANOMALIES_QUEUE.into(),
            routing_key: "#".into(),
        }],
    }
}

/// The exchanges over which analyzers are asked, answer, and tell what has changed.
#[must_use]
pub fn control() -> Declaration {
    let exchange = |name: &str, kind| Exchange { name: name.into(), kind };
    Declaration {
        exchanges: vec![
            topic(names::CONTROL_EXCHANGE),
            exchange(names::REPLIES_EXCHANGE, ExchangeKind::Direct),
            exchange(names::CONFIG_EXCHANGE, ExchangeKind::Fanout),
        ],
        ..Declaration::default()
    }
}

fn topic(name: &str) -> Exchange {
    Exchange { name: name.into(), kind: ExchangeKind::Topic }
}

fn stream(source: &SourcePlan) -> QueueKind {
    let bytes = source.retention.size.get();
    QueueKind::Stream {
        segment_bytes: names::segment_bytes(bytes),
        retention: Retention { age: source.retention.age.std(), bytes },
    }
}
