//! What is odd, and what is said of it.
//!
//! A [`Detector`] binds each series to the analytics that look at it when it first appears, and shows them every window that
//! closes. Each of `kinds` is an `analysis::Analysis`: `cluster` (feeds and their peers: `groups`, `leave_one_out`),
//! `stddev` (a series and its past: `baseline`), `threshold`, `absence` and `silent_series` (`patience`). An analytic on a ratio
//! or a change looks at `derived` series, each `made` of others. What all have in common:
//! `expectation` and `tail` (how far off is far), `roster` and `persistence` (k of the last m windows), `history` and
//! `trail` (the picture), `finding`, `measure` and `explain` (what is told).

mod absence;
mod analysis;
mod baseline;
mod cluster;
mod derived;
mod detector;
mod expectation;
mod explain;
mod figures;
mod finding;
mod groups;
mod history;
mod kinds;
mod leave_one_out;
mod look;
mod made;
mod measure;
mod patience;
mod persistence;
#[cfg(test)]
mod rig;
mod roster;
mod scores;
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

pub use detector::{AnalyticReport, Detector, unsatisfiable};
pub use scores::WindowScore;
pub use verdict::Verdict;
