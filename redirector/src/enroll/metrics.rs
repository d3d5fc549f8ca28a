//! What the intake counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The intake's counters; clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct IntakeMetrics {
    requests: Family<Answered, Counter>,
    pub(super) connections: Gauge,
    dropped: Family<Reason, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl IntakeMetrics {
    /// Adds them to a registry, as `kinetic_enrollment_*`.
    pub fn register(&self, registry: &mut Registry) {
        let enrollment = registry.sub_registry_with_prefix("kinetic_enrollment");
        let Self { requests, connections, dropped } = self.clone();
        enrollment.register("requests", "Requests answered, by route and what came of them", requests);
        enrollment.register("connections", "Connections that are open", connections);
        enrollment.register("dropped_connections", "Connections that led to no request, by reason", dropped);
    }

    pub(super) fn answered(&self, route: &'static str, result: &'static str) {
        self.requests.get_or_create(&Answered { route, result }).inc();
    }

    pub(super) fn dropped(&self, reason: &'static str) {
        self.dropped.get_or_create(&Reason { reason }).inc();
    }
}
