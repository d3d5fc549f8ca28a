//! Time as one core sees it.

use std::{fs, time::Duration, time::Instant};

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

    /// How long this thread ran since, without the time in which others had the core. Where the system does not tell (not
    /// Linux), the time that passed.
    pub fn elapsed(&self) -> Duration {
        match (self.ran, ran()) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => self.wall.elapsed(),
        }
    }
}

/// The first figure of `schedstat` is the time on the processor in nanoseconds (proc(5), sched-stats in the kernel's
/// documentation).
fn ran() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}
