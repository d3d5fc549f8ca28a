//! What plans refuse, by field, and what they make of the rest.

#![allow(clippy::unwrap_used, reason = "a test that fails there says so")]

use kinetic_api::{
    plan::{AlertPlan, AnalyticKind, GroupKey, OriginRule, Problem, ThresholdRule, TopologyPlan},
    resources::{
        Alert, Topology,
        topology::{AbsenceOf, Change, SourceType},
    },
    statistic::Statistic,
};

const TOPOLOGY: &str = "
apiVersion: kinetic.dev/v1alpha1
kind: Topology
metadata: {name: web}
spec:
  customer: acme
  sources:
    - {name: pages, type: statsd, profiles: [web], interval: 5s, lateness: 2s, origin: {pattern: 'servers.{origin}.**'}}
    - {name: other, type: statsd}
  analytics:
    - {name: slow, source: pages, match: {metric: 'page.*.time', tags: {env: 'prod-*'}}, cluster: {}}
    - {name: odd, source: other, match: {metric: '**'}, statistic: p95, stddev: {baseline: 1h}}
    - {name: full, source: other, match: {metric: '**'}, statistic: last, threshold: {above: 90, clearBelow: 85}}
    - {name: empty, source: other, match: {metric: '**'}, threshold: {below: 5}}
    - {name: silent, source: other, match: {metric: '**'}, absence: {after: 1m, of: Source}}
    - {name: errors, source: other, match: {metric: 'page.*.errors'}, statistic: sum, ratio: {denominator: 'page.*.requests', minDenominator: 20, ignoreTags: [status]}, change: PerSecond, stddev: {}}
";

const ALERT: &str = "
apiVersion: kinetic.dev/v1alpha1
kind: Alert
metadata: {name: checkout}
spec:
  topology: web
  match: {analytics: [slow], origins: ['web-*'], minScore: 1.5}
  groupBy: [analytic, metric, origin, source, 'tag:env']
  groupWait: 5s
  receivers:
    - {name: oncall, email: {to: [oncall@acme.example]}}
";

fn edited(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "`{from}` must be there once");
    text.replace(from, to)
}

fn topology(text: &str) -> Result<TopologyPlan, Vec<Problem>> {
    TopologyPlan::new(&serde_saphyr::from_str::<Topology>(text).unwrap())
}

fn alert(text: &str) -> Result<AlertPlan, Vec<Problem>> {
    AlertPlan::new(&serde_saphyr::from_str::<Alert>(text).unwrap())
}

#[test]
fn a_whole_topology() {
    let plan = topology(TOPOLOGY).unwrap();
    assert_eq!((plan.name.as_str(), plan.customer.as_str()), ("web", "acme"));
    let [pages, other] = plan.sources.as_slice() else { panic!("two sources") };
    assert_eq!(pages.stream, "kinetic.metrics.web.pages");
    assert_eq!((pages.interval_ms, pages.lateness_ms), (5000, 2000));
    assert_eq!(pages.origin, OriginRule::Pattern { glob: "servers.*.**".parse().unwrap(), segment: 1 });
    assert_eq!((other.interval_ms, other.lateness_ms), (10_000, 10_000));
    assert_eq!(other.origin, OriginRule::Header("origin".into()));
    let sources: Vec<_> = plan.analytics.iter().map(|analytic| analytic.source).collect();
    assert_eq!(sources, [0, 1, 1, 1, 1, 1]);
    let [slow, odd, full, empty, silent, errors] = plan.analytics.as_slice() else { panic!("six analytics") };
    assert!(slow.matches.matches("page.checkout.time", [("env", "prod-eu.1")].into_iter()));
    assert!(!slow.matches.matches("page.checkout.time", [("env", "test")].into_iter()));
    assert!(!slow.matches.matches("page.checkout.time", std::iter::empty()));
    assert!(!slow.matches.matches("page.time", [("env", "prod-eu.1")].into_iter()));
    assert_eq!((slow.statistic, odd.statistic), (Statistic::Mean, Statistic::P95));
    assert!(matches!(&slow.kind, AnalyticKind::Cluster(cluster) if cluster.min_feeds == 3));
    assert_eq!(full.kind, AnalyticKind::Threshold(ThresholdRule::Above { line: 90.0, clear: 85.0 }));
    assert_eq!(empty.kind, AnalyticKind::Threshold(ThresholdRule::Below { line: 5.0, clear: 5.0 }));
    assert_eq!(silent.kind, AnalyticKind::Absence { after_ms: 60_000, of: AbsenceOf::Source });
    assert_eq!((slow.ratio.as_ref(), slow.change, errors.change), (None, None, Some(Change::PerSecond)));
    let ratio = errors.ratio.as_ref().unwrap();
    assert_eq!((ratio.statistic, ratio.min_denominator), (Statistic::Sum, 20.0));
    assert_eq!(ratio.ignore_tags, ["status"]);
    assert_eq!(ratio.denominator_of("page.cart.errors").as_deref(), Some("page.cart.requests"));
    assert_eq!(ratio.numerator_of("page.cart.requests").as_deref(), Some("page.cart.errors"));
    assert_eq!(ratio.numerator_of("page.requests"), None);
}

#[test]
fn a_broken_topology() {
    let cases = [
        ("interval: 5s", "interval: 99ms", "spec.sources[0].interval", "100ms to 24h"),
        ("interval: 5s", "interval: 25h", "spec.sources[0].interval", "100ms to 24h"),
        ("lateness: 2s", "lateness: 25h", "spec.sources[0].lateness", "24h at most"),
        ("servers.{origin}.**", "servers.*", "spec.sources[0].origin.pattern", "servers.{origin}.**"),
        ("servers.{origin}.**", "{origin}.{origin}", "spec.sources[0].origin.pattern", "{origin} once"),
        ("servers.{origin}.**", "web-{origin}", "spec.sources[0].origin.pattern", "whole dotted segment"),
        ("servers.{origin}.**", "**.{origin}", "spec.sources[0].origin.pattern", "no ** before it"),
        ("{pattern: 'servers.{origin}.**'}", "{}", "spec.sources[0].origin", "keep one"),
        ("{pattern: 'servers.{origin}.**'}", "{tag: a, header: b}", "spec.sources[0].origin", "keep one"),
        ("{name: other, type", "{name: pages, type", "spec.sources[1].name", "a name of its own"),
        ("{name: odd,", "{name: slow,", "spec.analytics[1].name", "a name of its own"),
        (
            "{name: slow, source: pages",
            "{name: slow, source: page",
            "spec.analytics[0].source",
            "pages, other",
        ),
        (", cluster: {}", "", "spec.analytics[0]", "keep one"),
        (", cluster: {}", ", cluster: {}, stddev: {}", "spec.analytics[0]", "keep one"),
        (
            ", cluster: {}",
            ", cluster: {}, persistence: {windows: 4, of: 3}",
            "spec.analytics[0].persistence",
            "at most `of`",
        ),
        (
            ", cluster: {}",
            ", cluster: {}, persistence: {windows: 0, of: 3}",
            "spec.analytics[0].persistence",
            "at least 1",
        ),
        ("'page.*.time'", "''", "spec.analytics[0].match.metric", "** for everything"),
        ("baseline: 1h", "baseline: 29s", "spec.analytics[1].stddev.baseline", "longer baseline"),
        ("above: 90", "above: 80", "spec.analytics[2].threshold", "clearBelow: 85"),
        ("below: 5}", "below: 5, clearAbove: 4}", "spec.analytics[3].threshold", "for example"),
        ("below: 5}", "below: 5, above: 5}", "spec.analytics[3].threshold", "for example"),
        ("below: 5}", "}", "spec.analytics[3].threshold", "for example"),
        ("after: 1m", "after: 9s", "spec.analytics[4].absence.after", "the source's interval"),
        (
            "'page.*.requests'",
            "requests",
            "spec.analytics[5].ratio.denominator",
            "each * of match.metric its own",
        ),
        ("'page.*.requests'", "''", "spec.analytics[5].ratio.denominator", "each * of match.metric"),
        ("'page.*.requests'", "'page.*.errors'", "spec.analytics[5].ratio.denominator", "another statistic"),
        ("minDenominator: 20", "minDenominator: -1", "spec.analytics[5].ratio.minDenominator", "0 or more"),
        (
            ", change: PerSecond, stddev: {}",
            ", absence: {after: 1m}",
            "spec.analytics[5].ratio",
            "remove ratio",
        ),
        (
            "after: 1m, of: Source}",
            "after: 1m}, change: PerWindow",
            "spec.analytics[4].change",
            "remove ratio",
        ),
        (
            "customer: acme\n",
            "customer: acme\n  analyzer: {partitions: 65}\n",
            "spec.analyzer.partitions",
            "use 1 to 64",
        ),
    ];
    for (from, to, field, fix) in cases {
        let problems = topology(&edited(TOPOLOGY, from, to)).expect_err(to);
        let told: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert!(told.contains(&field), "{to}: {problems:?}");
        assert!(problems.iter().any(|p| p.field == field && p.fix.contains(fix)), "{to}: {problems:?}");
        assert!(problems.iter().all(|p| !p.message.is_empty()), "{problems:?}");
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let text = edited(TOPOLOGY, "interval: 5s", "interval: 1ms");
    let text = edited(&text, "{name: odd, source: other", "{name: odd, source: gone");
    let text = edited(&text, "above: 90", "above: 80");
    let fields: Vec<_> = topology(&text).unwrap_err().into_iter().map(|problem| problem.field).collect();
    assert_eq!(
        fields,
        ["spec.sources[0].interval", "spec.analytics[1].source", "spec.analytics[2].threshold"]
    );
}

#[test]
fn a_whole_alert() {
    let plan = alert(ALERT).unwrap();
    assert_eq!((plan.name.as_str(), plan.topology.as_str()), ("checkout", "web"));
    assert_eq!(plan.analytics, ["slow"]);
    assert!(plan.origins[0].matches("web-1.acme.example"));
    assert!(plan.active && plan.send_resolved);
    assert!((plan.min_score - 1.5).abs() < f64::EPSILON);
    assert_eq!(
        plan.group_by,
        [
            GroupKey::Analytic,
            GroupKey::Metric,
            GroupKey::Origin,
            GroupKey::Source,
            GroupKey::Tag("env".into())
        ]
    );
    assert_eq!(
        plan.group_by.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["analytic", "metric", "origin", "source", "tag:env"]
    );
    assert_eq!(
        (plan.group_wait_ms, plan.group_interval_ms, plan.repeat_interval_ms),
        (5_000, 300_000, 14_400_000)
    );
    assert_eq!(plan.receivers[0].email.to, ["oncall@acme.example"]);
}

#[test]
fn a_broken_alert() {
    let email = "email: {to: [oncall@acme.example]}";
    let cases = [
        ("'tag:env'", "'tag:'", "spec.groupBy[4]", "tag:KEY"),
        ("'tag:env'", "host", "spec.groupBy[4]", "tag:KEY"),
        ("oncall@acme.example", "oncall", "spec.receivers[0].email.to[0]", "user@host"),
        ("oncall@acme.example", "a@b, '@acme.example'", "spec.receivers[0].email.to[1]", "user@host"),
        (email, "webhook: {url: 'https://hook.example'}", "spec.receivers[0].webhook", "use email"),
        (email, "alertmanager: {url: 'https://am.example'}", "spec.receivers[0].alertmanager", "use email"),
        (email, "email: {to: [a@b]}, webhook: {url: x}", "spec.receivers[0]", "keep one"),
        ("groupWait: 5s\n", "mute: [{timeZone: Europe/Berlin}]\n", "spec.mute", "active: false"),
    ];
    for (from, to, field, fix) in cases {
        let problems = alert(&edited(ALERT, from, to)).expect_err(to);
        assert!(problems.iter().any(|p| p.field == field && p.fix.contains(fix)), "{to}: {problems:?}");
    }
    let problem = alert(&edited(ALERT, "oncall@acme.example", "oncall")).unwrap_err().remove(0);
    assert_eq!(
        problem.to_string(),
        "spec.receivers[0].email.to[0]: `oncall` is no mail address; write it as user@host"
    );
}

#[test]
fn every_type_of_source_is_read_from_its_own_keys() {
    for kind in SourceType::ALL {
        let plan =
            topology(&edited(TOPOLOGY, "type: statsd}", &format!("type: {}}}", kind.as_str()))).unwrap();
        assert_eq!(plan.sources[1].kind, kind);
    }
}

/// The analytics that docs/detection.md shows.
#[test]
fn the_guides_examples_are_valid() {
    let guide = include_str!("../../../docs/detection.md");
    let (head, _) = TOPOLOGY.split_once("  analytics:\n").unwrap();
    let head = edited(head, "name: other, type", "name: hosts, type");
    let mut examples = 0;
    for example in guide.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let analytics = example.lines().fold(String::new(), |text, line| text + "    " + line + "\n");
        let plan = topology(&format!("{head}  analytics:\n{analytics}")).unwrap();
        assert_eq!(plan.analytics.len(), 1, "{example}");
        examples += 1;
    }
    assert!(examples >= 2, "{examples}");
}
