//! Bytes in, samples out: what the wire formats say, without clock or state.
//!
//! [`format`] says which format a message has, and hands it to the decoder. [`statsd`] reads lines; [`series`] reads the names in them,
//! which happens once a series and not once a sample. All others ([`collectd`], [`json`], [`graphite`], [`influx`]) hand out a
//! [`sample`] a value. [`origin`] says which feed a series belongs to.

use serde::{Deserialize, Serialize};

pub mod bad_line;
pub mod collectd;
#[cfg(test)]
mod collector;
pub mod cut;
pub mod format;
pub mod graphite;
pub mod influx;
pub mod json;
pub mod limits;
pub mod number;
pub mod origin;
pub mod sample;
mod scan;
pub mod series;
pub mod statsd;
pub mod time;

/// What a sample's value means, by the letters that statsd gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MetricType {
    /// `c` (and `m`, a meter): an increment.
    Counter,
    /// `g`: a level.
    Gauge,
    /// `ms`: a duration in milliseconds.
    Timer,
    /// `h`: a value whose distribution matters.
    Histogram,
    /// `d`: the same, as `DogStatsD` calls it when the server makes the percentiles.
    Distribution,
    /// `s`: a member of a set of which the size matters.
    Set,
}

impl MetricType {
    /// As people call it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Timer => "timer",
            Self::Histogram => "histogram",
            Self::Distribution => "distribution",
            Self::Set => "set",
        }
    }
}
