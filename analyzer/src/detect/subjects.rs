//! The series that analytics look at: what they are called, and their last windows.

use kinetic_api::{series::SeriesName, statistic::Statistic};

use super::{figures::Unit, history::History};
use crate::{decode::MetricType, window::SeriesId};

/// A series that at least one analytic looks at.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its name.
    pub name: Box<SeriesName>,
    /// What its samples are.
    pub kind: MetricType,
    /// Each statistic that is looked at, with its last windows: analytics that look at the same share them.
    pub traces: Vec<Trace>,
    /// Who looks at it.
    pub bindings: Vec<Binding>,
}

/// A statistic of a series, and its last windows.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The statistic.
    pub statistic: Statistic,
    /// Its last windows.
    pub history: History,
}

/// An analytic's look at a series.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The analytic's place among those of the source.
    pub watch: usize,
    /// Which of the series' traces it looks at.
    pub trace: usize,
    /// What the analytic itself calls the series, or the feed that it is a part of.
    pub slot: Slot,
}

/// An analytic's own number for what it judges: dense, used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

impl Watched {
    /// The place of a statistic's trace, which is made if it is new.
    pub fn trace(&mut self, statistic: Statistic) -> usize {
        self.traces.iter().position(|trace| trace.statistic == statistic).unwrap_or_else(|| {
            self.traces.push(Trace { statistic, history: History::default() });
            self.traces.len() - 1
        })
    }
}

/// The series that analytics look at, by id.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    by_id: Vec<Option<Watched>>,
}

impl Subjects {
    /// Puts a series in its place.
    pub fn insert(&mut self, id: SeriesId, watched: Watched) {
        let place = id.0 as usize;
        if self.by_id.len() <= place {
            self.by_id.resize(place + 1, None);
        }
        self.by_id[place] = Some(watched);
    }

    /// Takes a series out.
    pub fn remove(&mut self, id: SeriesId) -> Option<Watched> {
        self.by_id.get_mut(id.0 as usize)?.take()
    }

    /// A series.
    #[must_use]
    pub fn get(&self, id: SeriesId) -> Option<&Watched> {
        self.by_id.get(id.0 as usize)?.as_ref()
    }

    /// A series, to be changed.
    pub fn get_mut(&mut self, id: SeriesId) -> Option<&mut Watched> {
        self.by_id.get_mut(id.0 as usize)?.as_mut()
    }

    /// All of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Watched> {
        self.by_id.iter_mut().flatten()
    }

    /// A series' name; empty for one that nobody looks at.
    #[must_use]
    pub fn name(&self, id: SeriesId) -> SeriesName {
        self.get(id).map(|watched| (*watched.name).clone()).unwrap_or_default()
    }

    /// The unit of a statistic of a series.
    #[must_use]
    pub fn unit(&self, id: SeriesId, statistic: Statistic) -> Unit {
        self.get(id).map_or(Unit::None, |watched| Unit::of(statistic, watched.kind))
    }

    /// The last windows of a statistic of a series.
    #[must_use]
    pub fn history(&self, id: SeriesId, statistic: Statistic) -> Option<&History> {
        self.get(id)?.traces.iter().find_map(|trace| (trace.statistic == statistic).then_some(&trace.history))
    }
}
