//! Spellings of series, and what each means.
//!
//! One table of entries of sixteen bytes, four to a cache line: a key leads to its entry, or to one of the next few (open addressing,
//! linear probing), so that a look-up waits for memory once. For a batch, entries are fetched ahead.

use std::hint::black_box;

use super::{sink::SeriesId, spelled::Key};
use crate::decode::MetricType;

/// A table has room for so many at least.
const LEAST: usize = 16;

/// Known spellings.
#[derive(Clone, Debug, Default)]
pub(super) struct Spellings {
    /// A power of two of them, of which two thirds at most are taken; none before the first.
    entries: Vec<Option<Entry>>,
    len: usize,
    /// The weights that occur, few as they are.
    weights: Vec<f64>,
}

/// What a spelling means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Meaning {
    pub(super) id: SeriesId,
    pub(super) kind: MetricType,
    /// How many samples a value stands for; 1 where the spelling does not say.
    pub(super) weight: f64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    id: SeriesId,
    weight: u16,
    kind: MetricType,
}

impl Spellings {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Fetches the entry of a spelling into the cache.
    #[inline]
    pub(super) fn fetch(&self, key: Key) {
        if let Some(entry) = self.entries.get(self.place(key)) {
            black_box(entry.is_some());
        }
    }

    /// What a spelling means, if it is known.
    #[inline]
    pub(super) fn find(&self, key: Key) -> Option<Meaning> {
        let mut place = self.place(key);
        loop {
            let entry = (*self.entries.get(place)?)?;
            if entry.key == key {
                return Some(self.meaning(entry));
            }
            place = self.after(place);
        }
    }

    /// Remembers a spelling that is not known. One for whose weight there is no room is not remembered: it is read each time.
    pub(super) fn insert(&mut self, key: Key, meaning: Meaning) {
        let known = self.weights.iter().position(|weight| weight.to_bits() == meaning.weight.to_bits());
        let Ok(weight) = u16::try_from(known.unwrap_or(self.weights.len())) else { return };
        if known.is_none() {
            self.weights.push(meaning.weight);
        }
        if 3 * (self.len + 1) > 2 * self.entries.len() {
            self.rebuild(2 * (self.len + 1), |_| true);
        }
        self.put(Entry { key, id: meaning.id, weight, kind: meaning.kind });
    }

    /// Forgets all spellings of series that are not `kept`.
    pub(super) fn retain(&mut self, kept: impl Fn(SeriesId) -> bool) {
        let len = self.entries.iter().flatten().filter(|entry| kept(entry.id)).count();
        self.rebuild(2 * len, |entry| kept(entry.id));
    }

    /// Forgets all spellings.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn rebuild(&mut self, room: usize, kept: impl Fn(&Entry) -> bool) {
        let room = room.max(LEAST).next_power_of_two();
        let before = std::mem::replace(&mut self.entries, vec![None; room]);
        self.len = 0;
        for entry in before.into_iter().flatten().filter(kept) {
            self.put(entry);
        }
    }

    fn put(&mut self, entry: Entry) {
        let mut place = self.place(entry.key);
        while self.entries[place].is_some() {
            place = self.after(place);
        }
        self.entries[place] = Some(entry);
        self.len += 1;
    }

    /// Where the entry of a key is, unless another was there first. Beyond the table while that is empty.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower bits are as good as all")]
    fn place(&self, key: Key) -> usize {
        key.number() as usize & self.entries.len().wrapping_sub(1)
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        (place + 1) & self.entries.len().wrapping_sub(1)
    }

    #[inline]
    fn meaning(&self, entry: Entry) -> Meaning {
        Meaning { id: entry.id, kind: entry.kind, weight: self.weights[usize::from(entry.weight)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::spelled::{Secrets, Spelled};

    fn key(n: u32) -> Key {
        Secrets::new(7).key(3, &Spelled::of([format!("name.{n}").as_bytes(), b"c"]))
    }

    fn meaning(id: u32) -> Meaning {
        Meaning { id: SeriesId(id), kind: MetricType::Counter, weight: f64::from(1 + id % 3) }
    }

    #[test]
    fn finds_what_it_was_given_and_forgets_what_it_is_told() {
        let mut spellings = Spellings::default();
        assert_eq!(spellings.find(key(0)), None);
        spellings.fetch(key(0));
        for n in 0..3_000 {
            assert_eq!(spellings.find(key(n)), None);
            spellings.insert(key(n), meaning(n));
        }
        assert_eq!(spellings.len(), 3_000);
        assert!((0..3_000).all(|n| spellings.find(key(n)) == Some(meaning(n))));
        let before = spellings.entries.len();
        spellings.retain(|id| id.0 % 10 == 0);
        assert_eq!(spellings.len(), 300);
        assert!(spellings.entries.len() < before / 5);
        for n in 0..3_000 {
            assert_eq!(spellings.find(key(n)), (n % 10 == 0).then(|| meaning(n)));
        }
        spellings.clear();
        assert_eq!((spellings.len(), spellings.find(key(0))), (0, None));
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Option<Entry>>(), 16);
    }
}
