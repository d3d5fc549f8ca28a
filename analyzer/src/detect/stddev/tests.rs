use std::collections::HashMap;

use kinetic_api::{
    anomaly::{Found, State},
    resources::topology::{Direction, MinStddev, Persistence},
    series::SeriesName,
};
use rand::{SeedableRng, rngs::SmallRng};
use rand_distr::{Distribution, Normal};

use super::*;
use crate::{
    decode::MetricType,
    detect::rig::{Rig, analytic, brief, topology},
};

fn short() -> Stddev {
    // 60 windows.
    Stddev { baseline: "10m".parse().unwrap(), ..Stddev::default() }
}

fn rig(stddev: Stddev) -> Rig {
    Rig::new(AnalyticKind::Stddev(stddev))
}

fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut random = SmallRng::seed_from_u64(seed);
    let normal = Normal::new(100.0, 5.0).unwrap();
    move || normal.sample(&mut random)
}

/// Lets it learn; returns how many windows were odd.
fn learn(rig: &mut Rig, windows: usize, mut value: impl FnMut() -> f64) -> usize {
    (0..windows).map(|_| rig.window(&[("a", value())]).len()).sum()
}

#[test]
fn a_spike_is_odd_and_leaves_the_band_where_it_was() {
    let mut rig = rig(short());
    assert_eq!(learn(&mut rig, 300, noise(1)), 0);
    let fired = rig.window(&[("a", 5_000.0)]).remove(0);
    let data = &fired.data;
    assert!(
        (data.expected.unwrap() - 100.0).abs() < 3.0 && (data.stddev.unwrap() - 5.0).abs() < 1.5,
        "{data:?}"
    );
    assert!(data.deviation.unwrap() > 20.0);
    assert!(data.explanation.contains(" standard deviations above its usual "), "{}", data.explanation);
    assert_eq!(data.history.len(), 60);
    assert!(
        data.history.iter().all(|w| w.lower.unwrap() > 60.0 && w.upper.unwrap() < 140.0),
        "{:?}",
        data.history
    );
    let resolved = rig.window(&[("a", 101.0)]).remove(0);
    assert!((resolved.data.stddev.unwrap() / data.stddev.unwrap() - 1.0).abs() < 0.1, "hardly learned");
    assert!(
        resolved.data.explanation.contains("is back at its usual level after "),
        "{}",
        resolved.data.explanation
    );
}

#[test]
fn judged_before_learned_and_not_before_warm() {
    let mut rig = rig(Stddev { warmup: 10, ..short() });
    let mut value = noise(2);
    assert_eq!(learn(&mut rig, 9, &mut value), 0);
    let report = rig.detector.analytics().remove(0);
    assert_eq!(
        (report.state, report.reason.as_deref()),
        (AnalyticState::WarmingUp, Some("9 of 10 windows learned"))
    );
    assert_eq!(rig.window(&[("a", 100.0)]), [], "the tenth is learned");
    assert_eq!(brief(&rig.window(&[("a", 1e6)])), [("m@a", State::Firing)], "the eleventh is judged");
    assert_eq!(rig.detector.analytics()[0].state, AnalyticState::Active);
}

#[test]
fn a_lasting_shift_becomes_the_normal_within_two_baselines_however_large() {
    for shift in [60.0, 500.0, 1e9] {
        let mut rig = rig(short());
        let mut value = noise(3);
        learn(&mut rig, 300, &mut value);
        let mut found = Vec::new();
        let mut last = 0;
        for window in 0..600 {
            let now = rig.window(&[("a", value() + shift)]);
            last = if now.is_empty() { last } else { window };
            found.extend(now);
        }
        assert_eq!(found[0].data.state, State::Firing, "{shift}");
        assert_eq!(found.last().unwrap().data.state, State::Resolved, "{shift}");
        assert!(last < 120, "{shift}: {last} windows, where a baseline has 60");
        assert_eq!(rig.window(&[("a", -1e9)]).len(), 1, "{shift}: the new level is guarded");
    }
}

#[test]
fn an_hour_of_anomaly_within_a_day_does_not_hide_the_next() {
    let mut rig = rig(Stddev::default());
    let mut value = noise(4);
    learn(&mut rig, 3_000, &mut value);
    let mut firing = 0;
    for _ in 0..180 {
        rig.window(&[("a", value() + 200.0)]);
        firing += rig.detector.firing_count();
    }
    assert!(firing > 150, "half a baseline long it fires on: {firing}");
    learn(&mut rig, 360, &mut value);
    assert_eq!(rig.window(&[("a", 300.0)]).len(), 1);
}

#[test]
fn early_false_alarms_are_as_rare_as_late_ones() {
    let (mut early, mut late) = (0, 0);
    for seed in 0..150 {
        // Two normal deviations are exceeded by 4.55 % of windows.
        let mut rig = rig(Stddev {
            deviation: 2.0,
            warmup: 5,
            min_stddev: MinStddev { absolute: 0.0, relative: 0.0 },
            ..short()
        });
        let mut value = noise(seed);
        let mut odd = |rig: &mut Rig, windows| {
            (0..windows)
                .filter(|_| {
                    rig.window(&[("a", value())]);
                    rig.detector.firing_count() == 1
                })
                .count()
        };
        odd(&mut rig, 5);
        early += odd(&mut rig, 15);
        odd(&mut rig, 200);
        late += odd(&mut rig, 15);
    }
    assert!((65..145).contains(&early), "of 2250: {early}");
    assert!((65..145).contains(&late), "of 2250: {late}");
}

#[test]
fn a_gap_is_no_zero() {
    let mut rig = rig(short());
    let mut value = noise(5);
    learn(&mut rig, 300, &mut value);
    rig.silence(30);
    assert_eq!(learn(&mut rig, 50, &mut value), 0);
    rig.silence(5_000);
    assert_eq!(rig.window(&[("a", 1e6)]), [], "all is forgotten: it learns anew");
    assert_eq!(rig.detector.analytics()[0].state, AnalyticState::WarmingUp);
}

#[test]
fn what_never_moves_is_held_against_the_floor() {
    let mut rig = rig(Stddev { min_stddev: MinStddev { absolute: 0.5, relative: 0.0 }, ..short() });
    learn(&mut rig, 100, || 7.0);
    assert_eq!(rig.window(&[("a", 8.9)]), []);
    assert_eq!(learn(&mut rig, 100, || 7.0), 0);
    let found = rig.window(&[("a", 4.0)]);
    assert_eq!((found[0].data.direction, found[0].data.stddev), (Direction::Below, Some(0.5)));
}

#[test]
fn what_fires_must_come_back_within_three_quarters_of_the_line() {
    let mut rig = rig(Stddev { min_stddev: MinStddev { absolute: 0.5, relative: 0.0 }, ..short() });
    learn(&mut rig, 100, || 7.0);
    let mut turns = |value| rig.window(&[("a", value)]).len();
    assert_eq!([turns(9.2), turns(8.6), turns(8.2), turns(8.6)], [1, 0, 1, 0], "4 × 0.5 is the line");
}

#[test]
fn levels_of_1e15_keep_their_digits() {
    let mut rig = rig(Stddev { min_stddev: MinStddev { absolute: 0.0, relative: 0.0 }, ..short() });
    let mut value = noise(6);
    assert_eq!(learn(&mut rig, 300, || 1e15 + value().round()), 0);
    let fired = rig.window(&[("a", 1e15 + 160.0)]).remove(0);
    assert!((fired.data.deviation.unwrap() - 12.0).abs() < 4.0, "{:?}", fired.data.deviation);
}

#[test]
fn what_was_found_before_it_was_active_is_history() {
    let mut plan = analytic("odd", AnalyticKind::Stddev(short()));
    plan.persistence = Persistence { windows: 1, of: 1 };
    let plan = topology(vec![plan]);
    let mut rig = Rig::of(&plan);
    learn(&mut rig, 100, noise(7));
    let until = rig.end_ms() + 10_000;
    rig.detector.edit(&plan, 0, &HashMap::from([("odd".to_owned(), until)]));
    assert_eq!(rig.detector.analytics()[0].state, AnalyticState::WarmingUp);
    assert_eq!(rig.window(&[("a", 1e3)])[0].data.found, Found::Warmup, "ends at that moment");
    assert_eq!(rig.window(&[("a", 100.0)])[0].data.found, Found::Live);
    assert_eq!(rig.detector.analytics()[0].state, AnalyticState::Active);
}

/// Means of so many samples of 100 ± 20 each.
fn means(rig: &mut Rig, samples: usize, windows: usize, level: f64, seed: u64) -> usize {
    let mut random = SmallRng::seed_from_u64(seed);
    let normal = Normal::new(level, 20.0).unwrap();
    let name = SeriesName { metric: "m".into(), tags: Vec::new(), origin: "a".into() };
    let mut window = || (0..samples).map(|_| normal.sample(&mut random)).collect();
    (0..windows).map(|_| rig.typed_window(&[(name.clone(), MetricType::Timer, window())]).len()).sum()
}

#[test]
fn fewer_samples_are_allowed_for() {
    for seed in 0..5 {
        let mut rig = rig(short());
        assert_eq!(means(&mut rig, 30, 300, 100.0, seed), 0);
        assert_eq!(means(&mut rig, 3, 60, 100.0, seed + 10), 0, "nights are quiet");
        assert_eq!(means(&mut rig, 30, 60, 100.0, seed + 20), 0);
        assert_eq!(means(&mut rig, 3, 1, 200.0, seed + 30), 1, "what is far off is, of three samples too");
    }
    // The same means without a word of how many samples they are of: the test above tests something.
    let mut random = SmallRng::seed_from_u64(0);
    let mut means = |samples: f64| Normal::new(100.0, 20.0 / samples.sqrt()).unwrap().sample(&mut random);
    let mut rig = rig(short());
    learn(&mut rig, 300, || means(30.0));
    assert!(learn(&mut rig, 60, || means(3.0)) > 0);
}
