//! What costs nothing to know of samples.

use serde::{Deserialize, Serialize};

/// Samples, each counted by its weight: enough for count, rate, sum, mean, min, max and last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Numbers {
    pub(super) weight: f64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) last: f64,
}

impl Numbers {
    /// Of no samples.
    pub(super) const NONE: Self =
        Self { weight: 0.0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, last: 0.0 };

    /// Whether there is no sample.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.weight == 0.0
    }

    /// Adds a finite number that stands for `weight` ≥ 1 samples.
    #[inline]
    pub(super) fn add(&mut self, number: f64, weight: f64) {
        self.weight += weight;
        self.sum += number * weight;
        // Of finite numbers a processor tells the lesser in one step, unlike `f64::min`.
        self.min = if number < self.min { number } else { self.min };
        self.max = if number > self.max { number } else { self.max };
        self.last = number;
    }

    /// Adds a set's member, which is no number.
    #[inline]
    pub(super) fn add_member(&mut self) {
        self.weight += 1.0;
    }

    /// Adds another's samples, which came later.
    pub(super) fn merge(&mut self, other: &Self) {
        self.weight += other.weight;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.last = other.last;
    }
}
