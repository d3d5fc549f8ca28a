//! Which findings an Alert is about, and which group they belong to.

use kinetic_api::{
    anomaly::Finding,
    plan::{AlertPlan, GroupKey},
};

/// Whether an Alert makes an incident of this finding: every condition that it gives holds.
///
/// Only for findings that begin: what ends an incident is told by its series and analytic alone, since a feed that is back
/// among its peers has a low score.
#[must_use]
pub fn matches(plan: &AlertPlan, finding: &Finding) -> bool {
    let named = |names: &[String], name: &str| names.is_empty() || names.iter().any(|n| n == name);
    plan.topology == finding.topology
        && named(&plan.analytics, &finding.analytic)
        && named(&plan.sources, &finding.metrics_source)
        && (finding.profiles.is_empty()
            || plan.profiles.is_empty()
            || finding.profiles.iter().any(|profile| plan.profiles.contains(profile)))
        && (plan.origins.is_empty() || plan.origins.iter().any(|glob| glob.matches(&finding.origin)))
        && finding.score.abs() >= plan.min_score
}

/// What a finding's group is called: the properties that the Alert groups by, in its order, with the finding's values. A tag
/// that the series lacks has an empty value.
#[must_use]
pub fn group_labels(group_by: &[GroupKey], finding: &Finding) -> Vec<(String, String)> {
    let value = |key: &GroupKey| match key {
        GroupKey::Analytic => finding.analytic.clone(),
        GroupKey::Metric => finding.metric.clone(),
        GroupKey::Origin => finding.origin.clone(),
        GroupKey::Source => finding.metrics_source.clone(),
        GroupKey::Tag(tag) => finding
            .tags
            .iter()
            .find(|(key, _)| key == tag)
            .map(|(_, value)| value.clone())
            .unwrap_or_default(),
    };
    group_by.iter().map(|key| (key.to_string(), value(key))).collect()
}

#[cfg(test)]
mod tests {
    use kinetic_api::glob::Glob;

    use super::*;
    use crate::fixture;

    #[test]
    fn every_condition_counts() {
        type Case = (&'static str, fn(&mut AlertPlan), bool);
        let finding = fixture::finding();
        let cases: [Case; 13] = [
            ("empty matches all", |_| {}, true),
            ("another topology", |p| p.topology = "db".into(), false),
            ("its analytic", |p| p.analytics = vec!["full".into(), "slow-host".into()], true),
            ("another analytic", |p| p.analytics = vec!["full".into()], false),
            ("its source", |p| p.sources = vec!["pages".into()], true),
            ("another source", |p| p.sources = vec!["hosts".into()], false),
            ("its profile", |p| p.profiles = vec!["web".into()], true),
            ("another profile", |p| p.profiles = vec!["db".into()], false),
            ("its origin", |p| p.origins = vec![Glob::flat("db-*"), Glob::flat("web-*")], true),
            ("another origin", |p| p.origins = vec![Glob::flat("db-*")], false),
            ("on the line", |p| p.min_score = 1.325, true),
            ("below the line", |p| p.min_score = 1.4, false),
            ("inactive still matches", |p| p.active = false, true),
        ];
        for (name, change, expected) in cases {
            let mut plan = fixture::plan();
            change(&mut plan);
            assert_eq!(matches(&plan, &finding), expected, "{name}");
        }
    }

    #[test]
    fn a_source_that_all_profiles_feed_fits_every_profile() {
        let mut plan = fixture::plan();
        plan.profiles = vec!["db".into()];
        let mut finding = fixture::finding();
        finding.profiles.clear();
        assert!(matches(&plan, &finding));
    }

    #[test]
    fn below_the_band_scores_as_well() {
        let mut plan = fixture::plan();
        plan.min_score = 1.0;
        let mut finding = fixture::finding();
        finding.score = -1.3;
        assert!(matches(&plan, &finding));
    }

    #[test]
    fn labels_follow_the_order_and_miss_nothing() {
        let keys = [
            GroupKey::Tag("env".into()),
            GroupKey::Tag("rack".into()),
            GroupKey::Origin,
            GroupKey::Metric,
            GroupKey::Source,
            GroupKey::Analytic,
        ];
        let labels = group_labels(&keys, &fixture::finding());
        let labels: Vec<_> = labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            labels,
            [
                ("tag:env", "prod"),
                ("tag:rack", ""),
                ("origin", "web-3"),
                ("metric", "page.checkout.time"),
                ("source", "pages"),
                ("analytic", "slow-host"),
            ]
        );
        assert!(group_labels(&[], &fixture::finding()).is_empty());
    }
}
