//! What is killed when, and how the hosts behave: all of it from the seed.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    Analyzer,
    Alert,
    Broker,
    /// Analyzer and alert service at the same moment.
    Both,
}

/// A kill, counted from the one before.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// How long everything runs before it.
    pub after: Duration,
    pub victim: Victim,
    /// How long it stays dead.
    pub dead: Duration,
}

/// So many kills. A broker takes eight seconds to come back, so it is one in eight.
pub fn kills(seed: u64, count: usize) -> Vec<Kill> {
    let mut random = StdRng::seed_from_u64(seed);
    let kill = |_| Kill {
        after: Duration::from_millis(random.random_range(100..4_000)),
        victim: match random.random_range(0..16) {
            0..2 => Victim::Broker,
            2..9 => Victim::Analyzer,
            9..14 => Victim::Alert,
            _ => Victim::Both,
        },
        dead: Duration::from_millis(random.random_range(0..1_500)),
    };
    (0..count).map(kill).collect()
}

/// What is wrong with a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ill {
    Slow,
    Queued,
    Loaded,
    Silent,
}

impl Ill {
    /// In every stretch of 15 seconds every second host has one thing wrong with it for seven seconds.
    pub fn of(seed: u64, host: usize, second: u64) -> Option<Self> {
        const STRETCH: u64 = 15;
        let stretch = second / STRETCH;
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (stretch << 16) ^ host as u64;
        let mut random = StdRng::seed_from_u64(mixed);
        let begins = random.random_range(0..STRETCH - 7);
        let sick = random.random() && (begins..begins + 7).contains(&(second % STRETCH));
        let ill = [Self::Slow, Self::Queued, Self::Loaded, Self::Silent][random.random_range(0..4)];
        sick.then_some(ill)
    }
}

#[test]
fn a_seed_reproduces_a_run() {
    let run =
        |seed| (format!("{:?}", kills(seed, 50)), (0..500).map(|s| Ill::of(seed, 3, s)).collect::<Vec<_>>());
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
