//! Samples in, one set of numbers per series and interval out; no clock, no I/O.
//!
//! [`Windows`] takes messages and ticks in the order of the stream and tells a [`WindowSink`] of series and of windows that
//! closed. [`watermark`] says when a window is over, `registry` which series a line means, `table` holds the samples of open
//! windows, [`accumulator`] what a window knows of one series.

pub mod accumulator;
pub mod counters;
pub mod distinct;
pub mod hash;
pub mod needs;
pub mod quantiles;
mod registry;
pub mod sink;
mod table;
pub mod watermark;
pub mod windows;

pub use accumulator::Accumulator;
pub use counters::Counters;
pub use needs::Needs;
pub use sink::{SeriesId, Window, WindowSink};
pub use windows::{MessageContext, WindowConfig, Windows};
