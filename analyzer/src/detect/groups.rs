//! Which feeds are each other's peers.

use hashbrown::HashMap;
use kinetic_api::series::SeriesName;

use super::subjects::{Slot, Watched};
use crate::decode::MetricType;

/// What the feeds of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupName {
    /// The metric.
    pub metric: String,
    /// What its samples are: a timer is no peer of a counter of the same name.
    pub kind: MetricType,
    /// The tags that make a group of their own, as far as the series have them.
    pub tags: Vec<(String, String)>,
}

impl GroupName {
    /// The group of a series where groups are made by these tags.
    #[must_use]
    pub fn of(watched: &Watched, group_by: &[String]) -> Self {
        let SeriesName { metric, tags, .. } = &*watched.name;
        let tags = tags.iter().filter(|(key, _)| group_by.contains(key)).cloned().collect();
        Self { metric: metric.clone(), kind: watched.kind, tags }
    }
}

/// A group's number: dense, used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupId(u32);

/// Feeds that are each other's peers.
#[derive(Clone, Debug)]
pub struct Group {
    /// What they have in common.
    pub name: GroupName,
    /// The feeds, by origin.
    pub feeds: Vec<(String, Slot)>,
    /// The number of the last window in which one of them had a value.
    pub latest: i64,
}

/// All groups of an analytic.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    by_name: HashMap<GroupName, GroupId>,
    by_id: Vec<Option<Group>>,
    free: Vec<GroupId>,
}

/// A group that holds feeds stays.
const GROUP_IS_IN: &str = "a group leaves with its last feed only";

impl Groups {
    /// The group of this name, made if it is new.
    pub fn find_or_make(&mut self, name: GroupName) -> GroupId {
        if let Some(id) = self.by_name.get(&name) {
            return *id;
        }
        let group = Some(Group { name: name.clone(), feeds: Vec::new(), latest: i64::MIN });
        let id = if let Some(id) = self.free.pop() {
            self.by_id[id.0 as usize] = group;
            id
        } else {
            let next = u32::try_from(self.by_id.len())
                .expect("no more than there are series, whose ids are 32 bits");
            self.by_id.push(group);
            GroupId(next)
        };
        self.by_name.insert(name, id);
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
        group.feeds.retain(|(_, other)| *other != slot);
        if group.feeds.is_empty() {
            self.by_name.remove(&self.get(id).name.clone());
            self.by_id[id.0 as usize] = None;
            self.free.push(id);
        }
    }

    /// All groups.
    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.by_id.iter().flatten()
    }
}
