//! How long to wait before the next attempt.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(100);

/// Doubles from 100 ms up to a limit, with jitter: half of each pause is random, so that many clients do not come at once.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    limit: Duration,
}

impl Backoff {
    /// For connecting: up to ten seconds.
    pub(super) fn connecting() -> Self {
        Self { next: FIRST, limit: Duration::from_secs(10) }
    }

    /// For what the broker may take or give again soon: up to one second.
    pub(super) fn retrying() -> Self {
        Self { next: FIRST, limit: Duration::from_secs(1) }
    }

    /// The next pause.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.limit);
        // A hasher's random key is the standard library's only source of randomness; jitter needs no better one.
        let random = u32::try_from(RandomState::new().hash_one(()) >> 32).expect("the upper half of 64 bits");
        pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// It worked: begin from the start next time.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Duration, FIRST};

    #[test]
    fn pauses_double_up_to_the_limit_and_begin_again() {
        let mut backoff = Backoff::connecting();
        let mut expected = FIRST;
        for _ in 0..12 {
            let pause = backoff.pause();
            assert!(pause >= expected / 2 && pause <= expected, "{pause:?} of {expected:?}");
            expected = (expected * 2).min(Duration::from_secs(10));
        }
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
    }
}
