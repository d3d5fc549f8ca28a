//! What a series' own past leads to expect: exponentially weighted mean and variance.
//!
//! Weights fall with time, not with the number of values, so that a gap ages the past like anything else; a gap is never a
//! zero. Variance is corrected for the few values that it stands on at first (the weighted form of n − 1), and how many
//! those are worth, (Σw)²/Σw² (Kish), gives the degrees of freedom: an early value is no more easily odd than a late one.

use kinetic_api::resources::topology::MinStddev;

use super::expectation::Expectation;

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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Baseline {
    mean: f64,
    /// Weighted sum of squared distances from the mean.
    squares: f64,
    /// Sum of the weights.
    weight: f64,
    /// Sum of the weights' squares.
    weight_squares: f64,
    /// The last window that was learned.
    latest: i64,
    /// The first window of those that were all odd to the same side, up to the latest.
    odd_since: Option<i64>,
    /// The side of those: above.
    odd_above: bool,
    learned: u32,
}

impl Baseline {
    /// How many windows it has learned since it began.
    #[must_use]
    pub fn learned(&self) -> u32 {
        self.learned
    }

    /// Lets the past fade up to the window of this number.
    pub fn fade(&mut self, number: i64, fading: Fading) {
        let left = fading.over(number.saturating_sub(self.latest));
        self.squares *= left;
        self.weight *= left;
        self.weight_squares *= left * left;
        self.latest = number;
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

    /// Learns the value of the window up to which it has faded.
    pub fn learn(&mut self, value: f64) {
        self.odd_since = None;
        self.add(value);
    }

    /// Learns a value that was odd: with less weight, so that a short anomaly neither becomes the normal nor hides the next
    /// one. Only two standard deviations of it are learned, which shift the centre and widen the spread step by step; and
    /// when the values have been odd to the same side for a whole baseline, they are the normal: it begins anew with them.
    pub fn learn_odd(&mut self, value: f64, expected: &Expectation, fading: Fading) {
        let above = value > expected.centre;
        if self.odd_above != above {
            self.odd_since = None;
        }
        self.odd_above = above;
        let since = *self.odd_since.get_or_insert(self.latest);
        if (self.latest - since) as f64 >= fading.windows {
            *self = Self { latest: self.latest, ..Self::default() };
            self.add(value);
        } else {
            let most = LEARNED_OF_ODD * expected.assumed_spread();
            self.add(value.clamp(expected.centre - most, expected.centre + most));
        }
    }

    fn add(&mut self, value: f64) {
        self.weight += 1.0;
        self.weight_squares += 1.0;
        let distance = value - self.mean;
        self.mean += distance / self.weight;
        self.squares += distance * (value - self.mean);
        self.learned = self.learned.saturating_add(1);
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
            baseline.learn(value);
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
    fn a_gap_ages_the_past_and_is_no_zero() {
        let fading = Fading::new(10_000, 1_000);
        let mut baseline = learned((0..100).map(|n| (n, 100.0 + (n % 2) as f64)), fading);
        baseline.fade(130, fading);
        let expected = baseline.expectation(NO_FLOOR).unwrap();
        assert!((expected.centre - 100.5).abs() < 0.1, "{expected:?}");
        baseline.learn(200.0);
        let expected = baseline.expectation(NO_FLOOR).unwrap();
        assert!(expected.centre > 150.0 && expected.count < 4.0, "e^-3 of the past is left: {expected:?}");
        baseline.fade(1_000, fading);
        assert_eq!((baseline.expectation(NO_FLOOR), baseline.learned()), (None, 0));
    }
}
