//! What the intake counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::https::HttpsMetrics;

/// The intake's counters; clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct IntakeMetrics {
    requests: Family<Answered, Counter>,
    pub(super) https: HttpsMetrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    result: &'static str,
}

impl IntakeMetrics {
    /// Adds them to a registry, as `kinetic_enrollment_*`.
    pub fn register(&self, registry: &mut Registry) {
        let enrollment = registry.sub_registry_with_prefix("kinetic_enrollment");
        let requests = self.requests.clone();
        enrollment.register("requests", "Requests answered, by route and what came of them", requests);
        self.https.register(enrollment);
    }

    pub(super) fn answered(&self, route: &'static str, result: &'static str) {
        self.requests.get_or_create(&Answered { route, result }).inc();
    }
}
