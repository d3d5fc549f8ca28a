//! How many distinct members a set has, in bounded memory.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::{hash::hash, places::Places};

/// Fixed, so that every machine and every run gives the same estimate.
const SEED: u64 = 0;

/// The hashes of a set's members: all of them up to 8,192, which is exact; beyond, those below a threshold that halves as the
/// set grows, and their number over the threshold's share of all hashes: a theta sketch (Dasgupta, Lang, Rhodes, Thaler
/// 2016), within about 1.6 % (one standard deviation).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "Saved", from = "Saved")]
pub struct Distinct {
    hashes: Places<NonZeroU64>,
    /// Every hash below it is kept; none at or above it.
    threshold: u64,
}

/// Threshold and hashes, in order.
#[derive(Serialize, Deserialize)]
struct Saved(u64, Vec<u64>);

impl From<Distinct> for Saved {
    fn from(distinct: Distinct) -> Self {
        let mut hashes: Vec<_> = distinct.hashes.iter().map(NonZeroU64::get).collect();
        hashes.sort_unstable();
        Self(distinct.threshold, hashes)
    }
}

impl From<Saved> for Distinct {
    fn from(Saved(threshold, hashes): Saved) -> Self {
        let mut distinct = Self { threshold: u64::MAX, ..Self::default() };
        for hash in hashes {
            distinct.insert(hash);
        }
        distinct.threshold = threshold;
        distinct
    }
}

impl Default for Distinct {
    fn default() -> Self {
        Self { hashes: Places::with_room(Self::FEW), threshold: u64::MAX }
    }
}

impl Distinct {
    const MOST: usize = 8192;
    /// Places for the twelve members that most sets of a window do not exceed: then the table never grows.
    const FEW: usize = 16;
    /// One with more places than this, and six times as many as it used, does not keep them.
    const KEPT: usize = 128;

    /// Fetches into the cache where a member is, if it is in.
    #[inline]
    pub(super) fn fetch(&self, member: &[u8]) {
        self.hashes.fetch(hash(SEED, member));
    }

    /// Adds a member.
    pub fn add(&mut self, member: &[u8]) {
        self.insert(hash(SEED, member));
    }

    /// How many distinct members there were.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        let kept = self.hashes.len() as f64;
        if self.threshold == u64::MAX { kept } else { kept / (self.threshold as f64 / u64::MAX as f64) }
    }

    /// Adds another's members.
    pub fn merge(&mut self, other: &Self) {
        self.lower(other.threshold);
        for hash in other.hashes.iter() {
            self.insert(hash.get());
        }
    }

    /// Forgets all members; room for as many as there were stays, unless that is far more than they took.
    pub fn clear(&mut self) {
        if self.hashes.room() > Self::KEPT.max(6 * self.hashes.len()) {
            *self = Self::default();
        } else {
            self.hashes.clear();
            self.threshold = u64::MAX;
        }
    }

    fn insert(&mut self, hash: u64) {
        let hash = NonZeroU64::new(hash).unwrap_or(NonZeroU64::MIN);
        if hash.get() < self.threshold && self.hashes.insert(hash) && self.hashes.len() > Self::MOST {
            let mut all: Vec<_> = self.hashes.iter().map(NonZeroU64::get).collect();
            let (_, middle, _) = all.select_nth_unstable(Self::MOST / 2);
            self.lower(*middle);
        }
    }

    fn lower(&mut self, threshold: u64) {
        if threshold < self.threshold {
            self.threshold = threshold;
            self.hashes.rebuild(self.hashes.room(), |hash| hash.get() < threshold);
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "whole numbers are exact, and equal sets give equal estimates")]
mod tests {
    use super::*;

    fn of(members: std::ops::Range<u32>) -> Distinct {
        let mut distinct = Distinct::default();
        for n in members {
            distinct.add(format!("user-{n}").as_bytes());
        }
        distinct
    }

    #[test]
    fn exact_while_small() {
        let mut distinct = of(0..8192);
        distinct.merge(&of(5000..6000));
        assert_eq!(distinct.estimate(), 8192.0);
    }

    #[test]
    fn close_when_large_and_bounded() {
        let mut distinct = of(0..600_000);
        distinct.merge(&of(400_000..1_000_000));
        assert!(distinct.hashes.len() <= Distinct::MOST);
        let error = distinct.estimate() / 1e6 - 1.0;
        assert!(error.abs() < 0.05, "{error}");
    }

    #[test]
    fn merging_is_adding() {
        let mut merged = of(0..20_000);
        merged.merge(&of(20_000..30_000));
        let mut other = of(20_000..30_000);
        other.merge(&of(0..20_000));
        assert_eq!(merged.estimate(), other.estimate());
        assert!((merged.estimate() / 30_000.0 - 1.0).abs() < 0.05);
    }
}
