//! Bytes in, samples out: what the wire formats say, without clock or state.
//!
//! [`statsd`] reads lines; [`series`] reads the names in them, which happens once a series and not once a sample;
//! [`origin`] says which feed a series belongs to.

pub mod bad_line;
pub mod limits;
pub mod number;
pub mod origin;
pub mod series;
pub mod statsd;

/// What a sample's value means, by the letters that statsd gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
