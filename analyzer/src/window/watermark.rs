//! Event time: how far it has come.
//!
//! DESIGN.md, "Time", rules 1 and 2. The watermark is the largest accepted event time less the lateness; what it has passed is
//! over. While samples come it moves by them alone; when none come it follows the ticks, which are wall time read back from
//! the stream: so that the same stream always gives the same windows.
//!
//! Only ticks at ordinary spacing tell of silence. Where they are further apart nobody ticked: the analyzer or the broker was away, and
//! those who publish may have been kept from it, too. Such a gap is no silence, and those who publish
//! are given as long again to come back (their pauses between attempts double), up to [`COMING_BACK_MS`].

use serde::{Deserialize, Serialize};

/// What becomes of a sample, by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken.
    Timely,
    /// Its window has closed.
    Late,
    /// It is so far ahead of the last tick that its clock must be wrong.
    Future,
}

/// So long those who publish may take to come back after an outage: the longest pause between our own producers' attempts, twice.
const COMING_BACK_MS: i64 = 20_000;

/// A tick may be so late, beside an interval, on a machine that is busy.
const SLOW_TICK_MS: i64 = 1_000;

/// How far event time has come. All times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Watermark {
    interval_ms: i64,
    lateness_ms: i64,
    /// Without samples for so long, ticks take over.
    patience_ms: i64,
    at: Option<i64>,
    last_tick: Option<i64>,
    /// The wall time, where the last tick is known to be behind it.
    horizon: Option<i64>,
    /// How much silence the ticks since the last accepted sample have told of; below zero while publishers may be coming back.
    quiet_ms: i64,
    accepted_since_tick: bool,
}

impl Watermark {
    /// How far ahead of the last tick a sample may be when the lateness is smaller.
    const AHEAD_MS: i64 = 60_000;

    /// At no time yet.
    #[must_use]
    pub const fn new(interval_ms: i64, lateness_ms: i64) -> Self {
        Self {
            interval_ms,
            lateness_ms,
            patience_ms: interval_ms.saturating_add(lateness_ms),
            at: None,
            last_tick: None,
            horizon: None,
            quiet_ms: 0,
            accepted_since_tick: false,
        }
    }

    /// Waits for late samples so long from now on.
    pub fn set_lateness(&mut self, interval_ms: i64, lateness_ms: i64) {
        self.interval_ms = interval_ms;
        self.lateness_ms = lateness_ms;
        self.patience_ms = interval_ms.saturating_add(lateness_ms);
    }

    /// Windows that end here or before are over. None as long as neither sample nor silence has told the time.
    #[must_use]
    pub const fn at(&self) -> Option<i64> {
        self.at
    }

    /// The wall time of the last tick.
    #[must_use]
    pub const fn last_tick(&self) -> Option<i64> {
        self.last_tick
    }

    /// What becomes of a sample of this time, in the window that ends at `window_end_ms`.
    #[inline]
    #[must_use]
    pub fn judge(&self, time_ms: i64, window_end_ms: i64) -> Verdict {
        if self.at.is_some_and(|at| window_end_ms <= at) {
            return Verdict::Late;
        }
        match self.last_tick.max(self.horizon.filter(|_| self.last_tick.is_some())) {
            Some(tick) if time_ms.saturating_sub(tick) > self.ahead_ms() => Verdict::Future,
            _ => Verdict::Timely,
        }
    }

    /// A timely sample was taken. Whether the watermark moved.
    #[inline]
    pub fn accept(&mut self, time_ms: i64) -> bool {
        self.quiet_ms = 0;
        self.accepted_since_tick = true;
        self.raise(time_ms.saturating_sub(self.lateness_ms))
    }

    /// How far ahead of the last tick a sample may be.
    #[must_use]
    pub const fn ahead_ms(&self) -> i64 {
        if self.lateness_ms > Self::AHEAD_MS { self.lateness_ms } else { Self::AHEAD_MS }
    }

    /// Nobody ticked for long, and the stream went on: until a tick has caught up, what is ahead of the wall time `wall_ms` is what is ahead.
    pub fn catch_up(&mut self, wall_ms: i64) {
        self.horizon = Some(wall_ms);
    }

    /// A tick was read back. Whether the watermark moved.
    pub fn tick(&mut self, wall_ms: i64) -> bool {
        let since_last = self.last_tick.map_or(0, |last| wall_ms.saturating_sub(last)).max(0);
        self.last_tick = Some(wall_ms);
        self.horizon = self.horizon.filter(|&horizon| horizon > wall_ms);
        self.quiet_ms = if since_last > self.interval_ms.saturating_mul(2).saturating_add(SLOW_TICK_MS) {
            self.quiet_ms.min(0).saturating_sub(since_last).max(-COMING_BACK_MS)
        } else {
            self.quiet_ms.saturating_add(since_last.min(self.interval_ms.saturating_mul(3) / 2))
        };
        let idle = !std::mem::take(&mut self.accepted_since_tick) && self.quiet_ms > self.patience_ms;
        idle && self.raise(wall_ms.saturating_sub(self.lateness_ms))
    }

    /// Everything before `time_ms` is over. Whether the watermark moved.
    pub fn raise(&mut self, time_ms: i64) -> bool {
        let moved = self.at.is_none_or(|at| at < time_ms);
        if moved {
            self.at = Some(time_ms);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_nobody_ticked_the_stream_went_on() {
        let mut watermark = watermark();
        watermark.tick(0);
        assert_eq!(watermark.judge(3_600_000, 3_610_000), Verdict::Future);
        watermark.catch_up(7_200_000);
        assert_eq!(watermark.judge(3_600_000, 3_610_000), Verdict::Timely);
        assert_eq!(watermark.judge(9_000_000, 9_010_000), Verdict::Future);
        watermark.tick(7_200_000);
        assert_eq!(watermark.judge(7_300_000, 7_310_000), Verdict::Future, "ticks are what counts again");
    }

    /// Ten seconds each.
    fn watermark() -> Watermark {
        Watermark::new(10_000, 10_000)
    }

    #[test]
    fn follows_the_largest_sample() {
        let mut watermark = watermark();
        assert_eq!(watermark.at(), None);
        assert!(watermark.accept(100_000));
        assert!(!watermark.accept(95_000));
        assert_eq!(watermark.at(), Some(90_000));
        assert_eq!(watermark.judge(89_999, 90_000), Verdict::Late);
        assert_eq!(watermark.judge(90_000, 100_000), Verdict::Timely);
        assert!(watermark.accept(100_001));
        assert_eq!(watermark.at(), Some(90_001));
    }

    #[test]
    fn a_clock_far_ahead_of_the_ticks_is_wrong() {
        let mut watermark = watermark();
        assert_eq!(watermark.judge(1 << 50, (1 << 50) + 1), Verdict::Timely, "no tick to tell");
        watermark.tick(100_000);
        assert_eq!(watermark.judge(160_000, 170_000), Verdict::Timely);
        assert_eq!(watermark.judge(160_001, 170_000), Verdict::Future);
        let mut patient = Watermark::new(10_000, 300_000);
        patient.tick(100_000);
        assert_eq!(patient.judge(400_000, 410_000), Verdict::Timely);
        assert_eq!(patient.judge(400_001, 410_000), Verdict::Future);
    }

    #[test]
    fn silence_from_the_beginning() {
        let mut watermark = watermark();
        for wall in [100_000, 110_000, 120_000] {
            assert!(!watermark.tick(wall), "{wall}");
        }
        assert!(watermark.tick(130_000));
        assert_eq!(watermark.at(), Some(120_000));
        assert!(watermark.tick(140_000));
        assert_eq!(watermark.at(), Some(130_000));
    }

    #[test]
    fn silence_after_a_sample() {
        let mut watermark = watermark();
        watermark.tick(100_000);
        watermark.accept(101_000);
        for wall in [110_000, 120_000] {
            assert!(!watermark.tick(wall), "{wall}");
        }
        assert!(watermark.tick(130_000));
        assert_eq!(watermark.at(), Some(120_000));
        watermark.accept(129_000);
        assert!(!watermark.tick(140_000));
        assert_eq!(watermark.at(), Some(120_000), "129 less 10 is behind");
    }

    #[test]
    fn a_sample_before_the_first_tick_waits_from_that_tick_on() {
        let mut watermark = watermark();
        watermark.accept(1_000);
        for wall in [500_000, 510_000, 520_000] {
            assert!(!watermark.tick(wall), "{wall}");
        }
        assert!(watermark.tick(530_000));
        assert_eq!(watermark.at(), Some(520_000));
    }

    #[test]
    fn samples_that_lag_behind_the_wall_are_no_silence() {
        let mut watermark = watermark();
        for n in 0..100 {
            watermark.accept(1_000 + n * 10_000);
            watermark.tick(5_000_000 + n * 10_000);
        }
        assert_eq!(watermark.at(), Some(981_000));
    }

    #[test]
    fn a_time_without_ticks_is_no_silence() {
        let mut watermark = watermark();
        watermark.tick(100_000);
        watermark.accept(101_000);
        watermark.tick(110_000);
        // An outage of five minutes: the first tick after it must not condemn what was held up by it.
        for wall in [410_000, 420_000, 430_000, 440_000, 450_000] {
            assert!(!watermark.tick(wall), "{wall}");
        }
        assert_eq!(watermark.judge(112_000, 120_000), Verdict::Timely);
        watermark.accept(112_000);
        assert_eq!(watermark.at(), Some(102_000));
    }

    #[test]
    fn silence_after_an_outage_is_silence_in_the_end() {
        let mut watermark = watermark();
        watermark.tick(100_000);
        watermark.accept(101_000);
        watermark.tick(400_000);
        let moved = (1..100).find(|n| watermark.tick(400_000 + n * 10_000));
        assert_eq!(moved, Some(5), "twenty seconds to come back, and more than twenty of silence");
        assert_eq!(watermark.at(), Some(440_000));
    }

    #[test]
    fn several_who_tick_tell_no_more_silence_than_one() {
        let mut watermark = watermark();
        watermark.tick(100_000);
        let moved = (1..1_000).map(|n| 100_000 + n * 2_500).find(|wall| watermark.tick(*wall));
        assert_eq!(moved, Some(122_500));
    }

    #[test]
    fn sparse_ticks_among_samples_are_no_silence() {
        let mut watermark = watermark();
        watermark.tick(100_000);
        watermark.accept(101_000);
        assert!(!watermark.tick(900_000), "a sample came since the last tick");
        assert_eq!(watermark.at(), Some(91_000));
    }
}
