use kinetic_api::{anomaly::State, plan::AnalyticKind};

use super::*;
use crate::detect::rig::{Rig, analytic, brief, named, topology};

fn rig(of: AbsenceOf) -> Rig {
    Rig::new(AnalyticKind::Absence { after_ms: 60_000, of })
}

#[test]
fn a_series_is_missed_from_the_end_of_its_last_window_on() {
    let mut rig = rig(AbsenceOf::Series);
    rig.window(&[("a", 1.0), ("b", 1.0)]);
    let silent_from = rig.end_ms();
    for _ in 0..5 {
        assert_eq!(rig.window(&[("a", 1.0)]), []);
    }
    let found = rig.window(&[("a", 1.0)]);
    assert_eq!(brief(&found), [("m@b", State::Firing)]);
    let data = &found[0].data;
    assert_eq!(
        (data.since.as_millisecond(), found[0].time.as_millisecond()),
        (silent_from, silent_from + 60_000)
    );
    assert_eq!((data.value, data.threshold, data.score), (None, 60.0, 1.0));
    assert_eq!(data.explanation, "b's m has been silent for 1m (1m is allowed).");
    assert_eq!(data.history.iter().filter(|w| w.value.is_some()).count(), 1);
    assert_eq!(rig.window(&[("a", 1.0)]), [], "once");
    let found = rig.window(&[("a", 1.0), ("b", 1.0)]);
    assert_eq!(brief(&found), [("m@b", State::Resolved)]);
    assert_eq!(found[0].data.explanation, "b's m is back after 1m10s of silence.");
    assert_eq!(rig.window(&[("a", 1.0), ("b", 1.0)]), []);
}

#[test]
fn what_was_never_seen_is_not_missed_as_a_series() {
    let mut rig = rig(AbsenceOf::Series);
    assert_eq!(rig.silence(100), []);
    assert_eq!(rig.detector.analytics()[0].reason.as_deref(), Some("no series has matched yet"));
}

#[test]
fn a_forgotten_series_is_still_missed_and_still_resolves() {
    let mut rig = rig(AbsenceOf::Series);
    rig.window(&[("a", 1.0)]);
    assert_eq!(rig.evict(&named("m", "a")), [], "before it is due");
    assert_eq!(brief(&rig.silence(10)), [("m@a", State::Firing)]);
    assert_eq!(rig.detector.firing_count(), 1);
    let found = rig.window(&[("a", 1.0)]);
    assert_eq!(brief(&found), [("m@a", State::Resolved)]);
    assert_eq!(brief(&rig.silence(10)), [("m@a", State::Firing)]);
    assert_eq!(rig.evict(&named("m", "a")), [], "while it fires");
    assert_eq!(brief(&rig.window(&[("a", 1.0)])), [("m@a", State::Resolved)]);
}

#[test]
fn a_series_that_is_gone_for_good_resolves_after_a_day() {
    for evict in [false, true] {
        let mut rig = rig(AbsenceOf::Series);
        rig.window(&[("a", 1.0)]);
        let silent_from = rig.end_ms();
        assert_eq!(rig.silence(100).len(), 1);
        if evict {
            assert_eq!(rig.evict(&named("m", "a")), []);
        }
        let found = rig.silence(10_000);
        assert_eq!(brief(&found), [("m@a", State::Resolved)]);
        assert_eq!(found[0].time.as_millisecond(), silent_from + 86_400_000 + 60_000);
        assert!(
            found[0].data.explanation.ends_with("taken to be gone for good."),
            "{}",
            found[0].data.explanation
        );
        assert_eq!(rig.window(&[("a", 1.0)]), []);
        assert_eq!(rig.silence(10).len(), 1, "it may come back, and be missed again");
    }
}

#[test]
fn of_a_long_gap_of_which_not_every_window_is_reported_the_time_is_right() {
    for of in [AbsenceOf::Series, AbsenceOf::Source] {
        let mut rig = Rig::new(AnalyticKind::Absence { after_ms: 3_605_000, of });
        rig.window(&[("a", 1.0)]);
        let silent_from = rig.end_ms();
        rig.silence(100);
        rig.number += 5_000;
        let found = rig.silence(1);
        assert_eq!((found.len(), found[0].data.state), (1, State::Firing));
        assert_eq!(
            found[0].time.as_millisecond(),
            silent_from + 3_610_000,
            "the end of the window in which it was due"
        );
    }
}

#[test]
fn a_source_is_missed_even_if_it_never_was_there() {
    let mut rig = rig(AbsenceOf::Source);
    let begin = rig.end_ms();
    let found = rig.silence(20);
    assert_eq!(brief(&found), [("**", State::Firing)]);
    let data = &found[0].data;
    assert_eq!((data.since.as_millisecond(), found[0].time.as_millisecond()), (begin, begin + 60_000));
    assert_eq!(data.origin, "");
    assert_eq!(brief(&rig.window(&[("a", 1.0)])), [("**", State::Resolved)]);
    for n in 0..20 {
        assert_eq!(rig.window(&[(if n % 2 == 0 { "a" } else { "b" }, 1.0)]), [], "one of them is enough");
    }
    assert_eq!(brief(&rig.silence(6)), [("**", State::Firing)]);
}

#[test]
fn an_edited_patience_holds_at_once() {
    let mut rig = rig(AbsenceOf::Series);
    rig.window(&[("a", 1.0)]);
    rig.silence(3);
    let plan =
        topology(vec![analytic("odd", AnalyticKind::Absence { after_ms: 20_000, of: AbsenceOf::Series })]);
    assert!(rig.detector.fits(&plan, 0));
    rig.detector.edit(&plan, 0, &std::collections::HashMap::new());
    assert_eq!(brief(&rig.silence(1)), [("m@a", State::Firing)]);
}
