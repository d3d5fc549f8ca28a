//! So much a second, and a burst: by the time at which the next would be due (GCRA, the "virtual scheduling algorithm" of ITU-T I.371).
//! Pure: the clock is the caller's.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// A pace that many share. Time is nanoseconds since some moment of the caller's.
#[derive(Debug)]
pub struct Pace {
    /// When what has been taken would have come at exactly the pace.
    due: AtomicU64,
    /// Nanoseconds for one, in 1/1024 of them.
    each: AtomicU64,
    burst: u64,
}

impl Pace {
    /// So many a second; at once as many as in the time of `burst`.
    #[must_use]
    pub fn new(per_second: u64, burst: Duration) -> Self {
        Self {
            due: AtomicU64::new(0),
            each: AtomicU64::new(each(per_second)),
            burst: u64::try_from(burst.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// One each so often, and so many of them at once after a rest.
    #[must_use]
    pub fn slow(each: Duration, burst: u32) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            due: AtomicU64::new(0),
            each: AtomicU64::new(nanoseconds(each).saturating_mul(1024)),
            burst: nanoseconds(each.saturating_mul(burst)),
        }
    }

    /// Whether all that was taken is due: it is as a new one.
    pub fn is_rested(&self, now: u64) -> bool {
        self.due.load(Relaxed) <= now
    }

    /// Another pace from now on.
    pub fn set(&self, per_second: u64) {
        self.each.store(each(per_second), Relaxed);
    }

    /// Takes so many, in any case; and says how long to wait before the next.
    pub fn take(&self, number: u64, now: u64) -> Option<Duration> {
        let takes = number.saturating_mul(self.each.load(Relaxed)) / 1024;
        let after = |due: u64| due.max(now).saturating_add(takes);
        let due = after(self.due.fetch_update(Relaxed, Relaxed, |due| Some(after(due))).unwrap_or_default());
        let ahead = due.saturating_sub(now.saturating_add(self.burst));
        (ahead > 0).then(|| Duration::from_nanos(ahead))
    }

    /// Takes one if it is not too early for it.
    pub fn try_take(&self, now: u64) -> bool {
        let each = self.each.load(Relaxed) / 1024;
        let taken = self.due.fetch_update(Relaxed, Relaxed, |due| {
            let due = due.max(now).saturating_add(each);
            // The first of a slow pace is never too early.
            (due <= now.saturating_add(self.burst.max(each))).then_some(due)
        });
        taken.is_ok()
    }
}

fn each(per_second: u64) -> u64 {
    1_000_000_000 * 1024 / per_second.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const BURST: Duration = Duration::from_millis(250);

    #[test]
    fn what_is_taken_in_a_long_time_is_the_pace() {
        let pace = Pace::new(20_000, BURST);
        let (mut now, mut taken) = (7 * SECOND, 0);
        while now < 17 * SECOND {
            taken += 100;
            now += pace.take(100, now).map_or(1_000, |wait| u64::try_from(wait.as_nanos()).unwrap());
        }
        // Ten seconds and the burst.
        assert!((204_000..206_000).contains(&taken), "{taken}");
    }

    #[test]
    fn who_is_slower_never_waits() {
        let pace = Pace::new(1_000, BURST);
        assert!((0..1_000).all(|n| pace.take(1, n * SECOND / 900).is_none()));
    }

    #[test]
    fn what_was_not_taken_is_not_saved_up() {
        let pace = Pace::new(100, BURST);
        assert_eq!(pace.take(25, 1_000 * SECOND), None);
        assert!(pace.take(25, 1_000 * SECOND).is_some());
    }

    #[test]
    fn too_early_is_refused_and_costs_nothing() {
        let pace = Pace::new(2, BURST);
        assert!(pace.try_take(0));
        assert!((0..10).all(|_| !pace.try_take(SECOND / 4)));
        assert!(pace.try_take(SECOND / 2));
    }

    #[test]
    fn a_slow_pace_takes_its_burst_and_rests() {
        let pace = Pace::slow(Duration::from_secs(2), 5);
        let now = 100 * SECOND;
        assert!(pace.is_rested(now));
        assert_eq!((0..20).filter(|_| pace.try_take(now)).count(), 5);
        assert!(!pace.try_take(now + SECOND) && pace.try_take(now + 2 * SECOND));
        assert!(!pace.is_rested(now + 10 * SECOND) && pace.is_rested(now + 12 * SECOND));
    }
}
