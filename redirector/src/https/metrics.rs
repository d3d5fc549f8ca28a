//! What an HTTPS server counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// An HTTPS server's counters; clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct HttpsMetrics {
    pub(super) connections: Gauge,
    dropped: Family<Reason, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl HttpsMetrics {
    /// Adds `connections` and `dropped_connections` to a registry, whose prefix says of what.
    pub fn register(&self, registry: &mut Registry) {
        let Self { connections, dropped } = self.clone();
        registry.register("connections", "Connections that are open", connections);
        registry.register("dropped_connections", "Connections that led to no request, by reason", dropped);
    }

    pub(super) fn dropped(&self, reason: &'static str) {
        self.dropped.get_or_create(&Reason { reason }).inc();
    }
}
