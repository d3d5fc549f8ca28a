//! The event that analyzers and the alert service share: its JSON, and ids that never change.

#![allow(clippy::unwrap_used, reason = "a test that fails there says so")]

use std::collections::HashSet;

use jiff::Timestamp;
use kinetic_api::{
    anomaly::{self, AnalyticName, Anomaly, Finding, Found, HistoryWindow, PeerLine, Peers, State},
    resources::topology::Direction,
    statistic::Statistic,
};
use proptest::prelude::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn finding() -> Finding {
    let window = |time, value, expected: f64| HistoryWindow {
        time: at(time),
        value,
        expected: Some(expected),
        lower: None,
        upper: Some(expected + 4.0),
    };
    Finding {
        customer: "shop".into(),
        topology: "web".into(),
        analytic: "slow-host".into(),
        analytic_kind: AnalyticName::Cluster,
        metrics_source: "pages".into(),
        profiles: vec!["web".into()],
        metric: "page.checkout.time".into(),
        origin: "web-3".into(),
        tags: vec![("env".into(), "prod".into())],
        statistic: Statistic::Mean,
        measure: None,
        interval_ms: 5000,
        value: Some(310.5),
        expected: Some(101.25),
        stddev: Some(2.5),
        deviation: Some(12.0),
        threshold: 4.0,
        score: 3.0,
        direction: Direction::Above,
        state: State::Firing,
        since: at(-5),
        peers: Some(Peers {
            count: 2,
            origins: vec!["web-1".into(), "web-2".into()],
            lines: vec![PeerLine { origin: "web-1".into(), values: vec![None, Some(100.5)] }],
        }),
        history: vec![window(-5, None, 100.0), window(0, Some(310.5), 101.25)],
        found: Found::Live,
        explanation: "page.checkout.time of web-3 is 12 standard deviations above its 2 peers.".into(),
    }
}

#[test]
fn the_event_in_json() {
    let event = Anomaly::new(at(0), finding());
    insta::assert_json_snapshot!(event);
    let json = serde_json::to_string(&event).unwrap();
    assert_eq!(serde_json::from_str::<Anomaly>(&json).unwrap(), event);
}

/// The alert service knows ids for longer than any version of Kinetic lives: this one must never become another.
#[test]
fn an_id_is_for_ever() {
    let event = Anomaly::new(at(0), finding());
    assert_eq!(event.source, "/customers/shop/topologies/web/analytics/slow-host");
    assert_eq!(event.subject, "page.checkout.time{env=prod}@web-3");
    assert_eq!(event.id, "6ccbe55e4ac8d2c63dc78cb07e93218e");
    assert_eq!(event.id, anomaly::id(&event.source, &event.subject, event.time, State::Firing));
}

#[test]
fn an_id_is_about_the_finding_only() {
    let id = |change: &dyn Fn(&mut Finding), time| {
        let mut finding = finding();
        change(&mut finding);
        Anomaly::new(time, finding).id
    };
    let same = id(&|_| {}, at(0));
    assert_eq!(same, id(&|f| f.value = None, at(0)));
    assert_eq!(same, id(&|f| f.found = Found::Warmup, at(0)));
    let others = HashSet::from([
        id(&|f| f.state = State::Resolved, at(0)),
        id(&|f| f.origin = "web-4".into(), at(0)),
        id(&|f| f.metric = "page.search.time".into(), at(0)),
        id(&|f| f.tags.clear(), at(0)),
        id(&|f| f.analytic = "other".into(), at(0)),
        id(&|f| f.customer = "other".into(), at(0)),
        id(&|_| {}, at(5)),
        same,
    ]);
    assert_eq!(others.len(), 8);
}

proptest! {
    /// Letters that wander from one part to the next make another id.
    #[test]
    fn parts_do_not_run_into_each_other(text in "[ab]{2,8}", cut in 1_usize..8, other in 1_usize..8) {
        let (cut, other) = (cut.min(text.len()), other.min(text.len()));
        let id = |n: usize| anomaly::id(&text[..n], &text[n..], at(0), State::Firing);
        prop_assert_eq!(id(cut) == id(other), cut == other);
    }
}
