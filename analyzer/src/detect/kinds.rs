//! The kinds of analytics. A further one is one more file and one more line here.

use kinetic_api::plan::{AnalyticKind, AnalyticPlan};

use super::{
    absence, analysis::Analysis, cluster::ClusterAnalysis, stddev::StddevAnalysis,
    threshold::ThresholdAnalysis,
};

/// The analytic that a plan describes, for windows of this many milliseconds.
#[must_use]
pub fn new(plan: &AnalyticPlan, interval_ms: i64) -> Box<dyn Analysis> {
    match &plan.kind {
        AnalyticKind::Cluster(cluster) => Box::new(ClusterAnalysis::new(plan, cluster, interval_ms)),
        AnalyticKind::Stddev(stddev) => Box::new(StddevAnalysis::new(plan, stddev, interval_ms)),
        AnalyticKind::Threshold(rule) => Box::new(ThresholdAnalysis::new(plan, *rule)),
        AnalyticKind::Absence { after_ms, of } => absence::new(plan, *after_ms, *of, interval_ms),
    }
}
