//! What "now" is for a group.

use std::time::{SystemTime, UNIX_EPOCH};

/// What "now" is for a group's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The wall's time: findings arrive as they happen.
    Wall,
    /// The findings' own time: history is replayed, and packed into messages as it would have been live. A group's timers fire
    /// when a later finding of the group arrives, the last ones at the end ([`AlertService::flush`](crate::AlertService::flush)).
    Event,
}

/// The wall's time in milliseconds since the epoch.
#[must_use]
pub fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
