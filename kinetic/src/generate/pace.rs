//! How far the traffic should be by now. Pure: the caller tells the time.

use std::time::Duration;

/// Divides a run into slices; each is sent when it is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    slice: Duration,
    total_ms: u64,
}

impl Pace {
    /// `slice` is at least a millisecond.
    pub(super) fn new(slice: Duration, total_ms: u64) -> Self {
        Self { slice: slice.max(Duration::from_millis(1)), total_ms }
    }

    /// So many milliseconds of traffic are due after `elapsed`: whole slices, or all of it.
    pub(super) fn due_ms(&self, elapsed: Duration) -> u64 {
        let slices = elapsed.as_millis() / self.slice.as_millis();
        let due = u64::try_from(slices * self.slice.as_millis()).unwrap_or(u64::MAX);
        if elapsed.as_millis() >= u128::from(self.total_ms) { self.total_ms } else { due }
    }

    /// When more is due, from the start, once `due_ms` was sent; nothing when that was all.
    pub(super) fn next(&self, due_ms: u64) -> Option<Duration> {
        let next = Duration::from_millis(due_ms) + self.slice;
        (due_ms < self.total_ms).then(|| next.min(Duration::from_millis(self.total_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_slices_are_due_and_the_rest_at_the_end() {
        let pace = Pace::new(Duration::from_millis(100), 1050);
        let due = |ms| pace.due_ms(Duration::from_millis(ms));
        assert_eq!(
            [due(0), due(99), due(100), due(950), due(1049), due(1050), due(9999)],
            [0, 0, 100, 900, 1000, 1050, 1050]
        );
    }

    #[test]
    fn it_wakes_slice_by_slice_and_ends() {
        let pace = Pace::new(Duration::from_millis(100), 250);
        let mut wakes = Vec::new();
        let mut due = 0;
        while let Some(next) = pace.next(due) {
            wakes.push(next.as_millis());
            due = pace.due_ms(next);
        }
        assert_eq!(wakes, [100, 200, 250]);
    }

    #[test]
    fn who_oversleeps_catches_up_at_once() {
        let pace = Pace::new(Duration::from_millis(10), 60_000);
        let due = pace.due_ms(Duration::from_millis(5_037));
        assert_eq!(due, 5_030);
        assert_eq!(pace.next(due), Some(Duration::from_millis(5_040)));
    }
}
