//! What the signer counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::audit::Event;

/// The signer's counters; clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct SignerMetrics {
    decisions: Family<Decided, Counter>,
    pub(crate) errors: Counter,
    pub(crate) pending: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    decision: &'static str,
}

impl SignerMetrics {
    /// Adds them to a registry, as `kinetic_enrollment_*`.
    pub fn register(&self, registry: &mut Registry) {
        let enrollment = registry.sub_registry_with_prefix("kinetic_enrollment");
        let Self { decisions, errors, pending } = self.clone();
        enrollment.register("decisions", "Requests that were issued, renewed, denied, or expired", decisions);
        enrollment.register(
            "signer_errors",
            "Requests that could not be decided or written, each time",
            errors,
        );
        enrollment.register("pending", "Requests that wait for a decision", pending);
    }

    pub(crate) fn decided(&self, event: Event) {
        self.decisions.get_or_create(&Decided { decision: event.as_str() }).inc();
    }

    /// How many requests ended so.
    #[must_use]
    pub fn decisions(&self, event: Event) -> u64 {
        self.decisions.get_or_create(&Decided { decision: event.as_str() }).get()
    }
}
