//! Numbers of twice a double's digits.

use serde::{Deserialize, Serialize};

/// A number as the sum of two: the second holds what the first has no digits for.
///
/// A mean that moves by a share of each value needs them: at 1e15 a double's step is 1/8, so that a mean of 360 windows that all
/// rose by 40 would not move at all, and one of noise would wander off by its own roundings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Twofold {
    high: f64,
    low: f64,
}

impl Twofold {
    /// The number of these [`parts`](Self::parts).
    #[must_use]
    pub fn of(high: f64, low: f32) -> Self {
        Self { high, low: f64::from(low) }
    }

    /// The nearest double and what is left, which in single precision still has half as many digits more.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "see above")]
    pub fn parts(self) -> (f64, f32) {
        (self.high, self.low as f32)
    }

    /// The nearest double.
    #[must_use]
    pub fn value(self) -> f64 {
        self.high
    }

    /// How far a value lies above it.
    #[inline]
    #[must_use]
    pub fn distance_to(self, value: f64) -> f64 {
        (value - self.high) - self.low
    }

    /// How far another lies above it.
    #[must_use]
    pub fn distance(self, other: Self) -> f64 {
        (other.high - self.high) + (other.low - self.low)
    }

    /// Moves it by so much.
    #[inline]
    pub fn shift(&mut self, by: f64) {
        // Knuth's TwoSum (The Art of Computer Programming 2, 4.2.2): `sum` and `error` together are high + step exactly.
        let step = by + self.low;
        let sum = self.high + step;
        let taken = sum - self.high;
        let error = (self.high - (sum - taken)) + (step - taken);
        (self.high, self.low) = (sum, error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_steps_from_a_large_number_add_up() {
        let mut number = Twofold::default();
        number.shift(1e15);
        for _ in 0..100_000 {
            number.shift(0.01);
        }
        assert!((number.distance_to(1e15) + 1_000.0).abs() < 1e-6, "{number:?}");
        assert!((number.value() - 1e15 - 1_000.0).abs() <= 0.125);
        number.shift(-1e15);
        assert!((number.value() - 1_000.0).abs() < 1e-6);
    }

    #[test]
    fn distances_are_those_of_both_parts() {
        let (mut one, mut other) = (Twofold::default(), Twofold::default());
        one.shift(1e15);
        other.shift(1e15);
        other.shift(0.03125);
        assert_eq!((one.distance(other), other.distance(one)), (0.03125, -0.03125));
    }
}
