//! Where each series stands: the newest window that it has samples in, and a gauge's level.

use std::{borrow::Cow, hint::black_box};

use serde::{Deserialize, Serialize};

use super::{
    accumulator::Accumulator,
    chunked::Chunked,
    names::Names,
    needs::Needs,
    numbers::Numbers,
    open::{Cell, Cells, Open, Place},
    sink::{SeriesId, Window, WindowSink},
};
use crate::decode::{
    MetricType,
    statsd::{Value, Values},
};

/// Series by id, and the windows that hold samples.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Table {
    slots: Chunked<Slot>,
    open: Open,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Slot {
    /// The number of the newest window that the series had a sample in.
    window: i64,
    /// A gauge's last level, to which signed values are added.
    level: f64,
    /// Where its samples of that window are, if somebody looks at them.
    cell: u32,
    kind: MetricType,
    look: Look,
    /// The bits of the [`Needs`] of whoever looks at it.
    needs: u8,
}

/// Who looks at a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Look {
    /// It is none.
    Free,
    Nobody,
    /// Somebody who asks for no more than what costs nothing: its cells are [`Numbers`].
    Plain,
    /// Somebody who asks for more: its cells are [`Accumulator`]s.
    Whole,
}

const FREE: Slot =
    Slot { window: i64::MIN, level: 0.0, cell: 0, kind: MetricType::Counter, look: Look::Free, needs: 0 };

impl Table {
    /// Gives a new series its slot; None if nobody looks at it.
    pub(super) fn insert(&mut self, id: SeriesId, kind: MetricType, needs: Option<Needs>) {
        while self.slots.len() <= id.0 as usize {
            self.slots.push(FREE);
        }
        let look = needs.map_or(Look::Nobody, |needs| Look::of(kind, needs));
        self.slots[id.0 as usize] = Slot { kind, look, needs: needs.unwrap_or_default().bits(), ..FREE };
    }

    /// Fetches a series' slot into the cache.
    #[inline]
    pub(super) fn fetch(&self, id: SeriesId) {
        black_box(self.slots[id.0 as usize].window);
    }

    /// Fetches the cells of a batch into the cache, so that their waits overlap.
    #[inline]
    pub(super) fn fetch_cells(&self, ids: impl Iterator<Item = SeriesId>) {
        ids.for_each(|id| {
            let slot = &self.slots[id.0 as usize];
            match slot.look {
                Look::Whole => self.fetch_cell::<Accumulator>(slot),
                Look::Plain => self.fetch_cell::<Numbers>(slot),
                Look::Nobody | Look::Free => {}
            }
        });
    }

    #[inline]
    fn fetch_cell<T: Cell>(&self, slot: &Slot) {
        if let Some(cell) = self.open.latest::<T>(slot.newest()) {
            cell.fetch();
        }
    }

    /// Fetches into the cache what adding these members of sets will look at.
    #[inline]
    pub(super) fn fetch_members<'a>(&self, members: impl Iterator<Item = (SeriesId, &'a [u8])>) {
        for (id, member) in members {
            let slot = &self.slots[id.0 as usize];
            if slot.look == Look::Whole
                && let Some(cell) = self.open.latest::<Accumulator>(slot.newest())
            {
                cell.fetch_member(member);
            }
        }
    }

    /// Adds values to a series' window, which must not have been closed. Whether anybody looks at the series.
    #[inline]
    pub(super) fn add(&mut self, id: SeriesId, window: i64, values: Values<'_>, weight: f64) -> bool {
        let Self { slots, open } = self;
        let slot = &mut slots[id.0 as usize];
        match slot.look {
            Look::Whole => slot.add::<Accumulator>(open, window, values, weight),
            Look::Plain => slot.add::<Numbers>(open, window, values, weight),
            Look::Nobody | Look::Free => {
                slot.window = slot.window.max(window);
                return false;
            }
        }
        true
    }

    /// The newest window that a series had a sample in.
    pub(super) fn newest(&self, id: SeriesId) -> Option<i64> {
        self.slots.get(id.0 as usize).map(|slot| slot.window).filter(|window| *window > i64::MIN)
    }

    /// The open windows that hold samples of a series, the newest first.
    pub(super) fn samples(&self, id: SeriesId) -> Vec<(i64, Cow<'_, Accumulator>)> {
        let Some(slot) = self.slots.get(id.0 as usize) else { return Vec::new() };
        match slot.look {
            Look::Whole => slot.back::<Accumulator>(&self.open),
            Look::Plain => slot.back::<Numbers>(&self.open),
            Look::Nobody | Look::Free => Vec::new(),
        }
    }

    /// The windows that hold samples.
    pub(super) fn open(&self) -> &Open {
        &self.open
    }

    /// Hands the samples of the window of this number over, in order of id, and forgets them.
    pub(super) fn close(&mut self, number: i64, window: Window, names: &Names, sink: &mut dyn WindowSink) {
        let Self { slots, open } = self;
        if let Some(cells) = open.window(number) {
            let mut samples = (0..)
                .map(SeriesId)
                .zip(slots.iter())
                .filter_map(|(id, slot)| Some((id, slot.samples(open, cells)?)));
            sink.closed(window, names, &mut samples);
        } else {
            sink.closed(window, names, &mut std::iter::empty());
        }
        open.close(number);
    }

    /// Frees the slots of series whose newest window is before `window`, and says which; all windows before it must have
    /// been closed. What is to be `kept` is not looked at.
    pub(super) fn evict(&mut self, window: i64, kept: impl Fn(SeriesId) -> bool) -> Vec<SeriesId> {
        let mut evicted = Vec::new();
        for (id, slot) in (0..).map(SeriesId).zip(self.slots.iter_mut()) {
            if slot.window < window && !matches!(slot.look, Look::Free) && !kept(id) {
                *slot = FREE;
                evicted.push(id);
            }
        }
        evicted
    }
}

impl Look {
    /// Of one who asks for this of a series of this type: sets have members only, and only they have.
    fn of(kind: MetricType, needs: Needs) -> Self {
        match kind {
            MetricType::Set if needs.cardinality => Self::Whole,
            MetricType::Set => Self::Plain,
            _ if needs.quantiles || needs.moments => Self::Whole,
            _ => Self::Plain,
        }
    }
}

impl Slot {
    #[inline]
    fn newest(&self) -> Place {
        Place { window: self.window, cell: self.cell }
    }

    /// Adds values to the series' window of this number.
    #[inline]
    fn add<T: Cell>(&mut self, open: &mut Open, window: i64, values: Values<'_>, weight: f64) {
        let cell = match open.cell::<T>(self.newest(), window) {
            Some(cell) => cell,
            None => self.enter(open, window),
        };
        match values {
            Values::One(value) => cell.add(self.number(value), weight),
            Values::Member(member) => cell.add_member(member),
            Values::Packed(_) => values.numbers().for_each(|value| cell.add(self.number(value), weight)),
        }
    }

    /// Where samples go that do not belong to the series' newest cell.
    #[cold]
    fn enter<'a, T: Cell>(&mut self, open: &'a mut Open, window: i64) -> &'a mut T {
        let newest = self.newest();
        let place = open.enter::<T>(newest, window, self.kind, self.needs());
        if newest.window < window {
            (self.window, self.cell) = (window, place.cell);
        }
        open.at(place)
    }

    /// What an open window knows of the series.
    fn samples<'a>(&self, open: &'a Open, cells: &'a Cells) -> Option<Cow<'a, Accumulator>> {
        match self.look {
            Look::Whole => self.seen::<Accumulator>(open, cells),
            Look::Plain => self.seen::<Numbers>(open, cells),
            Look::Nobody | Look::Free => None,
        }
    }

    fn seen<'a, T: Cell>(&self, open: &'a Open, cells: &'a Cells) -> Option<Cow<'a, Accumulator>> {
        Some(open.find::<T>(self.newest(), cells)?.seen(self.kind, self.needs()))
    }

    /// What the open windows know of the series, the newest first.
    fn back<'a, T: Cell>(&self, open: &'a Open) -> Vec<(i64, Cow<'a, Accumulator>)> {
        let cells = open.back_from::<T>(self.newest());
        cells.map(|(window, cell)| (window, cell.seen(self.kind, self.needs()))).collect()
    }

    fn needs(&self) -> Needs {
        Needs::from_bits(self.needs)
    }

    /// The number that a value means: of a gauge it is the level that the value leads to.
    #[inline]
    fn number(&mut self, value: Value) -> f64 {
        if self.kind != MetricType::Gauge {
            return value.number;
        }
        self.level =
            if value.signed { (self.level + value.number).clamp(f64::MIN, f64::MAX) } else { value.number };
        self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_small() {
        assert_eq!(size_of::<Slot>(), 24);
    }
}
