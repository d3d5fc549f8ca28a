//! Series that are made of others: a ratio of two, or how one changes.
//!
//! An analytic with `ratio` or `change` looks at these instead of the windows' own. They have names, numbers and histories of
//! their own, so that every kind of analytic judges them as it does any other series. What belongs together is told by a
//! common [`Key`]; how a window's samples become a number is `made`'s.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use kinetic_api::{
    plan::{AnalyticKind, AnalyticPlan, RatioPlan, SeriesMatch},
    series::SeriesName,
};
use serde::{Deserialize, Serialize};

use super::{
    analysis::{Analysis, Sample},
    history::WINDOWS,
    made::{Made, Recipe, Role},
    subjects::{Binding, Slot, Subjects},
};
use crate::{
    decode::MetricType,
    image::{ImageError, Reader, Writer},
    partition::Partition,
    window::{Accumulator, Names, Needs, SeriesId, TYPE_TAG, yields},
};

/// The series that one analytic makes of others.
#[derive(Debug)]
pub struct Derived {
    partition: Partition,
    matches: SeriesMatch,
    recipe: Recipe,
    tags: Tags,
    state: State,
    /// Follows from the state.
    by_key: HashMap<Key, SeriesId>,
    /// Those that have samples in the window that is closing.
    touched: Vec<SeriesId>,
    /// Those that nothing goes into any more.
    empty: Vec<SeriesId>,
}

/// What is known of the series.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Those that can have values, by their own numbers.
    subjects: Subjects,
    /// What these are called.
    names: Names,
    /// All, by their own numbers.
    made: Vec<Option<Entry>>,
    free: Vec<SeriesId>,
    /// What the windows' series, by their numbers, go into: as a numerator, as a denominator.
    parts: BTreeMap<SeriesId, [Option<SeriesId>; 2]>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    key: Key,
    /// None while it can have no value: a ratio without anything to divide by.
    slot: Option<Slot>,
    made: Made,
}

/// Which tags tell made series apart.
#[derive(Debug)]
enum Tags {
    AllBut(Vec<String>),
    /// Of a cluster those that make the groups: what one origin sends within a group is one feed.
    Only(Vec<String>),
}

/// What is made into one series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Key {
    /// Of a ratio with the numerator's metric.
    name: SeriesName,
    /// What the samples are. Of a ratio it is of no importance: errors may be counted, requests timed.
    kind: MetricType,
}

const ROLES: [Role; 2] = [Role::Numerator, Role::Denominator];

/// An entry is there as long as a series goes into it.
const ENTRY_IS_IN: &str = "an entry leaves with the last series that goes into it";

impl Derived {
    /// What an analytic's plan makes of series in windows of this many milliseconds; None where it takes them as they are.
    #[must_use]
    pub fn new(plan: &AnalyticPlan, interval_ms: i64) -> Option<Self> {
        let recipe = Recipe::new(plan, interval_ms)?;
        let ignored = plan.ratio.as_ref().map(|ratio| ratio.ignore_tags.clone()).unwrap_or_default();
        let tags = match &plan.kind {
            AnalyticKind::Cluster(cluster) => {
                Tags::Only(cluster.group_by.iter().filter(|key| !ignored.contains(key)).cloned().collect())
            }
            _ => Tags::AllBut(ignored),
        };
        Some(Self {
            partition: Partition::WHOLE,
            matches: plan.matches.clone(),
            recipe,
            tags,
            state: State::default(),
            by_key: HashMap::new(),
            touched: Vec::new(),
            empty: Vec::new(),
        })
    }

    /// Makes only the series that are its own, of several analyzers that share the source: a ratio is its numerator's owner's.
    pub fn own(&mut self, partition: Partition) {
        self.partition = partition;
    }

    /// Writes what it knows, for [`Self::restore`].
    pub(crate) fn save(&self, image: &mut Writer<'_>) {
        image.put(&self.state);
    }

    /// Knows what an image of the same analytic tells; it has seen nothing so far.
    pub(crate) fn restore(&mut self, image: &mut Reader<'_>) -> Result<(), ImageError> {
        self.state = image.get()?;
        let entries = (0..).map(SeriesId).zip(&self.state.made);
        self.by_key = entries.filter_map(|(id, entry)| Some((entry.as_ref()?.key.clone(), id))).collect();
        Ok(())
    }

    /// Those of the made series that can have values, by their own numbers.
    #[must_use]
    pub fn subjects(&self) -> &Subjects {
        &self.state.subjects
    }

    /// What they are called.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.state.names
    }

    /// Takes an edited plan that makes the same series.
    pub fn edit(&mut self, plan: &AnalyticPlan) {
        self.recipe.edit(plan);
    }

    /// A series of the windows appears. Returns what is needed of it if something is made of it.
    pub fn bind(
        &mut self,
        id: SeriesId,
        name: &SeriesName,
        kind: MetricType,
        analysis: &mut dyn Analysis,
    ) -> Option<Needs> {
        let mut needs: Option<Needs> = None;
        let mut parts = [None; 2];
        for (role, part) in ROLES.into_iter().zip(&mut parts) {
            let Some(statistic) = self.recipe.statistic(role).filter(|statistic| yields(kind, *statistic))
            else {
                continue;
            };
            let Some(key) = self.key(role, name, kind) else { continue };
            if !self.partition.owns(&key.name.metric) {
                continue;
            }
            let made = self.find_or_make(key);
            *part = Some(made);
            needs = Some(needs.unwrap_or_default() | Needs::of(statistic));
            let entry = self.state.made[made.0 as usize].as_mut().expect(ENTRY_IS_IN);
            entry.made.joins(role);
            if entry.slot.is_none() && entry.made.can_have_values(&self.recipe) {
                self.state.names.insert(made, &entry.key.name, entry.key.kind);
                let slot = analysis.bind(made, &self.state.subjects, &self.state.names);
                let binding = Binding { watch: 0, statistic: self.recipe.statistic, slot };
                self.state.subjects.insert(made, &[binding]);
                entry.slot = Some(slot);
            }
        }
        if needs.is_some() {
            self.state.parts.insert(id, parts);
        }
        needs
    }

    /// What a series goes into, in this role.
    fn key(&self, role: Role, name: &SeriesName, kind: MetricType) -> Option<Key> {
        let tags = name.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let ratio = self.recipe.ratio.as_ref();
        let metric = match role {
            Role::Numerator => self.matches.matches(&name.metric, tags).then(|| name.metric.clone())?,
            Role::Denominator => ratio?.numerator_of(&name.metric).filter(|_| self.fits(ratio, tags))?,
        };
        // Of a ratio the types may differ, and do not tell what belongs together.
        let kept = |key: &String| self.tags.keep(key) && !(ratio.is_some() && key == TYPE_TAG);
        let tags = name.tags.iter().filter(|(key, _)| kept(key)).cloned().collect();
        let name = SeriesName { metric, tags, origin: name.origin.clone() };
        Some(Key { name, kind: if ratio.is_some() { MetricType::Counter } else { kind } })
    }

    /// A denominator must have the tags that its numerator must, but for those that do not tell them apart.
    #[expect(clippy::needless_pass_by_value, reason = "iterators are passed by value, as everywhere")]
    fn fits<'a>(
        &self,
        ratio: Option<&RatioPlan>,
        tags: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> bool {
        let ignored = |key: &String| ratio.is_some_and(|ratio| ratio.ignore_tags.contains(key));
        let mut asked = self.matches.tags.iter().filter(|(key, _)| !ignored(key));
        asked.all(|(key, glob)| tags.clone().any(|(k, value)| k == key && glob.matches(value)))
    }

    fn find_or_make(&mut self, key: Key) -> SeriesId {
        if let Some(id) = self.by_key.get(&key) {
            return *id;
        }
        let entry = Some(Entry { key: key.clone(), slot: None, made: Made::default() });
        let id = if let Some(id) = self.state.free.pop() {
            self.state.made[id.0 as usize] = entry;
            id
        } else {
            let next = u32::try_from(self.state.made.len())
                .expect("at most twice as many as series, which are far fewer than half of 32 bits");
            self.state.made.push(entry);
            SeriesId(next)
        };
        self.by_key.insert(key, id);
        id
    }

    /// A series of the windows had samples in the window of this number.
    pub fn observe(&mut self, id: SeriesId, number: i64, samples: &Accumulator) {
        let Some(parts) = self.state.parts.get(&id) else { return };
        for (role, part) in ROLES.into_iter().zip(parts) {
            let Some(made) = *part else { continue };
            let Entry { made: entry, slot, .. } =
                self.state.made[made.0 as usize].as_mut().expect(ENTRY_IS_IN);
            if entry.add(role, number, samples, &self.recipe) && slot.is_some() {
                self.touched.push(made);
            }
        }
    }

    /// All series of the window were seen: shows the analytic, and whoever else wants to know, what they make.
    pub fn close(
        &mut self,
        number: i64,
        analysis: &mut dyn Analysis,
        mut saw: impl FnMut(&dyn Fn() -> SeriesName, Slot, f64),
    ) {
        for id in std::mem::take(&mut self.touched) {
            let Entry { slot, made, .. } = self.state.made[id.0 as usize].as_mut().expect(ENTRY_IS_IN);
            let (Some(slot), Some((value, scatter))) = (*slot, made.value(number, &self.recipe)) else {
                continue;
            };
            if let Some(mut watched) = self.state.subjects.watched(id) {
                watched.trace(0).1.push(number, value);
            }
            analysis.observe(slot, &Sample { number, value: Some(value), samples: None, scatter });
            saw(&|| self.state.names.name(id), slot, value);
        }
        if number.rem_euclid(WINDOWS) == 0 {
            self.state.subjects.sweep(number);
        }
    }

    /// A series of the windows disappears. Returns what can have no more values because of it; [`Self::sweep`] must follow.
    pub fn evict(&mut self, id: SeriesId) -> Vec<(Slot, SeriesId)> {
        let mut ended = Vec::new();
        for (role, part) in ROLES.into_iter().zip(self.state.parts.remove(&id).into_iter().flatten()) {
            let Some(made) = part else { continue };
            let entry = self.state.made[made.0 as usize].as_mut().expect(ENTRY_IS_IN);
            entry.made.leaves(role);
            if !entry.made.can_have_values(&self.recipe)
                && let Some(slot) = entry.slot.take()
            {
                ended.push((slot, made));
            }
            if entry.made.is_empty() {
                self.empty.push(made);
            }
        }
        ended
    }

    /// Forgets what has ended, and what nothing goes into any more.
    pub fn sweep(&mut self, ended: &[(Slot, SeriesId)]) {
        for (_, id) in ended {
            self.state.subjects.remove(*id);
            self.state.names.remove(&[*id]);
        }
        for id in std::mem::take(&mut self.empty) {
            if let Some(entry) = self.state.made[id.0 as usize].take() {
                self.by_key.remove(&entry.key);
            }
            self.state.free.push(id);
        }
    }

    /// What is missing for some of the series to have values, or sense.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let ratio = self.recipe.ratio.as_ref()?;
        let entries = || self.state.made.iter().flatten();
        let numerators = entries().filter(|entry| entry.made.has(Role::Numerator)).count();
        let undivided = entries().filter(|entry| entry.slot.is_none()).count();
        if undivided > 0 {
            return Some(format!(
                "{undivided} of {numerators} series of {} have no {} of the same origin and tags to be divided by: if only \
                 tags differ, name these in ratio.ignoreTags",
                ratio.numerator, ratio.denominator
            ));
        }
        (numerators == 0 && !self.by_key.is_empty())
            .then(|| format!("no series matches {} yet", ratio.numerator))
    }
}

impl Tags {
    fn keep(&self, key: &String) -> bool {
        match self {
            Self::AllBut(ignored) => !ignored.contains(key),
            Self::Only(kept) => kept.contains(key),
        }
    }
}
