//! The plan that tests start from: source "pages" of acme's topology "web", ten-second windows.

use kinetic_api::{
    plan::{AnalyticKind, AnalyticPlan, OriginRule, SeriesMatch, SourcePlan, TopologyPlan},
    resources::topology::{Persistence, Retention, SourceType},
    statistic::Statistic,
};

pub const INTERVAL_MS: i64 = 10_000;

/// statsd of the profile `web`, one interval late at most.
pub fn source() -> SourcePlan {
    SourcePlan {
        name: "pages".into(),
        stream: "kinetic.metrics.web.pages".into(),
        kind: SourceType::Statsd,
        profiles: vec!["web".into()],
        interval_ms: INTERVAL_MS,
        lateness_ms: INTERVAL_MS,
        retention: Retention::default(),
        origin: OriginRule::Header("origin".into()),
    }
}

/// The mean of what `metric` matches, at the default persistence.
pub fn analytic(name: &str, metric: &str, kind: AnalyticKind) -> AnalyticPlan {
    AnalyticPlan {
        name: name.into(),
        source: 0,
        matches: SeriesMatch { metric: metric.parse().unwrap(), tags: Vec::new() },
        statistic: Statistic::Mean,
        ratio: None,
        change: None,
        persistence: Persistence::default(),
        kind,
    }
}

/// These analytics of [`source`], in one partition.
pub fn topology(analytics: Vec<AnalyticPlan>) -> TopologyPlan {
    TopologyPlan {
        name: "web".into(),
        customer: "acme".into(),
        sources: vec![source()],
        analytics,
        partitions: 1,
    }
}
