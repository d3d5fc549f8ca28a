use kinetic_api::{
    anomaly::State,
    resources::topology::{Change, Direction, Persistence},
};

use super::*;
use crate::detect::rig::{Rig, analytic, brief, topology};

fn rig(rule: ThresholdRule) -> Rig {
    Rig::new(AnalyticKind::Threshold(rule))
}

const FULL: ThresholdRule = ThresholdRule::Above { line: 90.0, clear: 85.0 };

#[test]
fn between_the_lines_it_stays_what_it_was() {
    let mut rig = rig(FULL);
    let turns: Vec<_> = [86.0, 90.0, 90.5, 86.0, 85.0, 84.9, 89.0, 91.0]
        .into_iter()
        .map(|value| rig.window(&[("a", value)]).first().map(|found| found.data.state))
        .collect();
    let (firing, resolved) = (Some(State::Firing), Some(State::Resolved));
    assert_eq!(turns, [None, None, firing, None, None, resolved, None, firing]);
}

#[test]
fn below_is_the_mirror_image() {
    let mut rig = rig(ThresholdRule::Below { line: 10.0, clear: 12.0 });
    let turns: Vec<_> = [11.0, 10.0, 9.0, 12.0, 12.1]
        .into_iter()
        .map(|value| rig.window(&[("a", value)]).pop())
        .map(|found| found.map(|found| (found.data.state, found.data.direction)))
        .collect();
    let below = |state| Some((state, Direction::Below));
    assert_eq!(turns, [None, None, below(State::Firing), None, below(State::Resolved)]);
}

#[test]
fn what_does_not_fire_yet_is_held_against_the_line_alone() {
    let mut plan = analytic("full", AnalyticKind::Threshold(FULL));
    plan.persistence = Persistence { windows: 2, of: 3 };
    let mut rig = Rig::of(&topology(vec![plan]));
    assert_eq!(rig.window(&[("a", 95.0)]), []);
    assert_eq!(rig.window(&[("a", 86.0)]), []);
    assert_eq!(brief(&rig.window(&[("a", 95.0)])), [("m@a", State::Firing)]);
    assert_eq!(rig.window(&[("a", 86.0)]), []);
    let found = rig.silence(3);
    assert_eq!(brief(&found), [("m@a", State::Resolved)], "a window without a value is not odd");
    assert!(found[0].data.explanation.contains("it has sent nothing"), "{}", found[0].data.explanation);
}

#[test]
fn is_told_with_its_line() {
    let mut rig = rig(FULL);
    rig.window(&[("a", 50.0)]);
    let fired = rig.window(&[("a", 99.0)]).remove(0);
    let data = &fired.data;
    assert_eq!(
        (data.value, data.expected, data.threshold, data.deviation),
        (Some(99.0), Some(90.0), 90.0, None)
    );
    assert!((data.score - 1.1).abs() < 1e-12);
    assert_eq!(
        data.history.iter().map(|w| (w.value, w.lower, w.upper)).collect::<Vec<_>>(),
        [(Some(50.0), None, Some(90.0)), (Some(99.0), None, Some(90.0))]
    );
    assert_eq!(data.explanation, "a's m (mean over 10s) is 99 ms: above 90 ms.");
    let resolved = rig.window(&[("a", 84.0)]).remove(0);
    assert_eq!(resolved.data.explanation, "a's m (mean over 10s) is back below 85 after 20s: 84 ms.");
}

#[test]
fn scores_are_finite_and_rise_with_the_distance() {
    for line in [0.0, 90.0, -5.0, 1e-300, 1e300] {
        for rule in [ThresholdRule::Above { line, clear: line }, ThresholdRule::Below { line, clear: line }] {
            let side = if matches!(rule, ThresholdRule::Above { .. }) { 1.0 } else { -1.0 };
            let scores = [0.0, 0.5, 1.0, 1e10, 1e149].map(|step| score(rule, line + side * step));
            assert!(scores.is_sorted() && scores[4].is_finite(), "{rule:?} {scores:?}");
            assert!((scores[0] - 1.0).abs() < 1e-12, "{rule:?}: the line");
        }
    }
}

fn state(statistic: Statistic, line: f64, edit: impl Fn(&mut AnalyticPlan)) -> (AnalyticState, String) {
    let mut plan = analytic("odd", AnalyticKind::Threshold(ThresholdRule::Below { line, clear: line }));
    plan.statistic = statistic;
    edit(&mut plan);
    let mut rig = Rig::of(&topology(vec![plan]));
    rig.window(&[("a", 1.0)]);
    let report = rig.detector.analytics().remove(0);
    (report.state, report.reason.unwrap_or_default())
}

#[test]
fn what_can_never_be_is_said() {
    let (never, why) = state(Statistic::Count, 1.0, |_| {});
    assert_eq!(never, AnalyticState::Unsatisfiable);
    assert!(why.starts_with("a count is never below 1: ") && why.contains("absence"), "{why}");
    assert_eq!(state(Statistic::Count, 1.5, |_| {}), (AnalyticState::Active, String::new()));
    let (never, why) = state(Statistic::Stddev, 0.0, |_| {});
    assert_eq!((never, why.as_str()), (AnalyticState::Unsatisfiable, "it is never below 0"));
    assert_eq!(state(Statistic::Mean, -5.0, |_| {}).0, AnalyticState::Active, "levels may be anywhere");
    assert_eq!(
        state(Statistic::Count, -5.0, |plan| plan.change = Some(Change::PerWindow)).0,
        AnalyticState::Active
    );
}

#[test]
fn a_statistic_that_no_matching_series_has_is_said() {
    let (never, why) = state(Statistic::Cardinality, 5.0, |_| {});
    assert_eq!(never, AnalyticState::Unsatisfiable);
    assert!(why.contains("only sets have a cardinality"), "{why}");
}
