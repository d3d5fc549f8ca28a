use kinetic_api::{
    plan::{AnalyticKind, SourcePlan, ThresholdRule},
    resources::topology::{AbsenceOf, Cluster, Stddev},
};

use super::*;
use crate::{
    backtest::{Flagged, Track},
    test_plan::{analytic, source, topology},
};

const INTERVAL_MS: i64 = 60_000;
const START_MS: i64 = 1_767_225_600_000;

fn plan(kind: AnalyticKind) -> TopologyPlan {
    TopologyPlan {
        sources: vec![SourcePlan {
            interval_ms: INTERVAL_MS,
            origin: OriginRule::Tag("host".into()),
            ..source()
        }],
        ..topology(vec![analytic("odd", "page.**", kind)])
    }
}

/// One series a feed, a value a window; NaN is none.
fn replay(kind: AnalyticKind, feeds: &[(&str, Vec<f64>)], keep: Keep) -> Judgement {
    let mut replay = Replay::of_rows(&plan(kind), 0, "latency: ms", keep);
    assert_eq!(replay.metric(), "latency_ ms");
    let windows = feeds.iter().map(|(_, values)| values.len()).max().unwrap_or_default();
    for n in 0..windows {
        for (origin, values) in feeds.iter().filter(|(_, values)| values[n].is_finite()) {
            replay.row(origin, START_MS + INTERVAL_MS * i64::try_from(n).unwrap(), values[n]);
        }
    }
    replay.finish()
}

fn wave(windows: i32) -> Vec<f64> {
    (0..windows).map(|n| -100.0 + f64::from((n * 7919 + n * n * 31) % 101) / 20.0).collect()
}

fn track<'a>(judgement: &'a Judgement, origin: &str) -> &'a Track {
    judgement.tracks.iter().find(|track| track.series.origin == origin).unwrap()
}

fn windows(flagged: &Flagged) -> (i64, i64) {
    let (from, to) = flagged.span_ms(i64::MAX);
    ((from - START_MS) / INTERVAL_MS, (to - START_MS) / INTERVAL_MS)
}

#[test]
fn every_window_has_a_score_and_the_finding_the_worst_of_its_own() {
    let mut values = wave(200);
    values[120..125].fill(50.0);
    values[122] = 80.0;
    for keep in [Keep::All, Keep::Last] {
        let judgement = replay(AnalyticKind::Stddev(Stddev::default()), &[("", values.clone())], keep);
        let [flagged] = judgement.flagged.as_slice() else { panic!("{:#?}", judgement.flagged) };
        // 120 to 124 are odd, and it is over when three windows were not.
        assert_eq!(windows(flagged), (120, 128));
        let first = values[120] - flagged.peak.expected.unwrap();
        assert!(first > 0.0 && flagged.peak.score >= flagged.fired.data.score);
        let track = track(&judgement, "");
        assert_eq!((track.seen, track.judged), (200, 170));
        assert!(track.windows[..30].iter().all(|window| window.judged.is_none()), "warming up");
        for (n, window) in track.windows.iter().enumerate().skip(30) {
            let judged = window.judged.unwrap();
            assert_eq!(window.value, Some(values[n]));
            assert_eq!(judged.score >= 1.0, (120..125).contains(&n), "{n}: {judged:?}");
            let distance = (values[n] - judged.expected.unwrap()).abs();
            assert_eq!(distance > judged.reach.unwrap(), judged.score > 1.0, "the band and the score agree");
            assert!(judged.score <= flagged.peak.score);
        }
    }
}

#[test]
fn a_feed_is_scored_among_its_peers() {
    let feeds = ["a", "b", "c", "d"].map(|name| {
        let mut values: Vec<f64> = wave(50)
            .iter()
            .enumerate()
            .map(|(n, v)| v + f64::from(u8::try_from(n * name.len()).unwrap() % 3))
            .collect();
        if name == "c" {
            values[20..30].fill(400.0);
        }
        (name, values)
    });
    let judgement = replay(AnalyticKind::Cluster(Cluster::default()), &feeds, Keep::All);
    assert_eq!(judgement.flagged.len(), 1);
    assert_eq!(judgement.flagged[0].fired.data.origin, "c");
    assert_eq!(windows(&judgement.flagged[0]), (20, 33));
    for (name, _) in &feeds {
        for (n, window) in track(&judgement, name).windows.iter().enumerate() {
            let odd = *name == "c" && (20..30).contains(&n);
            assert_eq!(window.judged.unwrap().score >= 1.0, odd, "{name} {n}");
        }
    }
    // Two feeds have nothing to be compared with: not judged, and said so.
    let few = replay(AnalyticKind::Cluster(Cluster::default()), &feeds[..2], Keep::All);
    assert!(few.tracks.iter().all(|track| track.judged == 0 && track.seen == 50));
    assert!(few.analytic.unwrap().reason.unwrap().contains("2 of 3 feeds"));
}

#[test]
fn a_threshold_scores_by_its_line() {
    let mut values = vec![45.0; 20];
    values[10..13].fill(180.0);
    let rule = ThresholdRule::Above { line: 90.0, clear: 90.0 };
    let judgement = replay(AnalyticKind::Threshold(rule), &[("", values)], Keep::All);
    let scores: Vec<f64> = track(&judgement, "").windows.iter().map(|w| w.judged.unwrap().score).collect();
    assert_eq!((scores[9], scores[10]), (0.5, 2.0));
    assert_eq!(windows(&judgement.flagged[0]), (10, 16));
}

#[test]
fn silence_is_scored_when_it_ends() {
    for of in [AbsenceOf::Series, AbsenceOf::Source] {
        let mut values = wave(60);
        values[20..35].fill(f64::NAN);
        values[40..42].fill(f64::NAN);
        let kind = AnalyticKind::Absence { after_ms: 5 * INTERVAL_MS, of };
        let judgement = replay(kind, &[("a", values)], Keep::All);
        assert_eq!(judgement.flagged.len(), 1, "{of:?}");
        assert_eq!(windows(&judgement.flagged[0]), (20, 36), "{of:?}");
        let track = track(&judgement, "a");
        let score = |n: i64| track.window(START_MS + n * INTERVAL_MS).map(|w| w.judged.unwrap().score);
        assert_eq!(
            [score(19), score(20), score(35), score(36), score(42)],
            [Some(0.0), None, Some(3.0), Some(0.0), Some(0.4)]
        );
        assert!((judgement.flagged[0].peak.score - 3.0).abs() < 1e-9, "{of:?}");
    }
}

#[test]
fn what_still_fires_at_the_end_is_open() {
    let mut values = vec![1.0; 20];
    values[15..].fill(5.0);
    let rule = ThresholdRule::Above { line: 2.0, clear: 2.0 };
    let judgement = replay(AnalyticKind::Threshold(rule), &[("", values)], Keep::All);
    assert!(judgement.flagged[0].resolved.is_none());
    assert_eq!(judgement.flagged[0].span_ms(START_MS + 20 * INTERVAL_MS).1, START_MS + 20 * INTERVAL_MS);
}

#[test]
fn a_series_that_was_forgotten_comes_back_as_the_same() {
    let mut values = wave(700);
    values[100..600].fill(f64::NAN);
    let rule = ThresholdRule::Above { line: 200.0, clear: 200.0 };
    let judgement = replay(AnalyticKind::Threshold(rule), &[("a", values), ("b", wave(700))], Keep::All);
    assert_eq!(judgement.tracks.len(), 2);
    assert_eq!((track(&judgement, "a").seen, track(&judgement, "b").seen), (200, 700));
}
