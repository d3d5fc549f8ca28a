//! What a series' own past leads to expect: exponentially weighted mean and variance.
//!
//! Weights fall with time, not with the number of values, so that a gap ages the past like anything else; a gap is never a
//! zero. Variance is corrected for the few values that it stands on at first (the weighted form of n − 1), and how many
//! those are worth, (Σw)²/Σw² (Kish), gives the degrees of freedom: an early value is no more easily odd than a late one.

use kinetic_api::resources::topology::MinStddev;
use serde::{Deserialize, Serialize};

use super::expectation::{Excess, Expectation};
use crate::{twofold::Twofold, window::Scatter};

/// How many standard deviations of an odd value are learned.
const LEARNED_OF_ODD: f64 = 2.0;

/// Weights that have fallen together below this hold nothing any more.
const FORGOTTEN: f64 = 1e-9;

/// How fast the past fades.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fading {
    /// So many windows take a weight to 1/e.
    windows: f64,
    per_window: f64,
}

impl Fading {
    /// Weights fall to 1/e over `baseline_ms`.
    #[must_use]
    pub fn new(baseline_ms: i64, interval_ms: i64) -> Self {
        let windows = baseline_ms as f64 / interval_ms as f64;
        Self { windows, per_window: (-windows.recip()).exp() }
    }

    /// How many values the past is worth at most: of a series without gaps, in the long run.
    #[must_use]
    pub fn most_worth(self) -> usize {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive; `as` saturates"
        )]
        let worth = ((1.0 + self.per_window) / (1.0 - self.per_window)) as usize;
        worth
    }

    /// What is left of a weight after so many windows.
    fn over(self, windows: i64) -> f64 {
        if windows == 1 { self.per_window } else { (-(windows as f64) / self.windows).exp() }
    }
}

/// A series' past, in a few numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The mean, and in single precision what a double has no digits for ([`Twofold`]).
    mean: f64,
    mean_low: f32,
    /// For so many windows, the latest among them, values have all been odd to the same side: above, or if negative below.
    odd_run: i32,
    /// Weighted sum of squared distances from the mean.
    squares: f64,
    /// Sum of the weights.
    weight: f64,
    /// Sum of the weights' squares.
    weight_squares: f64,
    /// The last window that was learned.
    latest: i64,
    learned: u32,
    within: Within,
}

/// How sure the learned values were: single precision, since it only ever widens what is expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Within {
    /// Weighted sum of the squared distances of samples from their windows' means, and of its degrees of freedom.
    squares: f32,
    freedom: f32,
    /// Weighted sum of one over the number of samples.
    thinness: f32,
}

impl Baseline {
    /// How many windows it has learned since it began.
    #[must_use]
    pub fn learned(&self) -> u32 {
        self.learned
    }

    /// Lets the past fade up to the window of this number.
    pub fn fade(&mut self, number: i64, fading: Fading) {
        let passed = number.saturating_sub(self.latest);
        let left = fading.over(passed);
        self.squares *= left;
        self.weight *= left;
        self.weight_squares *= left * left;
        self.within.fade(left);
        self.latest = number;
        if self.odd_run != 0 {
            let passed = i32::try_from(passed).unwrap_or(i32::MAX);
            self.odd_run = self.odd_run.saturating_add(passed.saturating_mul(self.odd_run.signum()));
        }
        if self.weight < FORGOTTEN {
            *self = Self { latest: number, ..Self::default() };
        }
    }

    /// What the past leads to expect; None while it is worth fewer than two values.
    #[must_use]
    pub fn expectation(&self, floor: MinStddev) -> Option<Expectation> {
        let worth = self.weight * self.weight / self.weight_squares;
        // Two equal weights give 2 less a rounding error.
        (worth > 1.999).then(|| {
            let variance = self.squares / (self.weight - self.weight_squares / self.weight);
            Expectation::new(self.mean, variance.max(0.0).sqrt(), worth, floor)
        })
    }

    /// By how much the variance of a mean of such samples is larger than that of those that were learned: windows' means vary
    /// by σ² between windows and by s²/n for the n samples of each, which vary by s². So a value of fewer samples than usual is
    /// expected to be further off.
    #[must_use]
    pub fn excess(&self, scatter: Scatter) -> Excess {
        let Within { squares, freedom, thinness } = self.within;
        let usual = f64::from(thinness) / self.weight;
        let variance = f64::from(squares / freedom) * (scatter.thinness() - usual);
        Excess { variance, freedom: f64::from(freedom) }
    }

    /// Learns the value of the window up to which it has faded.
    pub fn learn(&mut self, value: f64, scatter: Option<Scatter>) {
        self.odd_run = 0;
        self.add(value, scatter);
    }

    /// Learns a value that was odd: with less weight, so that a short anomaly neither becomes the normal nor hides the next
    /// one. Only two standard deviations of it are learned, which shift the centre and widen the spread step by step; and
    /// when the values have been odd to the same side for a whole baseline, they are the normal: it begins anew with them.
    pub fn learn_odd(
        &mut self,
        value: f64,
        scatter: Option<Scatter>,
        expected: &Expectation,
        fading: Fading,
    ) {
        // It counts this window, and grows as the past fades.
        let first = if value > expected.centre { 1 } else { -1 };
        if self.odd_run.signum() != first {
            self.odd_run = first;
        }
        if f64::from(self.odd_run.unsigned_abs() - 1) >= fading.windows {
            *self = Self { latest: self.latest, ..Self::default() };
            self.add(value, scatter);
        } else {
            let most = LEARNED_OF_ODD * expected.assumed_spread();
            self.add(value.clamp(expected.centre - most, expected.centre + most), scatter);
        }
    }

    fn add(&mut self, value: f64, scatter: Option<Scatter>) {
        if let Some(scatter) = scatter {
            self.within.add(scatter);
        }
        self.weight += 1.0;
        self.weight_squares += 1.0;
        let mut mean = Twofold::of(self.mean, self.mean_low);
        let distance = mean.distance_to(value);
        mean.shift(distance / self.weight);
        self.squares += distance * mean.distance_to(value);
        (self.mean, self.mean_low) = mean.parts();
        self.learned = self.learned.saturating_add(1);
    }
}

#[allow(clippy::cast_possible_truncation, reason = "see Within")]
impl Within {
    fn fade(&mut self, left: f64) {
        let left = left as f32;
        self.squares *= left;
        self.freedom *= left;
        self.thinness *= left;
    }

    fn add(&mut self, scatter: Scatter) {
        self.squares += scatter.squares() as f32;
        self.freedom += scatter.freedom() as f32;
        self.thinness += scatter.thinness() as f32;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NO_FLOOR: MinStddev = MinStddev { absolute: 0.0, relative: 0.0 };

    fn learned(values: impl IntoIterator<Item = (i64, f64)>, fading: Fading) -> Baseline {
        let mut baseline = Baseline::default();
        for (number, value) in values {
            baseline.fade(number, fading);
            baseline.learn(value, None);
        }
        baseline
    }

    proptest! {
        /// Against weights written out, with gaps.
        #[test]
        fn agrees_with_the_definition(
            steps in prop::collection::vec((1_i64..5, -1e3..1e3_f64), 2..60),
            windows in 3_i64..500,
            level in prop::sample::select(vec![0.0, 1e9]),
        ) {
            let fading = Fading::new(windows * 1000, 1000);
            let mut number = 170_000_000;
            let values: Vec<(i64, f64)> =
                steps.into_iter().map(|(step, value)| { number += step; (number, level + value) }).collect();
            let weights: Vec<f64> =
                values.iter().map(|(at, _)| (-((number - at) as f64) / windows as f64).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let squared: f64 = weights.iter().map(|w| w * w).sum();
            let mean = level + weights.iter().zip(&values).map(|(w, (_, v))| w * (v - level)).sum::<f64>() / sum;
            let squares: f64 = weights.iter().zip(&values).map(|(w, (_, v))| w * (v - mean).powi(2)).sum();
            let spread = (squares / (sum - squared / sum)).sqrt();
            let worth = sum * sum / squared;
            match learned(values, fading).expectation(NO_FLOOR) {
                None => prop_assert!(worth < 2.0),
                Some(got) => {
                    prop_assert!((got.centre - mean).abs() <= 1e-9 * (spread + mean.abs() * 1e-6));
                    prop_assert!((got.spread - spread).abs() <= 1e-6 * spread);
                    prop_assert!((got.count - worth).abs() <= 1e-6 * worth);
                }
            }
        }
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Baseline>(), 64);
    }

    #[test]
    fn a_gap_ages_the_past_and_is_no_zero() {
        let fading = Fading::new(10_000, 1_000);
        let mut baseline = learned((0..100).map(|n| (n, 100.0 + (n % 2) as f64)), fading);
        baseline.fade(130, fading);
        let expected = baseline.expectation(NO_FLOOR).unwrap();
        assert!((expected.centre - 100.5).abs() < 0.1, "{expected:?}");
        baseline.learn(200.0, None);
        let expected = baseline.expectation(NO_FLOOR).unwrap();
        assert!(expected.centre > 150.0 && expected.count < 4.0, "e^-3 of the past is left: {expected:?}");
        baseline.fade(1_000, fading);
        assert_eq!((baseline.expectation(NO_FLOOR), baseline.learned()), (None, 0));
    }
}
