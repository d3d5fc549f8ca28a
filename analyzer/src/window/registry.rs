//! Which series a line means.
//!
//! A series is found by the bytes that spell it: one hash of name and tags as they stand in the line. Only a spelling that was
//! not seen before is read, its tags sorted and its origin taken out; so two spellings of a series are one series, and nothing
//! is allocated for a spelling that is known.

use std::{
    hash::{BuildHasher, RandomState},
    hint::black_box,
};

use hashbrown::{HashMap, HashTable, hash_table::Entry};
use kinetic_api::{plan::OriginRule, series::SeriesName};

use super::{hash::hash, sink::SeriesId};
use crate::decode::{MetricType, bad_line::BadLineReason, origin, series, statsd::Samples};

/// So many lines are looked up together.
pub(super) const BATCH: usize = 32;

/// Separates the parts of a name in [`Series::name`]; no name holds a control character.
const PART: char = '\u{1f}';

/// Every known series, and the spellings that lead to it.
#[derive(Debug)]
pub(super) struct Registry {
    rule: OriginRule,
    max_series: usize,
    seed: u64,
    origins: HashMap<String, u32>,
    spellings: HashTable<Spelling>,
    by_name: HashTable<SeriesId>,
    /// By id; None where an id is free.
    series: Vec<Option<Series>>,
    free: Vec<SeriesId>,
}

/// The origin header of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    number: u32,
    seed: u64,
}

#[derive(Debug)]
struct Spelling {
    hash: u64,
    id: SeriesId,
    sender: u32,
    kind: MetricType,
    name_length: usize,
    /// Name and tags, one after the other.
    bytes: Box<[u8]>,
}

#[derive(Debug)]
struct Series {
    hash: u64,
    kind: MetricType,
    /// Metric, origin, then keys and values of the tags, each after a [`PART`] but the first.
    name: Box<str>,
}

/// A line on its way to its series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting<'a> {
    pub(super) samples: Samples<'a>,
    pub(super) line: &'a [u8],
    pub(super) id: Option<SeriesId>,
    hash: u64,
}

impl<'a> Sighting<'a> {
    #[inline]
    pub(super) fn new(sender: Sender, samples: Samples<'a>, line: &'a [u8]) -> Self {
        Self { samples, line, id: None, hash: spelling_hash(sender, &samples) }
    }
}

/// What came of looking for a series that was not found by its spelling.
pub(super) enum Found {
    /// It was known by another spelling.
    Known(SeriesId),
    /// It is new.
    New(SeriesId, SeriesName),
    /// It is new, and there are too many.
    Full,
}

impl Registry {
    pub(super) fn new(rule: OriginRule, max_series: usize) -> Self {
        Self {
            rule,
            max_series,
            seed: RandomState::new().hash_one(0),
            origins: HashMap::new(),
            spellings: HashTable::new(),
            by_name: HashTable::new(),
            series: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The sender of a message, by its origin header.
    pub(super) fn sender(&mut self, header: &str) -> Sender {
        let number = if let Some(number) = self.origins.get(header) {
            *number
        } else {
            if self.origins.len() > self.most_spellings() {
                self.forget_spellings();
            }
            let next =
                u32::try_from(self.origins.len()).expect("fewer than the spellings, which are bounded");
            self.origins.insert(header.to_owned(), next);
            next
        };
        Sender { number, seed: hash(self.seed, &number.to_le_bytes()) }
    }

    /// Finds the series of a batch, as far as their spellings are known.
    ///
    /// With many series each look-up waits for memory several times. Step by step for a whole batch, the waits of one line
    /// overlap with those of the others.
    pub(super) fn find_all(&self, sender: Sender, batch: &mut [Sighting<'_>]) {
        let mut candidates = [None; BATCH];
        for (candidate, sighting) in candidates.iter_mut().zip(&*batch) {
            *candidate = self.spellings.find(sighting.hash, |s| s.hash == sighting.hash);
        }
        for spelling in candidates.iter().flatten() {
            black_box((spelling.bytes.first(), spelling.bytes.last()));
        }
        for (candidate, sighting) in candidates.iter().zip(batch) {
            sighting.id = match candidate {
                Some(spelling) if spelling.is(sender, &sighting.samples) => Some(spelling.id),
                Some(_) => self.find(sender, sighting),
                None => None,
            };
        }
    }

    /// The series of one line.
    pub(super) fn find(&self, sender: Sender, sighting: &Sighting<'_>) -> Option<SeriesId> {
        let same = |s: &Spelling| s.hash == sighting.hash && s.is(sender, &sighting.samples);
        self.spellings.find(sighting.hash, same).map(|s| s.id)
    }

    /// Reads a spelling that is not known yet, and remembers it if there is room for its series.
    pub(super) fn learn(
        &mut self,
        sender: Sender,
        header: &str,
        sighting: &Sighting<'_>,
    ) -> Result<Found, BadLineReason> {
        let samples = &sighting.samples;
        let name = origin::name(series::labels(samples.name, samples.tags)?, &self.rule, header);
        let packed = pack(&name);
        let hash = hash(self.seed ^ samples.kind as u64, packed.as_bytes());
        let series = &self.series;
        let entry = self.by_name.entry(
            hash,
            |id| known(series, *id).is_some_and(|s| s.kind == samples.kind && *s.name == *packed),
            |id| known(series, *id).map_or(0, |s| s.hash),
        );
        let found = match entry {
            Entry::Occupied(entry) => Found::Known(*entry.get()),
            Entry::Vacant(_) if self.series.len() - self.free.len() >= self.max_series => {
                return Ok(Found::Full);
            }
            Entry::Vacant(entry) => {
                let next = u32::try_from(self.series.len()).map(SeriesId);
                let Some(id) = self.free.pop().or(next.ok()) else { return Ok(Found::Full) };
                entry.insert(id);
                let series = Some(Series { hash, kind: samples.kind, name: packed.into_boxed_str() });
                match self.series.get_mut(id.0 as usize) {
                    Some(place) => *place = series,
                    None => self.series.push(series),
                }
                Found::New(id, name)
            }
        };
        if let Found::Known(id) | Found::New(id, _) = found {
            self.remember(sender, sighting, id);
        }
        Ok(found)
    }

    /// Forgets series; their ids are used again, the smallest first.
    pub(super) fn forget(&mut self, ids: &[SeriesId]) {
        for id in ids {
            if let Some(series) = self.series[id.0 as usize].take()
                && let Ok(entry) = self.by_name.find_entry(series.hash, |known| known == id)
            {
                entry.remove();
            }
        }
        self.free.extend_from_slice(ids);
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        let series = &self.series;
        self.spellings.retain(|s| known(series, s.id).is_some());
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn name(&self, id: SeriesId) -> Option<(SeriesName, MetricType)> {
        known(&self.series, id).map(|s| (unpack(&s.name), s.kind))
    }

    /// Spellings need room, too: those that differ from message to message (the order of tags) must not pile up.
    fn most_spellings(&self) -> usize {
        self.max_series.saturating_mul(2).saturating_add(1024).min(u32::MAX as usize)
    }

    /// They are learned anew as they come.
    fn forget_spellings(&mut self) {
        self.spellings.clear();
        self.origins.clear();
    }

    fn remember(&mut self, sender: Sender, sighting: &Sighting<'_>, id: SeriesId) {
        if self.spellings.len() > self.most_spellings() {
            self.spellings.clear();
        }
        let samples = &sighting.samples;
        let spelling = Spelling {
            hash: sighting.hash,
            id,
            sender: sender.number,
            kind: samples.kind,
            name_length: samples.name.len(),
            bytes: [samples.name, samples.tags].concat().into_boxed_slice(),
        };
        self.spellings.insert_unique(spelling.hash, spelling, |s| s.hash);
    }
}

impl Spelling {
    #[inline]
    fn is(&self, sender: Sender, samples: &Samples<'_>) -> bool {
        self.sender == sender.number
            && self.kind == samples.kind
            && self.bytes.split_at_checked(self.name_length) == Some((samples.name, samples.tags))
    }
}

#[inline]
fn spelling_hash(sender: Sender, samples: &Samples<'_>) -> u64 {
    let name = hash(sender.seed ^ samples.kind as u64, samples.name);
    if samples.tags.is_empty() { name } else { hash(name, samples.tags) }
}

fn known(series: &[Option<Series>], id: SeriesId) -> Option<&Series> {
    series.get(id.0 as usize)?.as_ref()
}

fn pack(name: &SeriesName) -> String {
    let mut packed = format!("{}{PART}{}", name.metric, name.origin);
    for (key, value) in &name.tags {
        for part in [key, value] {
            packed.push(PART);
            packed.push_str(part);
        }
    }
    packed
}

fn unpack(packed: &str) -> SeriesName {
    let mut parts = packed.split(PART).map(str::to_owned);
    let metric = parts.next().unwrap_or_default();
    let origin = parts.next().unwrap_or_default();
    let mut tags = Vec::new();
    while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
        tags.push((key, value));
    }
    SeriesName { metric, tags, origin }
}
