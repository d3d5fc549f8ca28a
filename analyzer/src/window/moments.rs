//! How samples spread around their mean.

use std::hint::black_box;

use serde::{Deserialize, Serialize};

use super::{numbers::Numbers, scatter::Scatter};

/// What a variance is made of, beside [`Numbers`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Moments {
    /// The first of the samples. Distances from it are summed up, and their squares: squares of the numbers themselves would lose all
    /// digits of a small spread around a large mean, while from one of the samples it is at most as many times too far as there are
    /// samples (Chan, Golub, `LeVeque` 1983, "Algorithms for computing the sample variance", shifted data).
    first: f64,
    distances: f64,
    squares: f64,
    weight_squares: f64,
}

impl Moments {
    /// Of no samples.
    pub(super) const NONE: Self = Self { first: 0.0, distances: 0.0, squares: 0.0, weight_squares: 0.0 };

    /// Fetches them into the cache.
    #[inline]
    pub(super) fn fetch(&self) {
        black_box(self.first);
    }

    /// Adds a number to those that there are.
    #[inline]
    pub(super) fn add(&mut self, there: &Numbers, number: f64, weight: f64) {
        if there.is_empty() {
            self.first = number;
        }
        let distance = number - self.first;
        self.distances += weight * distance;
        self.squares += weight * distance * distance;
        self.weight_squares += weight * weight;
    }

    /// Adds those of other samples to those that there are.
    pub(super) fn merge(&mut self, there: &Numbers, other: &Self, others: &Numbers) {
        if there.is_empty() {
            self.first = other.first;
        }
        let away = other.first - self.first;
        self.squares += other.squares + away * (2.0 * other.distances + away * others.weight);
        self.distances += other.distances + away * others.weight;
        self.weight_squares += other.weight_squares;
    }

    /// The sum of squared distances from the mean of samples of this weight.
    pub(super) fn squares(&self, weight: f64) -> f64 {
        (self.squares - self.distances * (self.distances / weight)).max(0.0)
    }

    /// How samples of this weight scatter; None if there are none.
    pub(super) fn scatter(&self, weight: f64) -> Option<Scatter> {
        (self.weight_squares > 0.0).then(|| {
            let worth = weight * weight / self.weight_squares;
            // Weights that say how often a sample counts, not how often it was seen.
            let freedom = weight - self.weight_squares / weight;
            Scatter::new(worth, if worth > 1.0 { self.squares(weight) / freedom } else { 0.0 })
        })
    }
}
