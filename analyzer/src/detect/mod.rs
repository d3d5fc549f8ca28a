//! What is odd, and what is said of it.
//!
//! A [`Detector`] binds each series to the analytics that look at it when it first appears, and shows them every window that
//! closes. Each of `kinds` is an `analysis::Analysis`: `cluster` (feeds and their peers: `groups`, `leave_one_out`),
//! `stddev` (a series and its past: `baseline`), `threshold`, `absence` and `silent_series` (`patience`). What they have in common:
//! `expectation` and `tail` (how far off is far), `roster` and `persistence` (k of the last m windows), `history` and
//! `trail` (the picture), `finding` and `explain` (what is told).

mod absence;
mod analysis;
mod baseline;
mod cluster;
mod detector;
mod expectation;
mod explain;
mod figures;
mod finding;
mod groups;
mod history;
mod kinds;
mod leave_one_out;
mod patience;
mod persistence;
#[cfg(test)]
mod rig;
mod roster;
mod silent_series;
mod stddev;
pub(crate) mod structure;
mod subjects;
mod tail;
#[cfg(test)]
mod tests;
mod threshold;
mod trail;
mod verdict;

pub use detector::{AnalyticReport, Detector};
