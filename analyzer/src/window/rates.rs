//! What clients read from their counters becomes rates a second.
//!
//! As collectd's `uc_update` does it (`src/daemon/utils_cache.c`), but for resets of a COUNTER: a process that begins again at 0 looks
//! like a counter that wraps around. Where the wrap would mean more than half of the counter's range between two readings, it is taken for
//! a reset and gives no rate. Time is event time, so that a stream that is read again gives the same rates.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::sink::SeriesId;
use crate::{
    decode::sample::{Bounds, Raw},
    image::sorted,
};

/// So many whole numbers that are not 0 tell that a client has ceased to send rates: a rate is one only by chance.
const WHOLE_NUMBERS: u8 = 3;

/// The last reading of each series that needs it: one at most for each series that is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    #[serde(with = "sorted")]
    earlier: HashMap<SeriesId, Earlier>,
}

/// A reading that the next one is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Earlier {
    time_ns: i64,
    raw: Raw,
    /// While not 0 the client sends rates, and a whole number is one, too.
    sends_rates: u8,
}

impl Rates {
    /// The rate a second that a reading makes together with the one before it. None: it is the first, its time has not advanced, the counter
    /// was reset, or the rate is out of bounds.
    pub fn rate(&mut self, id: SeriesId, time_ns: i64, raw: Raw, bounds: Bounds) -> Option<f64> {
        let now = Earlier { time_ns, raw, sends_rates: 0 };
        let earlier = match self.earlier.entry(id) {
            hashbrown::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            hashbrown::hash_map::Entry::Vacant(entry) => {
                entry.insert(Earlier { sends_rates: rates_left(0, raw), ..now });
                return told(raw).and_then(|rate| within(rate, bounds));
            }
        };
        if time_ns <= earlier.time_ns {
            return None;
        }
        let before = *earlier;
        *earlier = Earlier { sends_rates: rates_left(before.sends_rates, raw), ..now };
        let rate = match (raw, whole(raw)) {
            (raw, None) => told(raw),
            (_, Some(rate)) if before.sends_rates > 0 => Some(rate),
            (raw, Some(_)) => {
                let elapsed = (i128::from(time_ns) - i128::from(before.time_ns)) as f64 / 1e9;
                difference(before.raw, raw).map(|difference| difference / elapsed)
            }
        };
        within(rate?, bounds)
    }

    /// Whether a series was read since: its first reading makes no sample yet.
    pub(super) fn is_fresh(&self, id: SeriesId, since_ms: i64) -> bool {
        self.earlier.get(&id).is_some_and(|earlier| earlier.time_ns / 1_000_000 >= since_ms)
    }

    /// Forgets series.
    pub(super) fn forget(&mut self, ids: &[SeriesId]) {
        if !self.earlier.is_empty() {
            for id in ids {
                self.earlier.remove(id);
            }
        }
    }
}

/// For how many whole numbers on a client is still taken to send rates.
fn rates_left(left: u8, raw: Raw) -> u8 {
    match whole(raw) {
        None => WHOLE_NUMBERS,
        Some(0.0) => left,
        Some(_) => left.saturating_sub(1),
    }
}

/// The rate that a client tells itself.
fn told(raw: Raw) -> Option<f64> {
    if let Raw::Rate(rate) = raw { Some(rate) } else { None }
}

/// What a client read; None where it told a rate.
fn whole(raw: Raw) -> Option<f64> {
    match raw {
        Raw::Counter(n) | Raw::Absolute(n) => Some(n as f64),
        Raw::Derive(n) => Some(n as f64),
        Raw::Sum(n) => Some(n),
        Raw::Rate(_) | Raw::NoRate => None,
    }
}

fn within(rate: f64, bounds: Bounds) -> Option<f64> {
    (rate.is_finite() && rate >= bounds.min && rate <= bounds.max).then_some(rate)
}

/// By how much a counter went on. None: it was reset, or is another kind of counter now.
fn difference(before: Raw, now: Raw) -> Option<f64> {
    match (before, now) {
        (Raw::Counter(before), Raw::Counter(now)) => counted(before, now).map(|difference| difference as f64),
        (Raw::Derive(before), Raw::Derive(now)) => Some((i128::from(now) - i128::from(before)) as f64),
        (_, Raw::Absolute(now)) => Some(now as f64),
        (Raw::Sum(before), Raw::Sum(now)) => Some(now - before),
        _ => None,
    }
}

fn counted(before: u64, now: u64) -> Option<u64> {
    if now >= before {
        return Some(now - before);
    }
    let (difference, range) = if before < 1 << 32 {
        ((1 << 32) - before + now, 1u128 << 32)
    } else {
        (now.wrapping_sub(before), 1u128 << 64)
    };
    (u128::from(difference) <= range / 2).then_some(difference)
}

#[cfg(test)]
mod tests;
