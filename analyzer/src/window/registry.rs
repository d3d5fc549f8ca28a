//! Which series a line means.
//!
//! A series is found by the bytes that spell it: a line's name, and all that follows its value. Only a spelling that was not seen
//! before is read, its tags sorted and its origin taken out; so two spellings of a series are one series, and of a spelling that is
//! known neither type nor rate nor tags are read again.

use std::hash::{BuildHasher, RandomState};

use hashbrown::{HashMap, HashTable, hash_table::Entry};
use kinetic_api::{plan::OriginRule, series::SeriesName};

use super::{
    hash::hash,
    names::{Names, pack},
    sink::SeriesId,
    spelled::{Key, Secrets, Spelled},
    spellings::{Meaning, Spellings},
};
use crate::decode::{MetricType, bad_line::BadLineReason, cut::Line, origin, series, statsd::Samples};

/// Every known series, and the spellings that lead to it.
#[derive(Debug)]
pub(super) struct Registry {
    rule: OriginRule,
    max_series: usize,
    /// Chosen at random, so that nobody outside can aim for collisions.
    seed: u64,
    secrets: Secrets,
    origins: HashMap<String, u32>,
    spellings: Spellings,
    by_name: HashTable<SeriesId>,
    names: Names,
    free: Vec<SeriesId>,
}

/// The origin header of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender(u32);

/// What the two parts of a spelling are.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// A statsd line without its value: what stands before and after.
    Line,
    /// The name and the tags of samples of a type.
    Samples(MetricType),
}

/// A line on its way to its series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting<'a> {
    pub(super) line: Line<'a>,
    /// What name and rest mean, if they were seen before.
    pub(super) meaning: Option<Meaning>,
    pub(super) key: Key,
}

impl Sighting<'_> {
    /// What is not there yet.
    pub(super) const NONE: Self = Self { line: Line::NONE, meaning: None, key: Key::NONE };
}

/// What came of looking for a series that was not found by its spelling.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// It was known by another spelling.
    Known(SeriesId),
    /// It is new.
    New(SeriesId, SeriesName),
    /// It is new, and there are too many.
    Full,
}

impl Sender {
    /// What is to be told apart beside the two parts.
    #[inline]
    fn spells(self, form: Form) -> u64 {
        let form = match form {
            Form::Line => 0,
            Form::Samples(kind) => 1 + kind as u64,
        };
        u64::from(self.0) << 8 | form
    }
}

impl Registry {
    /// What the series are called, and which ids are free: what a registry is made of again.
    pub(super) fn known(&self) -> (&Names, &[SeriesId]) {
        (&self.names, &self.free)
    }

    /// A registry that knows so much. Spellings are learned again as they come.
    pub(super) fn restore(rule: OriginRule, max_series: usize, names: Names, free: Vec<SeriesId>) -> Self {
        let mut registry = Self { names, free, ..Self::new(rule, max_series) };
        let (seed, names) = (registry.seed, &registry.names);
        for id in (0..).map(SeriesId).take(names.ids()).filter(|id| names.kind(*id).is_some()) {
            registry
                .by_name
                .insert_unique(known_hash(seed, names, id), id, |id| known_hash(seed, names, *id));
        }
        registry
    }

    pub(super) fn new(rule: OriginRule, max_series: usize) -> Self {
        let seed = RandomState::new().hash_one(0);
        Self {
            rule,
            max_series,
            seed,
            secrets: Secrets::new(seed),
            origins: HashMap::new(),
            spellings: Spellings::default(),
            by_name: HashTable::new(),
            names: Names::default(),
            free: Vec::new(),
        }
    }

    /// The sender of a message, by its origin header.
    pub(super) fn sender(&mut self, header: &str) -> Sender {
        let number = if let Some(number) = self.origins.get(header) {
            *number
        } else {
            if self.origins.len() > self.most_spellings() {
                self.spellings.clear();
                self.origins.clear();
            }
            let next =
                u32::try_from(self.origins.len()).expect("fewer than the spellings, which are bounded");
            self.origins.insert(header.to_owned(), next);
            next
        };
        Sender(number)
    }

    /// A line, to be looked up with others.
    #[inline]
    pub(super) fn sight<'a>(&self, sender: Sender, line: Line<'a>) -> Sighting<'a> {
        let spelled = Spelled::within(line.text, line.name().len(), line.rest_length());
        let key = self.secrets.key(sender.spells(Form::Line), &spelled);
        Sighting { line, meaning: None, key }
    }

    /// The key of samples, whatever the line looks like that they stand in.
    pub(super) fn samples(&self, sender: Sender, samples: &Samples<'_>) -> Key {
        let spelled = Spelled::of([samples.name, samples.tags]);
        self.secrets.key(sender.spells(Form::Samples(samples.kind)), &spelled)
    }

    /// Fetches into the cache what [`find`](Self::find) will look at.
    #[inline]
    pub(super) fn fetch(&self, key: Key) {
        self.spellings.fetch(key);
    }

    /// What a spelling means, if it is known.
    #[inline]
    pub(super) fn find(&self, key: Key) -> Option<Meaning> {
        self.spellings.find(key)
    }

    /// Remembers what a spelling means.
    pub(super) fn remember(&mut self, key: Key, meaning: Meaning) {
        // What is spelled otherwise each time (the order of tags) must not pile up.
        if self.spellings.len() > self.most_spellings() {
            self.spellings.clear();
        }
        self.spellings.insert(key, meaning);
    }

    /// Reads the name of samples that are not known by their spelling, and gives them a series if there is room for it.
    pub(super) fn learn(&mut self, samples: &Samples<'_>, header: &str) -> Result<Found, BadLineReason> {
        let name = origin::name(series::labels(samples.name, samples.tags)?, &self.rule, header);
        Ok(self.series(&name, samples.kind))
    }

    /// The series of this name, made if it is new. One that appears beside another of the same name and another type is told of with
    /// its type as a tag: findings about the two must not be taken for each other.
    pub(super) fn series(&mut self, name: &SeriesName, kind: MetricType) -> Found {
        let (packed, names, seed) = (pack(name), &self.names, self.seed);
        let full = names.ids() - self.free.len() >= self.max_series;
        let hash = name_hash(seed, packed.as_bytes());
        let entry = self.by_name.entry(
            hash,
            |id| {
                names.kind(*id) == Some(kind)
                    && names.get(*id).is_some_and(|known| known.bytes() == packed.as_bytes())
            },
            |id| known_hash(seed, names, *id),
        );
        let entry = match entry {
            Entry::Occupied(entry) => return Found::Known(*entry.get()),
            Entry::Vacant(_) if full => return Found::Full,
            Entry::Vacant(entry) => entry,
        };
        let next = u32::try_from(names.ids()).map(SeriesId);
        let Some(id) = self.free.last().copied().or(next.ok()) else { return Found::Full };
        entry.insert(id);
        if !self.names.insert_packed(id, &packed, kind) {
            self.drop_name(id, hash);
            return Found::Full;
        }
        self.free.pop();
        let is_namesake = |other: &SeriesId| {
            *other != id && self.names.get(*other).is_some_and(|known| known.bytes() == packed.as_bytes())
        };
        if self.by_name.iter_hash(hash).any(is_namesake) {
            self.names.tell_type(id);
        }
        Found::New(id, self.names.name(id))
    }

    /// Forgets series; their ids are used again, the smallest first.
    pub(super) fn forget(&mut self, ids: &[SeriesId]) {
        for id in ids {
            self.drop_name(*id, known_hash(self.seed, &self.names, *id));
        }
        self.names.remove(ids);
        self.free.extend_from_slice(ids);
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        let names = &self.names;
        self.spellings.retain(|id| names.kind(id).is_some());
    }

    /// How an origin is found.
    pub(super) fn rule(&self) -> &OriginRule {
        &self.rule
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// What the series are called.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    fn drop_name(&mut self, id: SeriesId, hash: u64) {
        if let Ok(entry) = self.by_name.find_entry(hash, |known| *known == id) {
            entry.remove();
        }
    }

    /// Spellings need room, too.
    fn most_spellings(&self) -> usize {
        self.max_series.saturating_mul(2).saturating_add(1024).min(u32::MAX as usize)
    }
}

/// Whatever the type: so those of one name are found together.
fn name_hash(seed: u64, packed: &[u8]) -> u64 {
    hash(seed, packed)
}

fn known_hash(seed: u64, names: &Names, id: SeriesId) -> u64 {
    names.get(id).map_or(0, |name| name_hash(seed, name.bytes()))
}
