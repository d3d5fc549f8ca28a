//! Analytics on one series divided by another.

use kinetic_api::{
    anomaly::{Anomaly, State},
    plan::{AnalyticKind, AnalyticPlan, RatioPlan, ThresholdRule},
    resources::topology::{AnalyticState, Cluster, MinStddev, Stddev},
    series::SeriesName,
    statistic::Statistic,
};

use crate::{
    decode::MetricType::{self, Counter, Timer},
    detect::rig::{Rig, analytic, brief, topology},
    window::SeriesId,
};

type Series = (SeriesName, MetricType, Vec<f64>);

/// Errors by requests of each page.
fn errors_by_requests(kind: AnalyticKind) -> AnalyticPlan {
    let mut plan = analytic("error-share", kind);
    plan.matches.metric = "page.*.errors".parse().unwrap();
    plan.statistic = Statistic::Sum;
    plan.ratio = Some(RatioPlan {
        numerator: plan.matches.metric.clone(),
        denominator: "page.*.requests".parse().unwrap(),
        statistic: Statistic::Sum,
        min_denominator: 1.0,
        ignore_tags: Vec::new(),
    });
    plan
}

fn above(line: f64) -> AnalyticPlan {
    errors_by_requests(AnalyticKind::Threshold(ThresholdRule::Above { line, clear: line }))
}

fn ratio(plan: &mut AnalyticPlan) -> &mut RatioPlan {
    plan.ratio.as_mut().unwrap()
}

fn counter(metric: &str, tags: &[(&str, &str)], origin: &str, value: f64) -> Series {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    (SeriesName { metric: metric.into(), tags, origin: origin.into() }, Counter, vec![value])
}

fn errors(origin: &str, value: f64) -> Series {
    counter("page.cart.errors", &[], origin, value)
}

fn requests(origin: &str, value: f64) -> Series {
    counter("page.cart.requests", &[], origin, value)
}

fn rig(plan: AnalyticPlan) -> Rig {
    Rig::of(&topology(vec![plan]))
}

fn values(found: &[Anomaly]) -> Vec<Option<f64>> {
    found.iter().map(|anomaly| anomaly.data.value).collect()
}

#[test]
fn errors_are_divided_by_requests_of_the_same_page_and_host() {
    let mut rig = rig(above(0.05));
    let calm = [errors("a", 4.0), requests("a", 100.0), errors("b", 50.0), requests("b", 1_000.0)];
    assert_eq!(rig.typed_window(&calm), [], "0.05 is not above 0.05");
    let other_page = counter("page.home.requests", &[], "a", 1.0);
    let found = rig.typed_window(&[errors("a", 30.0), requests("a", 100.0), other_page]);
    assert_eq!(brief(&found), [("page.cart.errors@a", State::Firing)]);
    let data = &found[0].data;
    assert_eq!((data.value, data.statistic), (Some(0.3), Statistic::Sum));
    assert_eq!(data.measure.as_deref(), Some("sum of page.cart.errors ÷ sum of page.cart.requests"));
    assert_eq!(
        data.explanation,
        "a's page.cart.errors ÷ page.cart.requests (sum over 10s) is 0.3: above 0.05."
    );
    let history: Vec<_> = data.history.iter().map(|window| window.value).collect();
    assert_eq!(history, [Some(0.04), Some(0.3)]);
}

#[test]
fn the_order_within_a_window_does_not_matter() {
    let mut plan = above(0.05);
    ratio(&mut plan).ignore_tags = vec!["status".into()];
    let mut series = vec![
        counter("page.cart.errors", &[("status", "500")], "a", 3.0),
        counter("page.cart.errors", &[("status", "503")], "a", 4.0),
        requests("a", 100.0),
        counter("page.cart.requests", &[("status", "200")], "a", 40.0),
    ];
    let mut all = Vec::new();
    for _ in 0..series.len() {
        series.rotate_left(1);
        all.push(values(&rig(plan.clone()).typed_window(&series)));
        series.reverse();
        all.push(values(&rig(plan.clone()).typed_window(&series)));
        series.reverse();
    }
    assert!(all.iter().all(|values| *values == [Some(0.05)] || values.is_empty()), "7 of 140: {all:?}");
    plan.kind = AnalyticKind::Threshold(ThresholdRule::Above { line: 0.049, clear: 0.049 });
    for _ in 0..series.len() {
        series.rotate_left(1);
        let found = rig(plan.clone()).typed_window(&series);
        assert_eq!(
            (brief(&found), values(&found)),
            (vec![("page.cart.errors@a", State::Firing)], vec![Some(0.05)])
        );
    }
}

#[test]
fn tags_must_be_the_same_but_for_ignored_ones() {
    let mut plan = above(0.05);
    plan.matches.tags =
        vec![("env".into(), "prod".parse().unwrap()), ("status".into(), "5**".parse().unwrap())];
    let window = [
        counter("page.cart.errors", &[("env", "prod"), ("status", "500")], "a", 30.0),
        counter("page.cart.errors", &[("env", "prod"), ("status", "404")], "a", 900.0),
        counter("page.cart.requests", &[("env", "prod")], "a", 100.0),
        counter("page.cart.requests", &[("env", "test")], "a", 1.0),
    ];
    let mut strict = rig(plan.clone());
    assert_eq!(strict.typed_window(&window), []);
    let report = strict.detector.analytics().remove(0);
    assert!(report.reason.unwrap().contains("1 of 1 series of page.*.errors have no page.*.requests"));
    ratio(&mut plan).ignore_tags = vec!["status".into()];
    let mut lenient = rig(plan);
    let found = lenient.typed_window(&window);
    assert_eq!(brief(&found), [("page.cart.errors{env=prod}@a", State::Firing)]);
    assert_eq!(found[0].data.value, Some(0.3));
    assert_eq!(lenient.detector.analytics().remove(0).reason, None);
}

#[test]
fn no_errors_are_none_and_too_few_requests_are_a_gap() {
    let mut plan = above(0.05);
    ratio(&mut plan).min_denominator = 20.0;
    let mut rig = rig(plan);
    assert_eq!(rig.typed_window(&[errors("a", 30.0), requests("a", 100.0)]).len(), 1);
    let found = rig.typed_window(&[requests("a", 100.0)]);
    assert_eq!(
        (brief(&found), values(&found)),
        (vec![("page.cart.errors@a", State::Resolved)], vec![Some(0.0)])
    );
    assert_eq!(rig.typed_window(&[errors("a", 19.0), requests("a", 19.0)]), []);
    assert_eq!(rig.typed_window(&[errors("a", 30.0)]), [], "nothing to divide by");
    assert_eq!(rig.typed_window(&[errors("a", 20.0), requests("a", 20.0)]).len(), 1);
    let found = rig.typed_window(&[errors("a", 19.0), requests("a", 19.0)]);
    assert_eq!((found[0].data.state, found[0].data.value), (State::Resolved, None), "a gap is not odd");
}

#[test]
fn a_mean_of_nothing_is_a_gap_not_a_zero() {
    let mut plan =
        errors_by_requests(AnalyticKind::Threshold(ThresholdRule::Below { line: 1.0, clear: 1.0 }));
    plan.statistic = Statistic::Mean;
    let mut rig = rig(plan);
    assert_eq!(rig.typed_window(&[requests("a", 100.0)]), []);
    assert_eq!(values(&rig.typed_window(&[errors("a", 30.0), requests("a", 100.0)])), [Some(0.3)]);
}

#[test]
fn a_host_without_errors_takes_part_among_its_peers() {
    let floor = MinStddev { absolute: 0.001, relative: 0.0 };
    let plan = errors_by_requests(AnalyticKind::Cluster(Cluster { min_stddev: floor, ..Cluster::default() }));
    let mut rig = rig(plan);
    let hosts = ["a", "b", "c", "d"];
    let calm: Vec<Series> = hosts.iter().map(|host| requests(host, 100.0)).collect();
    assert_eq!(rig.typed_window(&calm), []);
    let report = rig.detector.analytics().remove(0);
    assert_eq!(
        (report.state, report.reason.as_deref()),
        (AnalyticState::Active, Some("no series matches page.*.errors yet"))
    );
    let mut odd = calm.clone();
    odd.push(counter("page.cart.errors", &[("status", "500")], "c", 20.0));
    odd.push(counter("page.cart.errors", &[("status", "503")], "c", 30.0));
    let found = rig.typed_window(&odd);
    assert_eq!(brief(&found), [("page.cart.errors@c", State::Firing)]);
    let data = &found[0].data;
    assert_eq!((data.value, data.expected), (Some(0.5), Some(0.0)));
    assert_eq!(data.peers.as_ref().unwrap().origins, ["a", "b", "d"]);
    assert_eq!(data.peers.as_ref().unwrap().lines[0].values, [Some(0.0), Some(0.0)]);
    assert!(
        data.explanation.contains("c's page.cart.errors ÷ page.cart.requests (sum over 10s) is 0.5: ")
            && data.explanation.contains("above its 3 peers (0 ± 0.001)"),
        "{}",
        data.explanation
    );
    assert_eq!(brief(&rig.typed_window(&calm)), [("page.cart.errors@c", State::Resolved)]);
}

#[test]
fn a_share_is_held_against_its_past() {
    let stddev = Stddev { warmup: 10, ..Stddev::default() };
    let mut rig = rig(errors_by_requests(AnalyticKind::Stddev(stddev)));
    for window in 0..60 {
        let count = 1_000.0 + 100.0 * f64::from(window % 7);
        let share = 0.02 + 0.001 * f64::from(window % 3);
        assert_eq!(rig.typed_window(&[errors("a", share * count), requests("a", count)]), []);
    }
    assert_eq!(
        rig.typed_window(&[errors("a", 84.0), requests("a", 4_000.0)]),
        [],
        "more of both is nothing odd"
    );
    let found = rig.typed_window(&[errors("a", 84.0), requests("a", 400.0)]);
    assert_eq!(brief(&found), [("page.cart.errors@a", State::Firing)]);
    assert!((found[0].data.expected.unwrap() - 0.021).abs() < 0.001);
}

#[test]
fn a_share_of_few_is_allowed_for() {
    let stddev = Stddev { warmup: 10, ..Stddev::default() };
    let mut rig = rig(errors_by_requests(AnalyticKind::Stddev(stddev)));
    for window in 0..60 {
        let failed = 20.0 + f64::from(window % 3);
        assert_eq!(rig.typed_window(&[errors("a", failed), requests("a", 1_000.0)]), []);
    }
    assert_eq!(rig.typed_window(&[errors("a", 1.0), requests("a", 10.0)]), [], "one of ten may be by chance");
    assert_eq!(rig.typed_window(&[errors("a", 100.0), requests("a", 1_000.0)]).len(), 1, "100 of 1,000 not");
    assert_eq!(rig.typed_window(&[errors("a", 21.0), requests("a", 1_000.0)]).len(), 1);
    assert_eq!(rig.typed_window(&[errors("a", 5.0), requests("a", 10.0)]).len(), 1, "nor five of ten");
}

#[test]
fn another_statistic_and_type_may_be_divided_by() {
    let mut plan = above(0.25);
    plan.matches.metric = "page.*.errors".parse().unwrap();
    *ratio(&mut plan) = RatioPlan {
        denominator: "page.*.time".parse().unwrap(),
        statistic: Statistic::Count,
        ..ratio(&mut plan).clone()
    };
    let time =
        (SeriesName { metric: "page.cart.time".into(), ..requests("a", 0.0).0 }, Timer, vec![120.0; 10]);
    let found = rig(plan).typed_window(&[errors("a", 3.0), time]);
    assert_eq!(values(&found), [Some(0.3)]);
    assert!(found[0].data.explanation.contains("page.cart.errors ÷ page.cart.time (sum ÷ count over 10s)"));
}

#[test]
fn what_leaves_resolves_and_leaves_nothing_behind() {
    let mut rig = rig(above(0.05));
    for _ in 0..3 {
        assert_eq!(rig.typed_window(&[errors("a", 30.0), requests("a", 100.0)]).len(), 1);
        assert_eq!(rig.evict(&errors("a", 0.0).0), [], "no errors are 0 errors");
        let found = rig.evict(&requests("a", 0.0).0);
        assert_eq!(brief(&found), [("page.cart.errors@a", State::Resolved)]);
        assert!(rig.detector.firing().is_empty());
    }
}

#[test]
fn denominators_alone_are_windowed_for_what_is_asked_of_them() {
    let mut plan = above(0.05);
    ratio(&mut plan).statistic = Statistic::P95;
    let mut rig = rig(plan);
    let mut needs = |metric: &str, kind| {
        let name = SeriesName { metric: metric.into(), ..SeriesName::default() };
        rig.series(SeriesId(0), &name, kind)
    };
    assert!(needs("page.cart.requests", Timer).is_some_and(|needs| needs.quantiles));
    assert_eq!(needs("page.cart.requests", MetricType::Set), None);
    assert_eq!(needs("page.cart.time", Timer), None);
}
