//! The statistics that a window yields.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One number that is made of a series' samples in a window. Samples count by the inverse of their sampling rate.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Statistic {
    /// How many samples there were.
    Count,
    /// A counter's increments, or any other type's samples, a second.
    Rate,
    /// The samples' sum.
    Sum,
    /// The samples' mean.
    #[default]
    Mean,
    /// The smallest sample.
    Min,
    /// The largest sample.
    Max,
    /// The samples' standard deviation (of the sample, n − 1).
    Stddev,
    /// The median, within 1 %.
    P50,
    /// The 90th percentile, within 1 %.
    P90,
    /// The 95th percentile, within 1 %.
    P95,
    /// The 99th percentile, within 1 %.
    P99,
    /// The last sample.
    Last,
    /// How many distinct values a set took.
    Cardinality,
}

impl Statistic {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Count,
        Self::Rate,
        Self::Sum,
        Self::Mean,
        Self::Min,
        Self::Max,
        Self::Stddev,
        Self::P50,
        Self::P90,
        Self::P95,
        Self::P99,
        Self::Last,
        Self::Cardinality,
    ];

    /// The quantile that this statistic is, if it is one.
    #[must_use]
    pub const fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.50),
            Self::P90 => Some(0.90),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            _ => None,
        }
    }

    /// As resources spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Rate => "rate",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Stddev => "stddev",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Last => "last",
            Self::Cardinality => "cardinality",
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
