//! Which feeds are each other's peers.

use hashbrown::HashTable;
use kinetic_api::series::SeriesName;
use serde::{Deserialize, Serialize};

use super::subjects::Slot;
use crate::{
    decode::MetricType,
    window::{Name, Names, SeriesId, chunked::Chunked, hash::hash},
};

/// What the feeds of a group have in common: it is read from the name of any of their series.
#[derive(Clone, Copy, Debug)]
pub struct GroupName<'a> {
    name: Name<'a>,
    /// What its samples are: a timer is no peer of a counter of the same name.
    kind: MetricType,
    group_by: &'a [String],
}

impl<'a> GroupName<'a> {
    /// The group of a series where groups are made by these tags; None for a series that is not in.
    #[must_use]
    pub fn of(id: SeriesId, names: &'a Names, group_by: &'a [String]) -> Option<Self> {
        Some(Self { name: names.get(id)?, kind: names.kind(id)?, group_by })
    }

    /// The tags that make a group of their own, as far as the series has them.
    fn tags(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.name.tags().filter(move |(key, _)| self.group_by.iter().any(|tag| tag == key))
    }

    /// The name of what `origin` sends, where that is several series.
    #[must_use]
    pub fn feed(self, origin: &str) -> SeriesName {
        SeriesName {
            metric: self.name.metric().to_owned(),
            tags: self.tags().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            origin: origin.to_owned(),
        }
    }

    fn hash(self) -> u64 {
        let begin = hash(self.kind as u64, self.name.metric().as_bytes());
        self.tags().fold(begin, |state, (key, value)| hash(hash(state, key.as_bytes()), value.as_bytes()))
    }
}

impl PartialEq for GroupName<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.name.metric() == other.name.metric() && self.tags().eq(other.tags())
    }
}

/// A group's number: dense, used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupId(u32);

/// Feeds that are each other's peers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    /// The feeds, by origin.
    pub feeds: Vec<Slot>,
    /// The number of the last window in which one of them had a value.
    pub latest: i64,
    hash: u64,
}

/// All groups of an analytic.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Groups {
    #[serde(skip)]
    by_name: HashTable<GroupId>,
    by_id: Chunked<Option<Group>>,
    free: Vec<GroupId>,
}

/// A group that holds feeds stays.
const GROUP_IS_IN: &str = "a group leaves with its last feed only";

impl Groups {
    /// The group of this name, made if it is new. `name_of` says what a group that is in is called.
    pub fn find_or_make<'a>(
        &mut self,
        name: GroupName<'a>,
        name_of: impl Fn(&Group) -> Option<GroupName<'a>>,
    ) -> GroupId {
        let hash = name.hash();
        let is = |id: &GroupId| {
            let group = self.by_id[id.0 as usize].as_ref();
            group.is_some_and(|group| group.hash == hash && name_of(group) == Some(name))
        };
        if let Some(id) = self.by_name.find(hash, is) {
            return *id;
        }
        let group = Some(Group { feeds: Vec::new(), latest: i64::MIN, hash });
        let id = if let Some(id) = self.free.pop() {
            self.by_id[id.0 as usize] = group;
            id
        } else {
            let next = u32::try_from(self.by_id.len())
                .expect("no more than there are series, whose ids are 32 bits");
            self.by_id.push(group);
            GroupId(next)
        };
        let groups = &self.by_id;
        self.by_name
            .insert_unique(hash, id, |id| groups[id.0 as usize].as_ref().map_or(0, |group| group.hash));
        id
    }

    /// A group that holds feeds.
    #[must_use]
    pub fn get(&self, id: GroupId) -> &Group {
        self.by_id[id.0 as usize].as_ref().expect(GROUP_IS_IN)
    }

    /// A group that holds feeds, to be changed.
    pub fn get_mut(&mut self, id: GroupId) -> &mut Group {
        self.by_id[id.0 as usize].as_mut().expect(GROUP_IS_IN)
    }

    /// Takes a feed out, and its group if it was the last.
    pub fn leave(&mut self, id: GroupId, slot: Slot) {
        let group = self.get_mut(id);
        group.feeds.retain(|other| *other != slot);
        let hash = group.hash;
        if group.feeds.is_empty() {
            if let Ok(entry) = self.by_name.find_entry(hash, |known| *known == id) {
                entry.remove();
            }
            self.by_id[id.0 as usize] = None;
            self.free.push(id);
        }
    }

    /// The groups as they were saved: their names lead to them again.
    #[must_use]
    pub fn named(mut self) -> Self {
        let hash_of = |id: &GroupId| self.by_id[id.0 as usize].as_ref().map(|group| group.hash);
        for (id, group) in (0..).map(GroupId).zip(self.by_id.iter()) {
            if let Some(group) = group {
                self.by_name.insert_unique(group.hash, id, |id| hash_of(id).unwrap_or_default());
            }
        }
        self
    }

    /// All groups.
    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.by_id.iter().flatten()
    }
}
