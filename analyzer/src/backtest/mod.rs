//! What an analytic would have found in data of the past: an engine, and what every window amounted to.
//!
//! [`Replay`] takes rows (a time, an origin, a value) or the messages of a stream, in order, and gives a [`Judgement`]; it is pure.
//! [`retained`] reads a stream's retained messages into one.

mod judgement;
mod replay;
pub mod retained;

pub use judgement::{Flagged, Judged, Judgement, Peak, ScoredWindow, Track};
pub use replay::{Keep, Replay};
