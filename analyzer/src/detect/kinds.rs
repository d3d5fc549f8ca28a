//! The kinds of analytics. A further one is one more file and one more line here.

use kinetic_api::{
    plan::{AnalyticKind, AnalyticPlan},
    statistic::Statistic,
};

use super::{
    absence, analysis::Analysis, cluster::ClusterAnalysis, stddev::StddevAnalysis,
    threshold::ThresholdAnalysis,
};
use crate::window::Needs;

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

/// What it needs of the windows: where a mean is held against others, also how sure it is.
#[must_use]
pub fn needs(plan: &AnalyticPlan) -> Needs {
    let needs = Needs::of(plan.statistic);
    match plan.kind {
        AnalyticKind::Cluster(_) | AnalyticKind::Stddev(_) if plan.statistic == Statistic::Mean => {
            Needs { moments: true, ..needs }
        }
        _ => needs,
    }
}
