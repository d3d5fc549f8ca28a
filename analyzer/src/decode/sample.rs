//! What the formats other than statsd say: a value of a series whose parts are named.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{MetricType, bad_line::BadLineReason};

/// A tag: its key, then its value.
pub type Tag<'a> = (Cow<'a, str>, Cow<'a, str>);

/// One value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// The metric, before the origin rule took anything out of it.
    pub metric: &'a str,
    /// The tags, in any order.
    pub tags: &'a [Tag<'a>],
    /// What the format knows of the sender.
    pub origin: OriginHint<'a>,
    /// The value.
    pub reading: Reading<'a>,
    /// When, in nanoseconds since 1970, if the sample says so.
    pub time_ns: Option<i64>,
    /// The line, object or part that it came from, for a log line.
    pub line: &'a [u8],
}

/// What a format knows of who sent a sample, beside the message's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginHint<'a> {
    /// Nothing: the header says it.
    Header,
    /// The format names a host: it says more than the header `origin`, which may be a relay's.
    Host(&'a str),
    /// Where no header was sent, the tag `host` is the origin, and no tag any more.
    HostTag,
}

/// A value, by what it means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading<'a> {
    /// A level.
    Level(f64),
    /// A change of a level.
    Change(f64),
    /// An increment of a counter.
    Increment(f64),
    /// A value whose distribution matters, seen `weight` ≥ 1 times.
    Observation {
        /// The value.
        value: f64,
        /// How often it was seen.
        weight: f64,
    },
    /// A member of a set.
    Member(&'a [u8]),
    /// What only together with the value before it makes a level: a rate a second.
    Raw {
        /// What the client read.
        raw: Raw,
        /// The rates that are possible.
        bounds: Bounds,
    },
}

/// What a client read from a counter of its own; the difference of two over the time between them is a rate (collectd.conf(5), "Data
/// sources" in collectd's documentation).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Raw {
    /// `COUNTER`: never goes down, but wraps around at 2³² or 2⁶⁴.
    Counter(u64),
    /// `DERIVE`: may go down.
    Derive(i64),
    /// `ABSOLUTE`: what came since it was last read; reading resets it.
    Absolute(u64),
    /// A sum that never goes down, and begins again at 0 with its process.
    Sum(f64),
    /// Already a rate, though its data source is none (collectd's `StoreRates`).
    Rate(f64),
    /// The same, where the client has no rate to tell: from the first reading, or after a reset.
    NoRate,
}

/// The rates that are possible; others tell of a counter that was reset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Bounds {
    /// Any rate.
    pub const NONE: Self = Self { min: f64::NEG_INFINITY, max: f64::INFINITY };
    /// No rate below 0.
    pub const NOT_NEGATIVE: Self = Self { min: 0.0, max: f64::INFINITY };
}

impl Reading<'_> {
    /// What kind of series it belongs to.
    #[must_use]
    pub const fn kind(&self) -> MetricType {
        match self {
            Self::Level(_) | Self::Change(_) | Self::Raw { .. } => MetricType::Gauge,
            Self::Increment(_) => MetricType::Counter,
            Self::Observation { .. } => MetricType::Distribution,
            Self::Member(_) => MetricType::Set,
        }
    }
}

/// Whoever takes what a decoder reads.
pub trait SampleSink {
    /// A value of a series.
    fn sample(&mut self, sample: &Sample<'_>);
    /// A line, an object or a value that was not understood; it costs itself only.
    fn bad_line(&mut self, reason: BadLineReason, line: &[u8]);
    /// A notification; its content is of no use here.
    fn event(&mut self);
    /// A value that is none, as clients write it on purpose: a gauge that could not be read, a text.
    fn gap(&mut self);
}
