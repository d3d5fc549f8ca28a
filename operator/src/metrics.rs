//! What the operator tells of itself.

use kinetic_enroll::SignerMetrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Its metrics; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// 1 while it holds the Lease.
    pub leads: Gauge,
    /// How far the authority's replacement is: 0 where there is none, 1 while a new one is trusted, 2 while the new one issues and both are trusted.
    pub ca_stage: Gauge,
    /// What the signer tells.
    pub signer: SignerMetrics,
    reconciles: Family<Reconcile, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconcile {
    kind: &'static str,
    result: &'static str,
}

impl Metrics {
    /// Makes them visible.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "kinetic_operator_leads",
            "1 on the instance that holds the Lease and acts",
            self.leads.clone(),
        );
        registry.register(
            "kinetic_operator_ca_stage",
            "How far the authority's replacement is: 0 none is under way, 1 a new one is trusted, 2 it issues and both are trusted",
            self.ca_stage.clone(),
        );
        self.signer.register(registry);
        registry.register(
            "kinetic_operator_reconciles",
            "Times that an object was compared with what is there, and brought to where it should be",
            self.reconciles.clone(),
        );
    }

    /// An object was looked at.
    pub(crate) fn reconciled(&self, kind: &'static str, good: bool) {
        let result = if good { "ok" } else { "failed" };
        self.reconciles.get_or_create(&Reconcile { kind, result }).inc();
    }
}
