//! Percentiles within one percent, in little memory.
//!
//! A value falls into the bucket that its sign, its exponent and the first six bits of its mantissa name: 64 buckets between a
//! power of two and the next, found by a shift. A bucket's middle is at most 1/128 from any value in it. That is a DDSketch
//! (Masson, Rim, Lee 2019) with the linearly interpolated index of `HdrHistogram`: mergeable, and without a logarithm per
//! sample. Unlike the `sketches-ddsketch` crate it takes fractional weights and costs what a window holds, not 1 KiB at least.

use serde::{Deserialize, Serialize};

/// Bits of a double below those that name a bucket.
const SHIFT: u32 = 46;

/// A sketch of weighted numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Quantiles {
    /// Key and weight, sorted by key, which orders like the values.
    buckets: Vec<(i32, f64)>,
}

impl Quantiles {
    /// Enough for 32 powers of two with a value in each bucket.
    const MOST: usize = 2048;
    /// Room for the first ones.
    const FEW: usize = 8;
    /// Room that one which is used again keeps.
    const KEPT: usize = 64;
    /// How many of the lowest buckets become one when there are too many; percentiles in them lose precision.
    const COLLAPSE: usize = 256;

    /// Adds a finite number.
    #[inline]
    pub fn add(&mut self, number: f64, weight: f64) {
        self.insert(key(number), weight);
    }

    /// The value below which the share `q` (0 to 1) of the weight lies; None if there is none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total: f64 = self.buckets.iter().map(|(_, weight)| weight).sum();
        let rank = q * (total - 1.0).max(0.0);
        let mut below = 0.0;
        for (key, weight) in &self.buckets {
            below += weight;
            if below > rank {
                return Some(middle(*key));
            }
        }
        // Rounding alone can leave the rank at the total.
        self.buckets.last().map(|(key, _)| middle(*key))
    }

    /// Adds another's numbers.
    pub fn merge(&mut self, other: &Self) {
        for (key, weight) in &other.buckets {
            self.insert(*key, *weight);
        }
    }

    /// Forgets all numbers; a few buckets' room stays.
    pub fn clear(&mut self) {
        self.buckets.clear();
        self.buckets.shrink_to(Self::KEPT);
    }

    #[inline]
    fn insert(&mut self, key: i32, weight: f64) {
        match self.buckets.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(at) => self.buckets[at].1 += weight,
            Err(at) => {
                if self.buckets.is_empty() {
                    self.buckets.reserve(Self::FEW);
                }
                self.buckets.insert(at, (key, weight));
                if self.buckets.len() > Self::MOST {
                    self.collapse();
                }
            }
        }
    }

    fn collapse(&mut self) {
        let weight: f64 = self.buckets.drain(..Self::COLLAPSE).map(|(_, weight)| weight).sum();
        self.buckets[0].1 += weight;
    }
}

#[inline]
fn key(number: f64) -> i32 {
    let magnitude = (number.abs().to_bits() >> SHIFT) as i32;
    if number < 0.0 { -magnitude } else { magnitude }
}

fn middle(key: i32) -> f64 {
    if key == 0 {
        return 0.0;
    }
    let magnitude = f64::from_bits((u64::from(key.unsigned_abs()) << SHIFT) | 1 << (SHIFT - 1));
    if key < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of whole numbers are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn within_one_percent(mut numbers in prop::collection::vec(-1e9..1e9f64, 1..300), q in 0.0..1.0f64) {
            let mut sketch = Quantiles::default();
            let mut other = Quantiles::default();
            for (n, number) in numbers.iter().enumerate() {
                if n % 3 == 0 { other.add(*number, 1.0) } else { sketch.add(*number, 1.0) }
            }
            sketch.merge(&other);
            numbers.sort_by(f64::total_cmp);
            let rank = (q * (numbers.len() as f64 - 1.0)).floor();
            let exact = numbers.into_iter().nth(num(rank)).unwrap();
            let estimate = sketch.quantile(q).unwrap();
            prop_assert!((estimate - exact).abs() <= exact.abs() * 0.01, "{} for {}", estimate, exact);
        }

        #[test]
        fn the_order_of_keys_is_that_of_numbers(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(a.is_finite() && b.is_finite() && a < b);
            prop_assert!(key(a) <= key(b));
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
    fn num(rank: f64) -> usize {
        rank as usize
    }

    #[test]
    fn weights_count() {
        let mut sketch = Quantiles::default();
        sketch.add(1.0, 9.0);
        sketch.add(100.0, 1.0);
        assert!(sketch.quantile(0.5).unwrap() < 1.01);
        assert!(sketch.quantile(0.99).unwrap() < 1.01);
        sketch.add(100.0, 10.0);
        assert!((sketch.quantile(0.5).unwrap() / 100.0 - 1.0).abs() < 0.01);
    }

    #[test]
    fn bounded_and_right_at_the_top() {
        let mut sketch = Quantiles::default();
        for n in 0..10_000 {
            sketch.add(1.01f64.powi(n - 5000), 1.0);
        }
        assert!(sketch.buckets.len() <= Quantiles::MOST);
        let total: f64 = sketch.buckets.iter().map(|(_, weight)| weight).sum();
        assert_eq!(total, 10_000.0);
        let exact = 1.01f64.powi(9899 - 5000);
        assert!((sketch.quantile(0.99).unwrap() / exact - 1.0).abs() < 0.01);
    }
}
