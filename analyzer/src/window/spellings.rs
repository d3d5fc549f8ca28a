//! Spellings of series, and what each means: sixteen bytes each, found by their keys.

use super::{
    places::{Numbered, Places},
    sink::SeriesId,
    spelled::Key,
};
use crate::decode::MetricType;

/// Known spellings.
#[derive(Clone, Debug, Default)]
pub(super) struct Spellings {
    entries: Places<Entry>,
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

impl Numbered for Entry {
    #[inline]
    fn number(&self) -> u64 {
        self.key.number()
    }
}

impl Spellings {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Fetches the entry of a spelling into the cache.
    #[inline]
    pub(super) fn fetch(&self, key: Key) {
        self.entries.fetch(key.number());
    }

    /// What a spelling means, if it is known.
    #[inline]
    pub(super) fn find(&self, key: Key) -> Option<Meaning> {
        let Entry { id, kind, weight, .. } = self.entries.find(key.number())?;
        Some(Meaning { id, kind, weight: self.weights[usize::from(weight)] })
    }

    /// Remembers a spelling that is not known. One for whose weight there is no room is not remembered: it is read each time.
    pub(super) fn insert(&mut self, key: Key, meaning: Meaning) {
        let known = self.weights.iter().position(|weight| weight.to_bits() == meaning.weight.to_bits());
        let Ok(weight) = u16::try_from(known.unwrap_or(self.weights.len())) else { return };
        if known.is_none() {
            self.weights.push(meaning.weight);
        }
        self.entries.insert(Entry { key, id: meaning.id, weight, kind: meaning.kind });
    }

    /// Forgets all spellings of series that are not `kept`.
    pub(super) fn retain(&mut self, kept: impl Fn(SeriesId) -> bool) {
        let stay = self.entries.iter().filter(|entry| kept(entry.id)).count();
        self.entries.rebuild(2 * stay, |entry| kept(entry.id));
    }

    /// Forgets all spellings.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
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
        let before = spellings.entries.room();
        spellings.retain(|id| id.0 % 10 == 0);
        assert_eq!(spellings.len(), 300);
        assert!(spellings.entries.room() <= before / 4);
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
