//! What an accumulator must keep, by what is asked of it.

use serde::{Deserialize, Serialize};

use std::ops::BitOr;

use kinetic_api::statistic::Statistic;

use crate::decode::MetricType;

/// What somebody asks of a series beyond what costs nothing (count, rate, sum, mean, min, max, last).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// The percentiles.
    pub quantiles: bool,
    /// How many members a set has.
    pub cardinality: bool,
    /// The standard deviation.
    pub moments: bool,
}

impl Needs {
    /// The same in a byte.
    pub(super) const fn bits(self) -> u8 {
        self.quantiles as u8 | (self.cardinality as u8) << 1 | (self.moments as u8) << 2
    }

    /// What [`Self::bits`] told.
    pub(super) const fn from_bits(bits: u8) -> Self {
        Self { quantiles: bits & 1 != 0, cardinality: bits & 2 != 0, moments: bits & 4 != 0 }
    }

    /// What this statistic takes.
    #[must_use]
    pub const fn of(statistic: Statistic) -> Self {
        Self {
            quantiles: statistic.quantile().is_some(),
            cardinality: matches!(statistic, Statistic::Cardinality),
            moments: matches!(statistic, Statistic::Stddev),
        }
    }
}

/// Whether windows of such samples ever have this statistic: members of a set have no order and no sum, and only they have a
/// cardinality.
#[must_use]
pub const fn yields(kind: MetricType, statistic: Statistic) -> bool {
    match statistic {
        Statistic::Count | Statistic::Rate => true,
        Statistic::Cardinality => matches!(kind, MetricType::Set),
        _ => !matches!(kind, MetricType::Set),
    }
}

impl BitOr for Needs {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            quantiles: self.quantiles | other.quantiles,
            cardinality: self.cardinality | other.cardinality,
            moments: self.moments | other.moments,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fit_into_a_byte() {
        for bits in 0..8 {
            assert_eq!(Needs::from_bits(bits).bits(), bits);
        }
    }
}
