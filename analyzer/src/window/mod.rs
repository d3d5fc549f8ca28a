//! Samples in, one set of numbers per series and interval out; no clock, no I/O.
//!
//! [`Windows`] takes messages and ticks in the order of the stream and tells a [`WindowSink`] of series and of windows that
//! closed. [`watermark`] says when a window is over, `registry` which series a line means (`spellings`, [`names`]), `table` where each
//! series stands, `open` holds the samples of open windows, [`accumulator`] what a window knows of one series. Samples of formats other than
//! statsd come by another door: `labelled_spellings` finds their series, [`rates`] makes levels of what clients read from counters.
//!
//! The way of a line, for a batch of them step by step: [`cut`](crate::decode::cut) finds its value; name and rest are hashed (`spelled`); `spellings`
//! says what they mean: series, type and weight; `table` leads to the series' cell in the open window; the value is added.

pub mod accumulator;
mod arena;
pub mod chunked;
pub mod counters;
pub mod distinct;
#[cfg(test)]
mod golden;
pub mod hash;
mod labelled_spellings;
mod look;
mod moments;
pub mod names;
pub mod needs;
mod numbers;
mod open;
mod places;
pub mod quantiles;
pub mod rates;
mod registry;
pub mod scatter;
pub mod sink;
mod spelled;
mod spellings;
mod table;
pub mod watermark;
pub mod windows;

pub use accumulator::Accumulator;
pub use counters::Counters;
pub use names::{Name, Names, TYPE_TAG};
pub use needs::{Needs, yields};
pub use scatter::Scatter;
pub use sink::{SeriesId, Window, WindowSink};
pub use windows::{MessageContext, WindowConfig, Windows};
