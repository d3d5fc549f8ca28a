//! Which series a labelled sample means, as long as it is spelled as before.
//!
//! Finding a series by its name takes sorting its tags and taking its origin out. A spelling that was seen before spares that, and
//! allocates nothing.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::{hash::hash, sink::SeriesId};
use crate::decode::sample::{OriginHint, Sample};

/// Ends a part; no byte of UTF-8 is like it.
const END: u8 = 0xff;

/// Spellings, and the series that they mean.
#[derive(Debug)]
pub(super) struct LabelledSpellings {
    seed: u64,
    /// So many at most: those that differ from message to message must not pile up.
    most: usize,
    /// How often series had been evicted when the first of these was remembered: since then others may have their ids.
    evictions: u64,
    known: HashTable<Spelling>,
    /// The last one that was looked for.
    sought: Vec<u8>,
    sought_hash: u64,
}

#[derive(Debug)]
struct Spelling {
    hash: u64,
    id: SeriesId,
    bytes: Box<[u8]>,
}

impl LabelledSpellings {
    pub(super) fn new(max_series: usize) -> Self {
        Self {
            seed: RandomState::new().hash_one(0),
            most: max_series.saturating_mul(2).saturating_add(1024),
            evictions: 0,
            known: HashTable::new(),
            sought: Vec::new(),
            sought_hash: 0,
        }
    }

    /// The series of a sample from a message with this origin header, if it was spelled so since the last eviction.
    pub(super) fn find(&mut self, header: &str, sample: &Sample<'_>, evictions: u64) -> Option<SeriesId> {
        if self.evictions != evictions {
            self.evictions = evictions;
            self.known.clear();
        }
        spell(&mut self.sought, header, sample);
        self.sought_hash = hash(self.seed, &self.sought);
        let same = |known: &Spelling| known.hash == self.sought_hash && *known.bytes == *self.sought;
        self.known.find(self.sought_hash, same).map(|known| known.id)
    }

    /// Remembers that the spelling that was last looked for, and not found, means this series.
    pub(super) fn remember(&mut self, id: SeriesId) {
        if self.known.len() >= self.most {
            self.known.clear();
        }
        let spelling = Spelling { hash: self.sought_hash, id, bytes: self.sought.as_slice().into() };
        self.known.insert_unique(spelling.hash, spelling, |known| known.hash);
    }
}

fn spell(bytes: &mut Vec<u8>, header: &str, sample: &Sample<'_>) {
    let (hint, host) = match sample.origin {
        OriginHint::Header => (0, ""),
        OriginHint::Host(host) => (1, host),
        OriginHint::HostTag => (2, ""),
    };
    bytes.clear();
    bytes.extend([sample.reading.kind() as u8, hint]);
    let tags = sample.tags.iter().flat_map(|(key, value)| [&**key, &**value]);
    for part in [header, host, sample.metric].into_iter().chain(tags) {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(END);
    }
}
