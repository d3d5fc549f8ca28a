//! What is not taken, said once in a while: a line a reason, with what to do about it.

use crate::engine::EngineCounters;

/// A reason that goes on is told again after so long.
const AGAIN_MS: i64 = 3_600_000;

/// Which reasons were told, and when.
#[derive(Debug, Default)]
pub(super) struct Drops([Told; REASONS.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    at_ms: Option<i64>,
    count: u64,
}

/// Something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    /// As the counter's label has it.
    pub(super) reason: &'static str,
    /// How many since it was last told.
    pub(super) dropped: u64,
    /// What it means, and what to do.
    pub(super) meaning: &'static str,
}

struct Reason {
    label: &'static str,
    count: fn(&EngineCounters) -> u64,
    meaning: &'static str,
}

/// Bad lines are told with a line of theirs, and what comes of another profile is no mistake.
const REASONS: [Reason; 5] = [
    Reason {
        label: "late",
        count: |counters| counters.late,
        meaning: "samples came after their window had closed; if senders are that slow, raise the source's lateness",
    },
    Reason {
        label: "future",
        count: |counters| counters.future,
        meaning: "samples are further ahead of the stream's ticks than lateness and a minute: a sender's clock is wrong",
    },
    Reason {
        label: "untimed",
        count: |counters| counters.untimed,
        meaning: "samples have no usable time, and no tick was read yet to date them by; have senders set timestamp_in_ms",
    },
    Reason {
        label: "series_limit",
        count: |counters| counters.dropped_series,
        meaning: "there are as many series as the Customer's limits.series allows; look for a metric or a tag that holds an id, or raise it",
    },
    Reason {
        label: "unknown_format",
        count: |counters| counters.unknown_format,
        meaning: "messages are of a format that is not read; docs/formats.md lists content types and routing keys",
    },
];

impl Drops {
    /// What is to be told at this wall time, in milliseconds since 1970.
    pub(super) fn tell(&mut self, now_ms: i64, counters: &EngineCounters) -> Vec<Telling> {
        let reasons = REASONS.iter().zip(&mut self.0);
        let tell = reasons.filter_map(|(reason, told)| {
            let count = (reason.count)(counters);
            // An engine that was made anew counts from zero.
            let dropped = count.checked_sub(told.count).unwrap_or(count);
            let due = told.at_ms.is_none_or(|at| now_ms.saturating_sub(at) >= AGAIN_MS);
            (dropped > 0 && due).then(|| {
                *told = Told { at_ms: Some(now_ms), count };
                Telling { reason: reason.label, dropped, meaning: reason.meaning }
            })
        });
        tell.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_and_then_once_an_hour() {
        let mut drops = Drops::default();
        let counters = |late, future| EngineCounters { late, future, ..EngineCounters::default() };
        let mut told = |now_ms, counters| -> Vec<_> {
            drops
                .tell(now_ms, &counters)
                .into_iter()
                .map(|telling| (telling.reason, telling.dropped))
                .collect()
        };
        assert_eq!(told(0, counters(0, 0)), []);
        assert_eq!(told(1, counters(3, 0)), [("late", 3)]);
        assert_eq!(told(2, counters(9, 1)), [("future", 1)]);
        assert_eq!(told(AGAIN_MS, counters(9, 1)), []);
        assert_eq!(told(AGAIN_MS + 1, counters(10, 1)), [("late", 7)]);
        assert_eq!(told(3 * AGAIN_MS, counters(2, 1)), [("late", 2)], "counted anew");
    }
}
