//! Which edits change what an analytic is, and which only how it judges.

use std::mem::discriminant;

use kinetic_api::plan::{AnalyticKind, AnalyticPlan, RatioPlan, SourcePlan};

/// Whether an edited analytic can go on with what is known so far: same name, kind, series, statistic, ratio, change and groups. What remains
/// (deviations, directions, floors, centres, baselines, thresholds, persistence, patience, least denominators) only judges otherwise from now on.
#[must_use]
pub fn fits(before: &AnalyticPlan, after: &AnalyticPlan) -> bool {
    let same_kind = match (&before.kind, &after.kind) {
        (AnalyticKind::Cluster(a), AnalyticKind::Cluster(b)) => a.group_by == b.group_by,
        (AnalyticKind::Absence { of: a, .. }, AnalyticKind::Absence { of: b, .. }) => a == b,
        (a, b) => discriminant(a) == discriminant(b),
    };
    same_kind
        && before.name == after.name
        && before.matches == after.matches
        && before.statistic == after.statistic
        && before.change == after.change
        && same_ratio(before.ratio.as_ref(), after.ratio.as_ref())
}

/// Whether the same series are divided by the same: the least that is divided by only judges.
fn same_ratio(before: Option<&RatioPlan>, after: Option<&RatioPlan>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => {
            *after == RatioPlan { min_denominator: after.min_denominator, ..before.clone() }
        }
        (before, after) => before.is_none() && after.is_none(),
    }
}

/// Whether an edited source still yields the same windows of the same series. Its lateness, profiles and retention decide what
/// is read from now on, not what was.
#[must_use]
pub fn same_windows(before: &SourcePlan, after: &SourcePlan) -> bool {
    before.name == after.name
        && before.kind == after.kind
        && before.interval_ms == after.interval_ms
        && before.origin == after.origin
}
