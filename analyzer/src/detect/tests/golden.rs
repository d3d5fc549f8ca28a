//! What analytics reckon with, against scipy's figures and exact fractions.

use kinetic_api::resources::topology::{Center, MinStddev};

use crate::{
    detect::{
        baseline::{Baseline, Fading},
        expectation::Expectation,
        leave_one_out::{LeaveOneOut, degrees_of_freedom, others},
        tail::{Lines, normal_deviation},
    },
    golden::{Golden, assert_near, largest},
};

const NO_FLOOR: MinStddev = MinStddev { absolute: 0.0, relative: 0.0 };

#[test]
fn each_feeds_peers() {
    let golden =
        Golden::read(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/leave_one_out.csv")));
    let mut compared = 0;
    for case in golden.cases() {
        let values = case.numbers("values");
        for (center, centre, spread) in [(Center::Mean, "mean", "stddev"), (Center::Median, "median", "mad")]
        {
            let mut work = LeaveOneOut::default();
            for (n, got) in work.others(center, values).iter().enumerate() {
                let mut peers: Vec<f64> = values.to_vec();
                peers.remove(n);
                // Only the peers' size matters: the feed itself may be as far off as it likes.
                let scale = largest(&peers);
                let alone = others(center, &mut peers);
                // A centre is known to a rounding of what it is made of, a spread to all its digits.
                for (quantity, got, scale) in [
                    (centre, got.centre, scale),
                    (spread, got.spread, 0.0),
                    (centre, alone.centre, scale),
                    (spread, alone.spread, 0.0),
                ] {
                    let what = format!("{quantity} of the others of {n} in {}", case.name);
                    assert_near(got, case.numbers(quantity)[n], scale, &what);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 1_000, "{compared}");
}

#[test]
fn each_feeds_deviation_among_its_peers() {
    let golden =
        Golden::read(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/leave_one_out.csv")));
    let lines = Lines::new(4.0, degrees_of_freedom(Center::Mean));
    let mut compared = 0;
    for case in golden.cases() {
        let values = case.numbers("values");
        let mut work = LeaveOneOut::default();
        for ((got, value), want) in
            work.others(Center::Mean, values).iter().zip(values).zip(case.numbers("normal"))
        {
            if want.is_nan() {
                continue;
            }
            let expected = Expectation::new(got.centre, got.spread, (values.len() - 1) as f64, NO_FLOOR);
            let z = expected.deviation(*value, &lines);
            // The peers' centre, as a double, is known to a rounding only.
            let rounding =
                4.0 * f64::EPSILON * largest(values.iter().filter(|v| v.to_bits() != value.to_bits()))
                    / got.spread;
            assert!(
                (z - want).abs() <= 1e-7 * want.abs() + rounding,
                "{value} in {}: {z}, not {want}",
                case.name
            );
            compared += 1;
        }
    }
    assert!(compared > 250, "{compared}");
}

/// scipy's `norm.isf(t.sf(t, degrees))`; figures of sixty digits are in `testdata/student_tail.csv`.
#[test]
fn tails() {
    let golden = Golden::read(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tails.csv")));
    for case in golden.cases() {
        let degrees = case.numbers("degrees")[0];
        for (t, want) in case.numbers("t").iter().zip(case.numbers("normal")) {
            assert_near(normal_deviation(*t, degrees), *want, 0.0, &format!("{t} of {}", case.name));
        }
    }
    assert_eq!(golden.cases().count(), 9);
}

/// Knuth's MMIX generator, as in `generate.py`.
fn pseudo_random() -> impl Iterator<Item = f64> {
    let mut state = 1_u64;
    std::iter::from_fn(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((state >> 40) as f64 / f64::from(1 << 24))
    })
}

/// Exponentially weighted mean and variance over 100,000 windows with gaps: nothing drifts.
#[test]
fn the_past_of_a_hundred_thousand_windows() {
    let golden = Golden::read(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/fading.csv")));
    let mut compared = 0;
    for case in golden.cases() {
        let (_, first) = case.quantities().next().unwrap();
        let (windows, level) = (first[0], first[1]);
        #[expect(clippy::cast_possible_truncation, reason = "whole")]
        let fading = Fading::new((windows * 1_000.0) as i64, 1_000);
        let mut baseline = Baseline::default();
        for (n, raw) in (0_i64..100_000).zip(pseudo_random()) {
            let offset = match case.name.rsplit_once('-').unwrap().0 {
                "noise" => 100.0 + 10.0 * raw,
                "around-1e9" => (raw * 64.0).floor(),
                "around-1e15" => (raw * 8.0).floor(),
                "spikes" if raw > 0.999 => 1e6,
                "spikes" => 100.0 + raw,
                other => panic!("{other}"),
            };
            baseline.fade(n + 50 * (n / 1_000), fading);
            baseline.learn(level + offset, None);
            let Some(figures) = case.get(&format!("at-{}", n + 1)) else { continue };
            let [_, _, mean, spread, worth] = figures else { panic!("{figures:?}") };
            let what = |quantity: &str| format!("{quantity} of {} at {}", case.name, n + 1);
            let got = baseline.expectation(NO_FLOOR).unwrap();
            assert_near(got.centre - level, *mean, level, &what("mean"));
            assert_near(got.spread, *spread, 0.0, &what("spread"));
            assert_near(got.count, *worth, 0.0, &what("worth"));
            compared += 1;
        }
    }
    assert_eq!(compared, 4 * 3 * 8);
}
