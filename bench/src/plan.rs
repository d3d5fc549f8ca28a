//! The analytics that are measured.

use kinetic_api::{
    names,
    plan::{AnalyticKind, AnalyticPlan, OriginRule, SeriesMatch, SourcePlan, TopologyPlan},
    resources::topology::{Cluster, Persistence, Retention, SourceType, Stddev},
    statistic::Statistic,
};

pub const INTERVAL_MS: i64 = 10_000;

/// A source of statsd, and what is looked at: each an analytic's name, metrics, statistic and kind.
pub fn plan(analytics: Vec<(&str, &str, Statistic, AnalyticKind)>) -> TopologyPlan {
    let analytic = |(name, metric, statistic, kind): (&str, &str, _, _)| AnalyticPlan {
        name: name.into(),
        source: 0,
        matches: SeriesMatch { metric: metric.parse().expect("a glob may be any text"), tags: Vec::new() },
        statistic,
        ratio: None,
        change: None,
        persistence: Persistence::default(),
        kind,
    };
    TopologyPlan {
        name: "web".into(),
        customer: "shop".into(),
        sources: vec![SourcePlan {
            name: "pages".into(),
            stream: names::stream("web", "pages"),
            kind: SourceType::Statsd,
            profiles: vec!["web".into()],
            interval_ms: INTERVAL_MS,
            lateness_ms: INTERVAL_MS,
            retention: Retention::default(),
            origin: OriginRule::Header(names::ORIGIN_HEADER.into()),
        }],
        analytics: analytics.into_iter().map(analytic).collect(),
        partitions: 1,
    }
}

/// Every series among its peers, and against its own past.
pub fn two_analytics() -> TopologyPlan {
    plan(vec![
        ("odd-host", "**", Statistic::Mean, AnalyticKind::Cluster(Cluster::default())),
        ("odd-time", "**", Statistic::Mean, AnalyticKind::Stddev(Stddev::default())),
    ])
}
