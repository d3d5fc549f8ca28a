//! Analytics on how a number changes.

use kinetic_api::{
    anomaly::State,
    plan::{AnalyticKind, AnalyticPlan, RatioPlan, ThresholdRule},
    resources::topology::{Change, Cluster, Stddev},
    statistic::Statistic,
};

use crate::{
    decode::MetricType,
    detect::rig::{Rig, analytic, brief, named, topology},
};

fn change(kind: AnalyticKind, change: Change) -> AnalyticPlan {
    let mut plan = analytic("fills", kind);
    plan.change = Some(change);
    plan
}

fn above(line: f64, per: Change) -> Rig {
    Rig::of(&topology(vec![change(AnalyticKind::Threshold(ThresholdRule::Above { line, clear: line }), per)]))
}

#[test]
fn the_difference_to_the_window_before() {
    for (per, line, value) in [(Change::PerWindow, 15.0, 20.0), (Change::PerSecond, 1.5, 2.0)] {
        let mut rig = above(line, per);
        assert_eq!(rig.window(&[("a", 1_000.0)]), [], "nothing to hold it against yet");
        assert_eq!(rig.window(&[("a", 1_010.0)]), []);
        let found = rig.window(&[("a", 1_030.0)]);
        assert_eq!(brief(&found), [("m@a", State::Firing)]);
        assert_eq!(found[0].data.value, Some(value));
        assert_eq!(found[0].data.history.len(), 2);
        assert_eq!(brief(&rig.window(&[("a", 1_030.0)])), [("m@a", State::Resolved)], "it stands still");
        assert_eq!(rig.window(&[("a", 0.0)]), [], "it falls");
    }
}

#[test]
fn says_so() {
    let mut rig = above(1.5, Change::PerSecond);
    rig.window(&[("a", 0.0)]);
    let data = rig.window(&[("a", 30.0)]).remove(0).data;
    assert_eq!(data.measure.as_deref(), Some("change of mean per second"));
    assert_eq!(data.explanation, "a's m (change of mean per second over 10s) is 3 ms/s: above 1.5 ms/s.");
}

#[test]
fn after_a_gap_there_is_no_value() {
    let mut rig = above(15.0, Change::PerWindow);
    rig.window(&[("a", 0.0)]);
    rig.silence(1);
    assert_eq!(rig.window(&[("a", 1_000.0)]), [], "over two windows it may be nothing odd");
    assert_eq!(rig.window(&[("a", 1_016.0)]).len(), 1);
}

#[test]
fn one_that_grows_faster_than_its_peers() {
    let mut rig =
        Rig::of(&topology(vec![change(AnalyticKind::Cluster(Cluster::default()), Change::PerSecond)]));
    let levels = [1e6, 5e5, 10.0, 3e5, 77.0];
    let names = ["a", "b", "c", "d", "e"];
    let mut found = Vec::new();
    for window in 0..20 {
        let grown = |n: usize| {
            levels[n] + f64::from(window) * if n == 2 && window > 9 { 400.0 } else { 10.0 + n as f64 }
        };
        let values: Vec<_> = names.iter().enumerate().map(|(n, name)| (*name, grown(n))).collect();
        found.extend(rig.window(&values));
    }
    assert_eq!(brief(&found)[0], ("m@c", State::Firing));
    assert!((found[0].data.expected.unwrap() - 1.2).abs() < 0.1, "{:?}", found[0].data.expected);
}

#[test]
fn a_leak_is_told_from_a_level() {
    let stddev = Stddev { warmup: 20, ..Stddev::default() };
    let mut rig = Rig::of(&topology(vec![change(AnalyticKind::Stddev(stddev), Change::PerWindow)]));
    let mut level = 0.0;
    for window in 0..200 {
        level += 5.0 + f64::from(window % 3);
        assert_eq!(rig.window(&[("a", level)]), [], "it always grows so");
    }
    assert_eq!(rig.window(&[("a", level + 60.0)]).len(), 1);
}

#[test]
fn of_a_ratio_too() {
    let mut plan =
        change(AnalyticKind::Threshold(ThresholdRule::Above { line: 0.15, clear: 0.15 }), Change::PerWindow);
    plan.matches.metric = "errors".parse().unwrap();
    plan.statistic = Statistic::Sum;
    plan.ratio = Some(RatioPlan {
        numerator: "errors".parse().unwrap(),
        denominator: "requests".parse().unwrap(),
        statistic: Statistic::Sum,
        min_denominator: 10.0,
        ignore_tags: Vec::new(),
    });
    let mut rig = Rig::of(&topology(vec![plan]));
    let mut window = |errors: f64, requests: f64| {
        rig.typed_window(&[
            (named("errors", "a"), MetricType::Counter, vec![errors]),
            (named("requests", "a"), MetricType::Counter, vec![requests]),
        ])
    };
    assert_eq!(window(10.0, 100.0), []);
    let found = window(60.0, 200.0);
    assert!((found[0].data.value.unwrap() - 0.2).abs() < 1e-12);
    assert_eq!(
        found[0].data.measure.as_deref(),
        Some("change of sum of errors ÷ sum of requests per window")
    );
    assert_eq!(window(9.0, 9.0).len(), 1, "too few: a gap, and what fired resolves");
    assert_eq!(window(90.0, 100.0), [], "no value after a gap");
}
