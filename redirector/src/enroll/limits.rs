//! How often each of many may ask.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::pace::Pace;

/// So many are told apart at a time.
const MOST: usize = 20_000;

/// A pace for each; who has rested is forgotten.
#[derive(Debug)]
pub(super) struct Paces<K> {
    began: Instant,
    each: Duration,
    burst: u32,
    known: Mutex<HashMap<K, Pace>>,
}

impl<K: Eq + Hash> Paces<K> {
    pub(super) fn new(each: Duration, burst: u32) -> Self {
        Self { began: Instant::now(), each, burst, known: Mutex::default() }
    }

    /// Takes one, or says after how long there will be one.
    pub(super) fn take(&self, who: K) -> Result<(), Duration> {
        self.take_at(who, u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn take_at(&self, who: K, now: u64) -> Result<(), Duration> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&who) {
            known.retain(|_, pace| !pace.is_rested(now));
            // So many at once that nobody can be told apart: who is new waits.
            if known.len() >= MOST {
                return Err(self.each);
            }
        }
        let pace = known.entry(who).or_insert_with(|| Pace::slow(self.each, self.burst));
        if pace.try_take(now) { Ok(()) } else { Err(self.each) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_and_the_number_is_bounded() {
        let paces = Paces::new(Duration::from_secs(1), 2);
        let taken = |who, now| (0..10).filter(|_| paces.take_at(who, now).is_ok()).count();
        assert_eq!((taken(1, 0), taken(2, 0)), (2, 2));
        for who in 0..50_000 {
            let _ = paces.take_at(who, 0);
        }
        assert_eq!(paces.known.lock().unwrap().len(), MOST);
        assert_eq!(taken(60_000, 0), 0);
        // Who has rested makes room.
        assert_eq!(taken(60_000, 3_000_000_000), 2);
        assert_eq!(paces.known.lock().unwrap().len(), 1);
    }
}
