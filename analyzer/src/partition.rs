//! Which analyzer of several owns a series (DESIGN.md, "Detection").
//!
//! Every analyzer of a topology reads all of a stream, and owns the series whose metric falls into its share of 64 shards. The metric has
//! its origin taken out, so the feeds of a group are always in one hand, whoever sent them.

use kinetic_api::plan::MAX_PARTITIONS;
use serde::{Deserialize, Serialize};

use crate::window::hash::hash;

/// The seed of the shards' hash: never to be changed, or every analyzer owns other series than its checkpoint tells of.
const SEED: u64 = 0x6b69_6e65_7469_6331;

/// A metric's shard, 0 to 63: the highest six bits of the [`hash`] of its name, seeded with `kinetic1`.
#[must_use]
pub fn shard(metric: &str) -> u8 {
    (hash(SEED, metric.as_bytes()) >> 58) as u8
}

/// One of the analyzers that share a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Partition {
    index: u8,
    of: u8,
}

impl Partition {
    /// The only analyzer of its stream.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// The analyzer of this number, from 0, of so many; None unless there are 1 to 64 and this is one of them.
    #[must_use]
    pub fn new(index: u8, of: u8) -> Option<Self> {
        ((1..=MAX_PARTITIONS).contains(&of) && index < of).then_some(Self { index, of })
    }

    /// All that share a stream among so many.
    pub fn all(of: u8) -> impl Iterator<Item = Self> {
        (0..of).filter_map(move |index| Self::new(index, of))
    }

    /// Its number, from 0.
    #[must_use]
    pub fn index(self) -> u8 {
        self.index
    }

    /// How many share the stream.
    #[must_use]
    pub fn of(self) -> u8 {
        self.of
    }

    /// Whether it does what one of them must do for all: ticks, and what is judged of a source as a whole.
    #[must_use]
    pub fn leads(self) -> bool {
        self.index == 0
    }

    /// Whether the series of a metric (its origin taken out) are its own.
    #[must_use]
    pub fn owns(self, metric: &str) -> bool {
        shard(metric) % self.of == self.index
    }
}

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is on disks and in other processes counts on these.
    #[test]
    fn shards_never_change() {
        let shards = ["", "page.checkout.time", "host.load", "df.root.percent"].map(shard);
        assert_eq!(shards, [29, 24, 5, 10]);
    }

    #[test]
    fn every_metric_has_one_owner_and_the_work_is_shared() {
        for of in [1, 2, 3, 7, 64] {
            let mut owned = vec![0; usize::from(of)];
            for n in 0..6_400 {
                let metric = format!("page.{n}.time");
                let owners: Vec<_> = Partition::all(of).filter(|p| p.owns(&metric)).collect();
                assert_eq!(owners.len(), 1, "{metric}");
                owned[usize::from(owners[0].index())] += 1;
            }
            let fair = 6_400 / usize::from(of);
            assert!(owned.iter().all(|&n| n > fair / 2 && n < fair * 2), "{owned:?}");
        }
    }

    #[test]
    fn there_are_one_to_sixty_four() {
        assert_eq!(Partition::new(0, 1), Some(Partition::WHOLE));
        assert_eq!([(1, 1), (0, 0), (64, 64), (0, 65)].map(|(i, n)| Partition::new(i, n)), [None; 4]);
        assert_eq!(Partition::all(64).count(), 64);
    }
}
