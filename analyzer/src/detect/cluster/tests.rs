use kinetic_api::{
    anomaly::{AnalyticName, Found, State},
    resources::topology::{Center, Direction, MinStddev, Persistence},
};

use rand::{SeedableRng, rngs::SmallRng};
use rand_distr::{Distribution, Normal};

use super::*;
use crate::decode::MetricType;
use crate::detect::rig::{INTERVAL_MS, Rig, analytic, brief, named, topology};

const NAMES: [&str; 8] = ["web-1", "web-2", "web-3", "web-4", "web-5", "web-6", "web-7", "web-8"];

fn rig(cluster: Cluster) -> Rig {
    Rig::new(AnalyticKind::Cluster(cluster))
}

/// So many feeds around 120 ± 4, a little different each window.
fn peers(count: usize, window: usize) -> Vec<(&'static str, f64)> {
    let wobble = |n: usize| ((n * 7 + window * 3) % 9) as f64 - 4.0;
    NAMES[..count].iter().enumerate().map(|(n, name)| (*name, 120.0 + wobble(n))).collect()
}

fn states(found: &[Anomaly]) -> Vec<State> {
    found.iter().map(|anomaly| anomaly.data.state).collect()
}

#[test]
fn the_one_that_strays_is_told_of_once_and_resolves_once() {
    let mut plan = analytic("slow-host", AnalyticKind::Cluster(Cluster::default()));
    plan.persistence = Persistence::default();
    let mut rig = Rig::of(&topology(vec![plan]));
    for window in 0..100 {
        assert_eq!(rig.window(&peers(8, window)), []);
    }
    let mut found = Vec::new();
    for window in 100..120 {
        let mut values = peers(8, window);
        values[2].1 = 912.0;
        found.extend(rig.window(&values));
    }
    let [fired] = &found[..] else { panic!("{:?}", brief(&found)) };
    assert_eq!((fired.subject.as_str(), fired.data.state), ("m@web-3", State::Firing));
    assert_eq!(fired.data.since.as_millisecond(), (165_000_000 + 100) * INTERVAL_MS);
    assert_eq!(fired.time.as_millisecond(), (165_000_000 + 102) * INTERVAL_MS, "the second odd window's end");
    let data = &fired.data;
    assert_eq!(
        (data.analytic_kind, data.found, data.direction),
        (AnalyticName::Cluster, Found::Live, Direction::Above)
    );
    assert_eq!((data.origin.as_str(), data.metrics_source.as_str()), ("web-3", "pages"));
    assert_eq!(data.value, Some(912.0));
    assert!((data.expected.unwrap() - 120.0).abs() < 2.0);
    assert!(data.score > 1.0 && (data.score - data.deviation.unwrap() / 4.0).abs() < 1e-12);
    let peers_told = data.peers.as_ref().unwrap();
    assert_eq!((peers_told.count, peers_told.origins.len(), peers_told.lines.len()), (7, 7, 7));
    assert!(!peers_told.origins.contains(&"web-3".to_owned()));
    assert_eq!(data.history.len(), 60);
    let last = data.history.last().unwrap();
    assert_eq!((last.time, last.value), (fired.time, Some(912.0)));
    assert!(
        data.history
            .iter()
            .all(|w| w.lower.unwrap() < 120.0 && w.upper.unwrap() > 120.0 && w.upper.unwrap() < 300.0)
    );
    assert!(data.explanation.starts_with("web-3's m (mean over 10s) is 912 ms: "), "{}", data.explanation);
    assert!(data.explanation.contains(" standard deviations above its 7 peers (1"), "{}", data.explanation);

    let mut found = Vec::new();
    for window in 120..130 {
        found.extend(rig.window(&peers(8, window)));
    }
    let [resolved] = &found[..] else { panic!("{:?}", brief(&found)) };
    assert_eq!((resolved.subject.as_str(), resolved.data.state), ("m@web-3", State::Resolved));
    assert_eq!(resolved.data.since, fired.data.since);
    assert_eq!(
        resolved.time.as_millisecond(),
        (165_000_000 + 123) * INTERVAL_MS,
        "the third calm window's end"
    );
    assert!(
        resolved.data.explanation.contains("is back among its peers after 3m50s"),
        "{}",
        resolved.data.explanation
    );
    assert!(rig.detector.firing().is_empty());
}

#[test]
fn with_itself_inside_four_feeds_would_never_show_four_deviations() {
    let mut rig = rig(Cluster::default());
    let found = rig.window(&[("a", 120.0), ("b", 120.4), ("c", 119.7), ("d", 500.0)]);
    assert_eq!(brief(&found), [("m@d", State::Firing)]);
}

#[test]
fn the_direction_decides_which_side_is_looked_at() {
    let low = [("a", 100.0), ("b", 100.5), ("c", 99.5), ("d", 100.2), ("e", 1.0)];
    for (direction, odd) in [(Direction::Above, 0), (Direction::Below, 1), (Direction::Both, 1)] {
        let found = rig(Cluster { direction, ..Cluster::default() }).window(&low);
        assert_eq!(found.len(), odd, "{direction:?}");
        assert!(
            found.iter().all(|f| f.data.direction == Direction::Below && f.data.deviation.unwrap() < 0.0)
        );
    }
}

#[test]
fn identical_peers_are_held_against_the_floor() {
    let floor = MinStddev { absolute: 0.5, relative: 0.0 };
    let with = |value| {
        rig(Cluster { min_stddev: floor, ..Cluster::default() }).window(&[
            ("a", 7.0),
            ("b", 7.0),
            ("c", value),
        ])
    };
    assert_eq!(with(9.0), [], "4 × 0.5 is the line");
    let found = with(9.1);
    assert!((found[0].data.deviation.unwrap() - 4.2).abs() < 1e-9);
    assert_eq!(found[0].data.stddev, Some(0.5));
    let relative = MinStddev { absolute: 0.0, relative: 0.01 };
    let found = rig(Cluster { min_stddev: relative, ..Cluster::default() }).window(&[
        ("a", -100.0),
        ("b", -100.0),
        ("c", -104.5),
    ]);
    assert!((found[0].data.deviation.unwrap() + 4.5).abs() < 1e-9);
}

#[test]
fn what_fires_must_come_back_within_three_quarters_of_the_line() {
    let mut rig =
        rig(Cluster { min_stddev: MinStddev { absolute: 0.5, relative: 0.0 }, ..Cluster::default() });
    let mut window = |value| states(&rig.window(&[("a", 7.0), ("b", 7.0), ("c", value)]));
    assert_eq!(window(9.1), [State::Firing], "4 × 0.5 is the line");
    assert_eq!(window(8.6), [], "not beyond the line, but far");
    assert_eq!(window(8.4), [State::Resolved]);
    assert_eq!(window(8.6), [], "nor odd to begin with");
}

#[test]
fn two_that_stray_hide_each_other_from_the_mean_but_not_from_the_median() {
    let mut values = peers(8, 0);
    values[1].1 = 900.0;
    values[5].1 = 910.0;
    assert_eq!(rig(Cluster::default()).window(&values), []);
    let mut median = rig(Cluster { center: Center::Median, ..Cluster::default() });
    assert_eq!(brief(&median.window(&values)), [("m@web-2", State::Firing), ("m@web-6", State::Firing)]);
}

#[test]
fn groups_are_metric_and_tags() {
    let cluster = Cluster { group_by: vec!["env".into()], ..Cluster::default() };
    let mut rig = rig(cluster);
    let named = |env: &str, origin: &str| {
        let tags = vec![("env".to_owned(), env.to_owned()), ("zone".to_owned(), origin.to_owned())];
        SeriesName { metric: "m".into(), tags, origin: origin.into() }
    };
    let mut values = Vec::new();
    for origin in ["a", "b", "c", "d"] {
        values.push((named("prod", origin), 100.0));
        values.push((named("test", origin), 900.0));
    }
    assert_eq!(rig.named_window(&values), []);
    values[0].1 = 900.0;
    let found = rig.named_window(&values);
    assert_eq!(brief(&found), [("m{env=prod,zone=a}@a", State::Firing)], "one series: all its tags");
    assert_eq!(found[0].data.peers.as_ref().unwrap().origins, ["b", "c", "d"]);
}

#[test]
fn series_of_one_origin_are_one_feed() {
    let mut rig = rig(Cluster::default());
    let page = |page: &str, origin: &str| SeriesName {
        metric: "m".into(),
        tags: vec![("page".to_owned(), page.to_owned())],
        origin: origin.into(),
    };
    let mut values = Vec::new();
    for origin in ["a", "b", "c", "d"] {
        values.push((page("x", origin), 90.0));
        values.push((page("y", origin), 110.0));
    }
    assert_eq!(rig.named_window(&values), [], "the mean of 90 and 110 is 100 for all");
    values[5].1 = 510.0;
    let found = rig.named_window(&values);
    assert_eq!(brief(&found), [("m@c", State::Firing)]);
    assert_eq!((found[0].data.value, found[0].data.expected), (Some(300.0), Some(100.0)));
    assert_eq!(found[0].data.history.last().unwrap().value, Some(300.0));
    // Half of the feed goes; what it fires as stays its name.
    values.remove(5);
    rig.evict(&page("y", "c"));
    values[4].1 = 500.0;
    assert_eq!(rig.named_window(&values), [], "500 is odd beside 100, too");
    values[4].1 = 100.0;
    assert_eq!(brief(&rig.named_window(&values)), [("m@c", State::Resolved)]);
}

#[test]
fn a_feed_that_falls_silent_resolves_and_an_evicted_one_at_once() {
    let mut rig = rig(Cluster::default());
    let odd = [("a", 120.0), ("b", 120.4), ("c", 119.7), ("d", 500.0)];
    assert_eq!(rig.window(&odd).len(), 1);
    let found = rig.window(&odd[..3]);
    assert_eq!(brief(&found), [("m@d", State::Resolved)]);
    assert_eq!((found[0].data.value, found[0].data.score), (None, 0.0));
    assert!(found[0].data.explanation.contains("it has sent nothing"), "{}", found[0].data.explanation);

    assert_eq!(rig.window(&odd).len(), 1);
    let end = rig.end_ms();
    let found = rig.evict(&named("m", "d"));
    assert_eq!(brief(&found), [("m@d", State::Resolved)]);
    assert_eq!(found[0].time.as_millisecond(), end);
    assert_eq!(rig.window(&odd[..3]), []);
    assert_eq!(rig.window(&odd).len(), 1, "and it may come back");
}

#[test]
fn too_few_feeds_are_not_looked_at_and_said_so() {
    let state = |rig: &Rig| {
        let report = rig.detector.analytics().remove(0);
        (report.state, report.reason.unwrap_or_default())
    };
    let mut rig = rig(Cluster { min_feeds: 4, ..Cluster::default() });
    assert_eq!(state(&rig).0, AnalyticState::WarmingUp);
    assert_eq!(rig.window(&[("a", 1.0), ("b", 1.0), ("c", 1e6)]), []);
    let (said, why) = state(&rig);
    assert_eq!(said, AnalyticState::Unsatisfiable);
    assert!(why.starts_with("3 of 4 feeds"), "{why}");
    assert_eq!(rig.window(&[("a", 1.0), ("b", 1.0), ("c", 1e6), ("d", 1.0)]).len(), 1);
    assert_eq!(state(&rig), (AnalyticState::Active, String::new()));
    let found = rig.window(&[("a", 1.0), ("b", 1.0), ("c", 1e6)]);
    assert!(
        found[0].data.explanation.contains("only 3 of 4 feeds are there"),
        "{}",
        found[0].data.explanation
    );
}

#[test]
fn a_line_beyond_what_so_few_feeds_can_show_is_said_to_be() {
    let mut rig = rig(Cluster { deviation: 12.0, ..Cluster::default() });
    rig.window(&[("a", 1.0), ("b", 1.1), ("c", 1e6)]);
    let report = rig.detector.analytics().remove(0);
    assert_eq!(report.state, AnalyticState::Unsatisfiable);
    assert!(report.reason.unwrap().contains("among 3 feeds 12 standard deviations never show"));
}

#[test]
fn an_edited_deviation_holds_from_the_next_window_on() {
    let mut rig = rig(Cluster { deviation: 50.0, ..Cluster::default() });
    let mut values = peers(8, 0);
    values[2].1 = 912.0;
    assert_eq!(rig.window(&values), []);
    let plan = topology(vec![analytic("odd", AnalyticKind::Cluster(Cluster::default()))]);
    assert!(rig.detector.fits(&plan, 0));
    rig.detector.edit(&plan, 0, &std::collections::HashMap::new());
    let found = rig.window(&values);
    assert_eq!(brief(&found), [("m@web-3", State::Firing)]);
    assert_eq!(found[0].data.history.len(), 2, "the window before the edit is remembered");
}

#[test]
fn of_many_peers_some_are_named_and_fewer_drawn() {
    let names: Vec<String> = (0..60).map(|n| format!("host-{n:02}")).collect();
    let mut values: Vec<(&str, f64)> =
        names.iter().zip(0..).map(|(name, n)| (name.as_str(), f64::from(n % 5))).collect();
    values[7].1 = 1e6;
    let fired = rig(Cluster::default()).window(&values).remove(0);
    let peers = fired.data.peers.unwrap();
    assert_eq!((peers.count, peers.origins.len(), peers.lines.len()), (59, PEER_NAMES, PEER_LINES));
    assert!(peers.origins.is_sorted() && !peers.origins.contains(&"host-07".to_owned()));
    assert_eq!(peers.lines[3].values, [Some(3.0)]);
}

#[test]
fn a_feed_of_few_samples_is_allowed_for_by_how_its_peers_scatter() {
    let mut random = SmallRng::seed_from_u64(1);
    let normal = Normal::new(100.0, 20.0).unwrap();
    let mut rig = rig(Cluster::default());
    let mut window = |rig: &mut Rig, quiet: f64| {
        let mut feeds: Vec<_> = NAMES[1..]
            .iter()
            .map(|name| {
                let samples = (0..400).map(|_| normal.sample(&mut random)).collect();
                (named("m", name), MetricType::Timer, samples)
            })
            .collect();
        feeds.push((named("m", NAMES[0]), MetricType::Timer, vec![quiet, quiet + 1.0]));
        rig.typed_window(&feeds)
    };
    assert_eq!(window(&mut rig, 130.0), [], "two samples of 100 ± 20 may be so");
    let found = window(&mut rig, 200.0);
    assert_eq!(brief(&found), [("m@web-1", State::Firing)]);
    assert!(found[0].data.stddev.unwrap() > 10.0, "20/√2: {:?}", found[0].data.stddev);
}
