//! What the windows counted.

use serde::{Deserialize, Serialize};

/// What the windows counted since they were made.
///
/// Every decoded value is one of `samples`; it is then one of `late`, `future`, `untimed`, `dropped_series`, `unrated`, `unmatched`,
/// or it is in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Values decoded (not weighted by their sampling rates).
    pub samples: u64,
    /// Lines that were not understood.
    pub bad_lines: u64,
    /// Samples whose window had closed.
    pub late: u64,
    /// Samples too far ahead of the last tick: a clock is wrong.
    pub future: u64,
    /// Samples without any time: neither line, message nor tick gave one, or it was before 1970 or after 9999.
    pub untimed: u64,
    /// Samples of series that nobody looks at.
    pub unmatched: u64,
    /// Samples of new series while there were as many as allowed.
    pub dropped_series: u64,
    /// Readings of counters that gave no rate: the first of a series, or after a reset, or at no later time than the one before.
    pub unrated: u64,
    /// Values that are none, as clients write it on purpose: `NaN`, texts.
    pub gaps: u64,
    /// Events, which are skipped.
    pub events: u64,
    /// Service checks, which are skipped.
    pub service_checks: u64,
    /// Series known at present: a gauge.
    pub series: u64,
    /// Windows closed and reported.
    pub windows_closed: u64,
}
