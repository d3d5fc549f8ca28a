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
    /// Key and weight, sorted by key, which orders like the values; each key once.
    buckets: Vec<Bucket>,
    /// What came since they were last sorted: to look for each number's bucket at once would cost a cache miss a step.
    fresh: Vec<Bucket>,
}

type Bucket = (i32, f64);

impl Quantiles {
    /// Enough for 32 powers of two with a value in each bucket.
    const MOST: usize = 2048;
    /// So many numbers are sorted in together.
    const FRESH: usize = 16;
    /// Room that one which is used again keeps.
    const KEPT: usize = 64;
    /// How many of the lowest buckets become one when there are too many; percentiles in them lose precision.
    const COLLAPSE: usize = 256;

    /// Adds a finite number.
    #[inline]
    pub fn add(&mut self, number: f64, weight: f64) {
        self.insert((key(number), weight));
    }

    /// The value below which the share `q` (0 to 1) of the weight lies; None if there is none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total: f64 = self.buckets.iter().chain(&self.fresh).map(|(_, weight)| weight).sum();
        let rank = q * (total - 1.0).max(0.0);
        let (mut below, mut highest) = (0.0, None);
        for (key, weight) in self.sorted() {
            below += weight;
            highest = Some(key);
            if below > rank {
                break;
            }
        }
        // Rounding alone can leave the rank at the total.
        highest.map(middle)
    }

    /// Adds another's numbers.
    pub fn merge(&mut self, other: &Self) {
        for bucket in other.buckets.iter().chain(&other.fresh) {
            self.insert(*bucket);
        }
    }

    /// Forgets all numbers; a few buckets' room stays.
    pub fn clear(&mut self) {
        self.fresh.clear();
        self.buckets.clear();
        self.buckets.shrink_to(Self::KEPT);
    }

    #[inline]
    fn insert(&mut self, bucket: Bucket) {
        if self.fresh.is_empty() {
            self.fresh.reserve_exact(Self::FRESH);
        }
        self.fresh.push(bucket);
        if self.fresh.len() >= Self::FRESH {
            self.settle();
        }
    }

    /// All of them in order of their keys, of which some may come twice.
    fn sorted(&self) -> impl Iterator<Item = Bucket> {
        let mut fresh = [(i32::MAX, 0.0); Self::FRESH];
        let fresh_len = self.fresh.len().min(Self::FRESH);
        fresh[..fresh_len].copy_from_slice(&self.fresh[..fresh_len]);
        fresh[..fresh_len].sort_unstable_by_key(|(key, _)| *key);
        let (mut fresh, mut settled) =
            (fresh.into_iter().take(fresh_len).peekable(), self.buckets.iter().copied().peekable());
        std::iter::from_fn(move || match (settled.peek(), fresh.peek()) {
            (Some((first, _)), Some((second, _))) if first > second => fresh.next(),
            (None, _) => fresh.next(),
            _ => settled.next(),
        })
    }

    /// Sorts what is fresh into the buckets.
    fn settle(&mut self) {
        let Self { buckets, fresh } = self;
        fresh.sort_unstable_by_key(|(key, _)| *key);
        fresh.dedup_by(|(key, weight), (before, sum)| {
            let same = key == before;
            *sum += if same { *weight } else { 0.0 };
            same
        });
        // What has its bucket goes there; what is left moves in from the end, so that each bucket moves once.
        let mut at = 0;
        fresh.retain(|(key, weight)| {
            at += buckets[at..].partition_point(|(other, _)| other < key);
            let found = buckets.get_mut(at).filter(|(other, _)| other == key);
            found.map(|(_, sum)| *sum += weight).is_none()
        });
        let (mut from, mut to) = (buckets.len(), buckets.len() + fresh.len());
        buckets.resize(to, (0, 0.0));
        while let Some(bucket) = fresh.pop() {
            while from > 0 && buckets[from - 1].0 > bucket.0 {
                (from, to) = (from - 1, to - 1);
                buckets[to] = buckets[from];
            }
            to -= 1;
            buckets[to] = bucket;
        }
        if buckets.len() > Self::MOST {
            let lowest = buckets.len() - Self::MOST + Self::COLLAPSE - 1;
            let weight: f64 = buckets.drain(..lowest).map(|(_, weight)| weight).sum();
            buckets[0].1 += weight;
        }
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
        fn each_key_has_one_bucket_in_order(keys in prop::collection::vec(-60_i32..60, 0..400)) {
            let mut sketch = Quantiles::default();
            let mut expected = std::collections::BTreeMap::new();
            for (key, weight) in keys.iter().zip([1.0, 2.0, 3.0].into_iter().cycle()) {
                sketch.insert((*key, weight));
                *expected.entry(*key).or_insert(0.0) += weight;
            }
            prop_assert!(sketch.sorted().is_sorted_by_key(|(key, _)| key));
            sketch.settle();
            prop_assert_eq!(sketch.buckets, Vec::from_iter(expected));
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
        let total: f64 = sketch.sorted().map(|(_, weight)| weight).sum();
        assert_eq!(total, 10_000.0);
        let exact = 1.01f64.powi(9899 - 5000);
        assert!((sketch.quantile(0.99).unwrap() / exact - 1.0).abs() < 0.01);
    }
}
