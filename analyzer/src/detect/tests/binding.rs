//! Which analytic looks at which series.

use kinetic_api::{
    glob::Glob,
    plan::{AnalyticKind, AnalyticPlan, ThresholdRule},
    series::SeriesName,
    statistic::Statistic,
};

use crate::{
    decode::MetricType,
    detect::rig::{Rig, analytic, brief, named, topology},
    window::{Needs, SeriesId, WindowSink as _},
};

fn above(name: &str, line: f64) -> AnalyticPlan {
    analytic(name, AnalyticKind::Threshold(ThresholdRule::Above { line, clear: line }))
}

#[test]
fn a_series_that_nobody_looks_at_is_not_windowed() {
    let mut prod = above("prod", 1.0);
    prod.matches.metric = "page.*.time".parse().unwrap();
    prod.matches.tags = vec![("env".into(), Glob::flat("prod*"))];
    prod.statistic = Statistic::P95;
    let mut all = above("all", 1.0);
    all.matches.metric = "page.**".parse().unwrap();
    all.statistic = Statistic::Stddev;
    let mut rig = Rig::of(&topology(vec![prod, all]));
    let mut needs = |id, metric: &str, env: &str| {
        let tags = vec![("env".to_owned(), env.to_owned())];
        let name = SeriesName { metric: metric.into(), tags, origin: String::new() };
        rig.series(SeriesId(id), &name, MetricType::Timer)
    };
    let moments = Needs { moments: true, ..Needs::default() };
    assert_eq!(needs(0, "page.cart.time", "prod-1"), Some(Needs { quantiles: true, ..moments }));
    assert_eq!(needs(1, "page.cart.time", "test"), Some(moments));
    assert_eq!(needs(2, "page.cart.slow.time", "prod"), Some(moments));
    assert_eq!(needs(3, "cpu", "prod"), None);
}

#[test]
fn of_one_window_findings_come_by_analytic_and_series() {
    let mut rig = Rig::of(&topology(vec![above("z", 1.0), above("a", 1.0)]));
    let found = rig.named_window(&[(named("m", "c"), 2.0), (named("m", "b"), 2.0), (named("a", "z"), 2.0)]);
    let order: Vec<_> = found.iter().map(|f| (f.data.analytic.as_str(), f.subject.as_str())).collect();
    assert_eq!(order, [("a", "a@z"), ("a", "m@b"), ("a", "m@c"), ("z", "a@z"), ("z", "m@b"), ("z", "m@c")]);
}

#[test]
fn a_reused_number_is_another_series() {
    let mut rig = Rig::of(&topology(vec![above("full", 1.0)]));
    let id = SeriesId(0);
    rig.series(id, &named("m", "old"), MetricType::Gauge);
    rig.detector.evicted(id, &rig.names);
    rig.detector.evicted(id, &rig.names);
    assert_eq!(brief(&rig.window(&[("new", 0.0)])), []);
    let found = rig.window(&[("new", 5.0)]);
    assert_eq!(found[0].subject, "m@new");
    assert_eq!(found[0].data.history.len(), 2);
}
