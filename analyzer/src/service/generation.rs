//! What a source's state was made by.

use kinetic_api::plan::{AnalyticPlan, SourcePlan, TopologyPlan};

use crate::window::hash::hash;

const SEED: u64 = 0x6765_6e65_7261_7469;

/// A hash of all that decides what is found in a source: how it becomes windows, and the analytics that look at it. A state that was made
/// by others is of no use.
pub(super) fn generation(plan: &TopologyPlan, source: usize) -> u64 {
    let SourcePlan { kind, profiles, interval_ms, lateness_ms, origin, .. } = &plan.sources[source];
    let analytics: Vec<_> = plan
        .analytics
        .iter()
        .filter(|analytic| analytic.source == source)
        // Its place among the sources may change, and means nothing.
        .map(|analytic| AnalyticPlan { source: 0, ..analytic.clone() })
        .collect();
    let all = format!("{:?} {analytics:?}", (kind, profiles, interval_ms, lateness_ms, origin));
    hash(SEED, all.as_bytes())
}
