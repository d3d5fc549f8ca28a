//! Spellings of series, and what each means.
//!
//! The bytes that spell a series are hashed, and the hash leads to an entry of 24 bytes that says what they mean, and where they are
//! kept: they are compared, so that no two series are ever taken for one. A look-up waits for memory where the entry is and where
//! the bytes are; for a batch, both are fetched ahead.

use std::hint::black_box;

use hashbrown::HashTable;

use super::{
    arena::{Arena, At},
    registry::BATCH,
    sink::SeriesId,
    spelled::Spelled,
};
use crate::decode::MetricType;

/// Known spellings.
#[derive(Clone, Debug, Default)]
pub(super) struct Spellings {
    entries: HashTable<Entry>,
    /// The bytes of each, both parts.
    bytes: Arena,
    /// The weights that occur, few as they are.
    weights: Vec<f64>,
}

/// How something spells its series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    /// The upper half of a hash of all the rest.
    pub(super) tag: u32,
    /// The number of the sender whose spelling it is.
    pub(super) sender: u32,
    pub(super) form: Form,
    pub(super) spelled: Spelled<'a>,
}

/// What the two parts of a spelling are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A statsd line without its value: what stands before and after.
    Line,
    /// The name and the tags of samples of a type.
    Samples(MetricType),
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
    tag: u32,
    at: At,
    id: SeriesId,
    sender: u32,
    lengths: [u16; 2],
    weight: u16,
    kind: MetricType,
    form: Form,
}

impl Spellings {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What each of a batch of spellings means, if it is known.
    ///
    /// With many series each look-up waits for memory several times. Step by step for all of them, the waits of one overlap with
    /// those of the others. What else will be needed of each series, `fetch` may fetch meanwhile.
    #[inline]
    pub(super) fn find_all<'k, T>(
        &self,
        batch: &mut [T],
        key: impl Fn(&T) -> Key<'k>,
        fetch: impl Fn(SeriesId),
        tell: impl Fn(&mut T, Option<Meaning>),
    ) {
        let mut candidates = [None; BATCH];
        for (candidate, item) in candidates.iter_mut().zip(&*batch) {
            let tag = key(item).tag;
            *candidate = self.entries.find(place(tag), |entry| entry.tag == tag);
        }
        for entry in candidates.iter().flatten() {
            let bytes = self.bytes.get(entry.at, entry.length());
            black_box((bytes.first().copied(), bytes.get(bytes.len() / 2).copied(), bytes.last().copied()));
            fetch(entry.id);
        }
        for (candidate, item) in candidates.iter().zip(batch) {
            let key = key(item);
            let meaning = match candidate {
                Some(entry) if self.spells(entry, &key) => Some(self.meaning(entry)),
                Some(_) => self.find(&key),
                None => None,
            };
            tell(item, meaning);
        }
    }

    /// What a spelling means, if it is known.
    #[inline]
    pub(super) fn find(&self, key: &Key<'_>) -> Option<Meaning> {
        let is = |entry: &Entry| entry.tag == key.tag && self.spells(entry, key);
        self.entries.find(place(key.tag), is).map(|entry| self.meaning(entry))
    }

    /// Remembers a spelling that is not known. One for which there is no room is not remembered: it is read each time.
    pub(super) fn insert(&mut self, key: &Key<'_>, meaning: Meaning) {
        let known = self.weights.iter().position(|weight| weight.to_bits() == meaning.weight.to_bits());
        let weight = known.unwrap_or(self.weights.len());
        let parts = key.spelled.parts();
        let lengths = parts.map(|part| u16::try_from(part.len()));
        let ([Ok(first), Ok(second)], Ok(weight)) = (lengths, u16::try_from(weight)) else { return };
        let Some(at) = self.bytes.push(parts) else { return };
        if known.is_none() {
            self.weights.push(meaning.weight);
        }
        let entry = Entry {
            tag: key.tag,
            at,
            id: meaning.id,
            sender: key.sender,
            lengths: [first, second],
            weight,
            kind: meaning.kind,
            form: key.form,
        };
        self.entries.insert_unique(place(key.tag), entry, |entry| place(entry.tag));
    }

    /// Forgets all spellings of series that are not `kept`.
    pub(super) fn retain(&mut self, kept: impl Fn(SeriesId) -> bool) {
        let bytes = std::mem::take(&mut self.bytes);
        self.entries.retain(|entry| kept(entry.id));
        self.entries.shrink_to(self.entries.len() * 2, |entry| place(entry.tag));
        for entry in &mut self.entries {
            let spelling = bytes.get(entry.at, entry.length());
            entry.at = self.bytes.push([spelling, b""]).expect("there was room for more than this");
        }
    }

    /// Forgets all spellings.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    #[inline]
    fn meaning(&self, entry: &Entry) -> Meaning {
        Meaning { id: entry.id, kind: entry.kind, weight: self.weights[usize::from(entry.weight)] }
    }

    #[inline]
    fn spells(&self, entry: &Entry, key: &Key<'_>) -> bool {
        let [name, rest] = entry.lengths.map(usize::from);
        let known = Spelled::within(self.bytes.get(entry.at, name + rest), name, rest);
        entry.sender == key.sender && entry.form == key.form && known.is(&key.spelled)
    }
}

impl Entry {
    #[inline]
    fn length(&self) -> usize {
        self.lengths.into_iter().map(usize::from).sum()
    }
}

/// A hash of all 64 bits from one of 32: a table takes the lowest for the place and the highest to tell neighbours apart.
#[inline]
fn place(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, sender: u32, tag: u32) -> Key<'_> {
        Key { tag, sender, form: Form::Line, spelled: Spelled::of([name.as_bytes(), b"c"]) }
    }

    fn meaning(id: u32) -> Meaning {
        Meaning { id: SeriesId(id), kind: MetricType::Counter, weight: f64::from(1 + id % 3) }
    }

    #[test]
    fn finds_what_it_was_given_and_forgets_what_it_is_told() {
        let mut spellings = Spellings::default();
        assert_eq!(spellings.find(&key("a", 0, 7)), None);
        // Some share a tag.
        let tag = |n: u32| (n / 3).wrapping_mul(0x9e37_79b9);
        let names: Vec<String> = (0..3_000).map(|n| format!("name.{n}")).collect();
        for (n, name) in (0..).zip(&names) {
            spellings.insert(&key(name, n % 5, tag(n)), meaning(n));
        }
        for (n, name) in (0..).zip(&names) {
            assert_eq!(spellings.find(&key(name, n % 5, tag(n))), Some(meaning(n)));
            assert_eq!(spellings.find(&key(name, n % 5 + 1, tag(n))), None, "another sender");
            let samples = Key { form: Form::Samples(MetricType::Counter), ..key(name, n % 5, tag(n)) };
            assert_eq!(spellings.find(&samples), None, "another form");
        }
        let mut batch: Vec<_> =
            (100..).zip(&names[100..]).take(BATCH).map(|(n, name)| (n, name, None)).collect();
        spellings.find_all(
            &mut batch,
            |(n, name, _)| key(name, n % 5, tag(*n)),
            |_| (),
            |item, meaning| item.2 = meaning,
        );
        assert!(batch.iter().all(|(n, _, found)| *found == Some(meaning(*n))));
        let before = spellings.bytes.len();
        spellings.retain(|id| id.0 % 10 == 0);
        assert_eq!(spellings.len(), 300);
        assert!(spellings.bytes.len() < before / 5);
        for (n, name) in (0..).zip(&names) {
            let want = (n % 10 == 0).then(|| meaning(n));
            assert_eq!(spellings.find(&key(name, n % 5, tag(n))), want);
        }
    }

    #[test]
    fn parts_are_told_apart() {
        let mut spellings = Spellings::default();
        let parts = |a: &'static str, b: &'static str| Key {
            spelled: Spelled::of([a.as_bytes(), b.as_bytes()]),
            ..key("", 0, 1)
        };
        spellings.insert(&parts("ab", "c"), meaning(1));
        assert_eq!(spellings.find(&parts("a", "bc")), None);
        assert_eq!(spellings.find(&parts("ab", "c")), Some(meaning(1)));
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry>(), 24);
    }
}
