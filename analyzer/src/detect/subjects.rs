//! The series that analytics look at: who does, and their last windows. What they are called the windows know ([`Names`](crate::window::Names)).
//!
//! Series of which the same analytics look at the same statistics have the same *shape*: there are few, however many series there
//! are. A shape keeps what its series have in common once, and the rest in rows, so that a series takes eight bytes, four for each
//! analytic, and its last windows.

use std::num::NonZeroU16;

use kinetic_api::statistic::Statistic;
use serde::{Deserialize, Serialize};

use super::history::History;
use crate::window::{SeriesId, chunked::Chunked};

/// An analytic's look at a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The analytic's place among those of the source.
    pub watch: usize,
    /// The statistic that it looks at.
    pub statistic: Statistic,
    /// What the analytic itself calls the series, or the feed that it is a part of.
    pub slot: Slot,
}

/// An analytic's own number for what it judges: dense, used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot(pub u32);

/// The series that analytics look at, by id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Subjects {
    rows: Chunked<Option<Row>>,
    shapes: Vec<Shape>,
}

/// Where a series is kept.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Row {
    /// The shape's place, and one.
    shape: NonZeroU16,
    row: u32,
}

impl Row {
    fn shape(self) -> usize {
        usize::from(self.shape.get()) - 1
    }
}

/// What series are looked at for, and those of which it is so.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Shape {
    /// Each statistic that is looked at: analytics that look at the same share its last windows.
    statistics: Vec<Statistic>,
    /// Each analytic's place, and which of the statistics it looks at.
    looks: Vec<(usize, usize)>,
    /// Of each row, each analytic's own number.
    slots: Chunked<Slot>,
    /// Of each row, each statistic's last windows.
    traces: Chunked<History>,
    free: Vec<u32>,
}

/// A series in the window that is closing.
#[derive(Debug)]
pub struct Watched<'a> {
    shape: &'a mut Shape,
    row: usize,
}

/// More shapes than this would be more than there are sets of analytics in use.
const SHAPES_ARE_FEW: &str = "a topology's analytics match series in fewer ways than 65,536";

impl Subjects {
    /// Takes in a series, and who looks at it, in the order of the analytics.
    pub fn insert(&mut self, id: SeriesId, bindings: &[Binding]) {
        let mut statistics: Vec<Statistic> = Vec::new();
        let mut looks = Vec::with_capacity(bindings.len());
        for binding in bindings {
            let trace =
                statistics.iter().position(|known| *known == binding.statistic).unwrap_or_else(|| {
                    statistics.push(binding.statistic);
                    statistics.len() - 1
                });
            looks.push((binding.watch, trace));
        }
        let same = |shape: &Shape| shape.looks == looks && shape.statistics == statistics;
        let number = self.shapes.iter().position(same).unwrap_or_else(|| {
            self.shapes.push(Shape { statistics, looks, ..Shape::default() });
            self.shapes.len() - 1
        });
        let row = self.shapes[number].insert(bindings.iter().map(|binding| binding.slot));
        while self.rows.len() <= id.0 as usize {
            self.rows.push(None);
        }
        let shape = u16::try_from(number + 1).ok().and_then(NonZeroU16::new).expect(SHAPES_ARE_FEW);
        self.rows[id.0 as usize] = Some(Row { shape, row });
    }

    /// Takes a series out.
    pub fn remove(&mut self, id: SeriesId) {
        if let Some(place) = self.rows.get_mut(id.0 as usize).and_then(Option::take) {
            self.shapes[place.shape()].remove(place.row);
        }
    }

    /// Who looks at a series.
    #[must_use]
    pub fn bindings(&self, id: SeriesId) -> Vec<Binding> {
        let Some(place) = self.row(id) else { return Vec::new() };
        let shape = &self.shapes[place.shape()];
        let slots = (place.row as usize * shape.looks.len()..).map(|place| shape.slots[place]);
        let bindings = shape.looks.iter().zip(slots).map(|((watch, trace), slot)| Binding {
            watch: *watch,
            statistic: shape.statistics[*trace],
            slot,
        });
        bindings.collect()
    }

    /// Analytics were removed: `places` says where each is now.
    pub fn renumber(&mut self, places: &[Option<usize>]) {
        for shape in &mut self.shapes {
            shape.renumber(places);
        }
    }

    /// A series in the window that is closing, if it is looked at.
    pub fn watched(&mut self, id: SeriesId) -> Option<Watched<'_>> {
        let place = self.row(id)?;
        Some(Watched { shape: &mut self.shapes[place.shape()], row: place.row as usize })
    }

    /// Drops the windows of series that had none for so long that all of them are too old at the window of this number.
    pub fn sweep(&mut self, number: i64) {
        for trace in self.shapes.iter_mut().flat_map(|shape| shape.traces.iter_mut()) {
            trace.forget_before(number);
        }
    }

    /// The last windows of a statistic of a series.
    #[must_use]
    pub fn history(&self, id: SeriesId, statistic: Statistic) -> Option<&History> {
        let place = self.row(id)?;
        let shape = &self.shapes[place.shape()];
        let trace = shape.statistics.iter().position(|known| *known == statistic)?;
        shape.traces.get(place.row as usize * shape.statistics.len() + trace)
    }

    fn row(&self, id: SeriesId) -> Option<Row> {
        *self.rows.get(id.0 as usize)?
    }
}

impl Shape {
    fn insert(&mut self, slots: impl Iterator<Item = Slot>) -> u32 {
        if let Some(row) = self.free.pop() {
            for (place, slot) in (row as usize * self.looks.len()..).zip(slots) {
                self.slots[place] = slot;
            }
            return row;
        }
        let row = u32::try_from(self.traces.len() / self.statistics.len().max(1))
            .expect("no more than there are series, whose ids are 32 bits");
        for slot in slots {
            self.slots.push(slot);
        }
        for _ in &self.statistics {
            self.traces.push(History::default());
        }
        row
    }

    fn remove(&mut self, row: u32) {
        let first = row as usize * self.statistics.len();
        for place in first..first + self.statistics.len() {
            self.traces[place] = History::default();
        }
        self.free.push(row);
    }

    fn renumber(&mut self, places: &[Option<usize>]) {
        let columns = self.looks.len();
        let kept: Vec<bool> = self.looks.iter().map(|(watch, _)| places[*watch].is_some()).collect();
        let mut slots = Chunked::default();
        for (place, slot) in self.slots.iter().enumerate() {
            if kept[place % columns] {
                slots.push(*slot);
            }
        }
        self.slots = slots;
        self.looks = self.looks.iter().filter_map(|(watch, trace)| Some((places[*watch]?, *trace))).collect();
    }
}

impl Watched<'_> {
    /// How many statistics are looked at.
    #[must_use]
    pub fn statistics(&self) -> usize {
        self.shape.statistics.len()
    }

    /// One of the statistics, with its last windows.
    #[must_use]
    pub fn trace(&mut self, place: usize) -> (Statistic, &mut History) {
        let Self { shape, row } = self;
        (shape.statistics[place], &mut shape.traces[*row * shape.statistics.len() + place])
    }

    /// The analytics that look at one of the statistics, by place, and what each calls the series.
    pub fn looks(&self, place: usize) -> impl Iterator<Item = (usize, Slot)> {
        let first = self.row * self.shape.looks.len();
        let looks = self.shape.looks.iter().zip(first..).filter(move |((_, trace), _)| *trace == place);
        looks.map(|((watch, _), slot)| (*watch, self.shape.slots[slot]))
    }
}
