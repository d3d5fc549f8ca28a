//! Time as one core sees it.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Measures how long this thread ran.
#[derive(Debug)]
pub struct CoreTime {
    wall: Instant,
    ran: Option<Duration>,
}

impl CoreTime {
    /// Begins now.
    pub fn start() -> Self {
        Self { wall: Instant::now(), ran: ran() }
    }

    /// How long this thread ran since, without the time in which others had the core. Where the system does not tell, the time that
    /// passed.
    pub fn elapsed(&self) -> Duration {
        match (self.ran, ran()) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => self.wall.elapsed(),
        }
    }
}

/// Exact to the nanosecond, unlike what `/proc` tells, which is brought up to date a few hundred times a second.
fn ran() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok().map(Duration::from)
}
