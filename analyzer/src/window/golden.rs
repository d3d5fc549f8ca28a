//! Windows and percentiles against numpy's.

use kinetic_api::statistic::Statistic;

use super::{Accumulator, Needs};
use crate::{
    decode::MetricType,
    golden::{Case, Golden, assert_near, largest},
};

const ALL: Needs = Needs { quantiles: true, cardinality: false, moments: true };

fn weights(case: Case) -> Vec<f64> {
    let count = case.numbers("values").len();
    case.get("weights").map_or_else(|| vec![1.0; count], <[f64]>::to_vec)
}

fn window(values: &[f64], weights: &[f64]) -> Accumulator {
    let mut accumulator = Accumulator::new(MetricType::Timer, ALL);
    for (value, weight) in values.iter().zip(weights) {
        accumulator.add(*value, *weight);
    }
    accumulator
}

/// Whole, and put together of parts.
fn windows(case: Case) -> Vec<Accumulator> {
    let (values, weights) = (case.numbers("values"), weights(case));
    let mut all = vec![window(values, &weights)];
    for cut in [1, values.len() / 3, values.len() / 2].into_iter().filter(|cut| *cut < values.len()) {
        let mut head = window(&values[..cut], &weights[..cut]);
        head.merge(&window(&values[cut..], &weights[cut..]));
        all.push(head);
    }
    all
}

/// The sum of 1,000 numbers of the size x is off by up to 1,000 roundings of x; the tolerance is stated by their weight.
#[test]
fn count_sum_mean_extremes_and_spread() {
    let golden = Golden::read(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/windows.csv")));
    let mut compared = 0;
    for case in golden.cases() {
        let values = case.numbers("values");
        let most = largest(values);
        for accumulator in windows(case) {
            for (name, want) in case.quantities() {
                let (statistic, scale) = match name {
                    "count" => (Statistic::Count, 0.0),
                    "sum" => (Statistic::Sum, most * weights(case).iter().sum::<f64>()),
                    "mean" => (Statistic::Mean, most),
                    "min" => (Statistic::Min, 0.0),
                    "max" => (Statistic::Max, 0.0),
                    "last" => (Statistic::Last, 0.0),
                    "stddev" => (Statistic::Stddev, most),
                    _ => continue,
                };
                let got = accumulator.statistic(statistic, 10_000).unwrap();
                assert_near(got, want[0], scale, &format!("{} of {}", name, case.name));
                compared += 1;
            }
        }
    }
    assert!(compared > 500, "{compared}");
}

/// The promise: within 1/128 of the sample that numpy's method "lower" gives.
#[test]
fn percentiles_are_within_one_in_128_of_the_exact_sample() {
    let golden =
        Golden::read(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/quantiles.csv")));
    let (mut compared, mut worst) = (0, 0.0_f64);
    for case in golden.cases() {
        for accumulator in windows(case) {
            let statistics = [Statistic::P50, Statistic::P90, Statistic::P95, Statistic::P99];
            for (statistic, exact) in statistics.into_iter().zip(case.numbers("quantiles")) {
                let got = accumulator.statistic(statistic, 10_000).unwrap();
                let off = (got - exact).abs();
                assert!(off <= exact.abs() / 128.0, "{statistic} of {}: {got}, not {exact}", case.name);
                worst = worst.max(if *exact == 0.0 { 0.0 } else { off / exact.abs() });
                compared += 1;
            }
        }
    }
    println!("{compared} percentiles, at most {:.3} % off", worst * 100.0);
    assert!(compared > 200, "{compared}");
}
