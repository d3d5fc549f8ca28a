//! Where each series stands: the newest window that it has samples in, and a gauge's level.

use std::hint::black_box;

use serde::{Deserialize, Serialize};

use super::{
    accumulator::Accumulator,
    chunked::Chunked,
    needs::Needs,
    open::{Open, Place},
    sink::SeriesId,
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
    look: Look,
}

/// Who looks at a series.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Look {
    /// It is none.
    Free,
    Nobody,
    Somebody(MetricType, Needs),
}

const FREE: Slot = Slot { window: i64::MIN, level: 0.0, cell: 0, look: Look::Free };

impl Table {
    /// Gives a new series its slot; None if nobody looks at it.
    pub(super) fn insert(&mut self, id: SeriesId, kind: MetricType, needs: Option<Needs>) {
        while self.slots.len() <= id.0 as usize {
            self.slots.push(FREE);
        }
        let look = needs.map_or(Look::Nobody, |needs| Look::Somebody(kind, needs));
        self.slots[id.0 as usize] = Slot { look, ..FREE };
    }

    /// Fetches a series' slot into the cache.
    #[inline]
    pub(super) fn fetch(&self, id: SeriesId) {
        black_box(self.slots[id.0 as usize].window);
    }

    /// Fetches the cells of a batch into the cache, so that their waits overlap.
    #[inline]
    pub(super) fn fetch_cells(&self, ids: impl Iterator<Item = SeriesId>) {
        ids.filter_map(|id| self.latest(id)).for_each(Accumulator::fetch);
    }

    /// Fetches into the cache what adding these members of sets will look at.
    #[inline]
    pub(super) fn fetch_members<'a>(&self, members: impl Iterator<Item = (SeriesId, &'a [u8])>) {
        for (id, member) in members {
            if let Some(cell) = self.latest(id) {
                cell.fetch_member(member);
            }
        }
    }

    #[inline]
    fn latest(&self, id: SeriesId) -> Option<&Accumulator> {
        let Slot { window, cell, .. } = self.slots[id.0 as usize];
        self.open.latest(Place { window, cell })
    }

    /// Adds values to a series' window, which must not have been closed. Whether anybody looks at the series.
    #[inline]
    pub(super) fn add(&mut self, id: SeriesId, window: i64, values: Values<'_>, weight: f64) -> bool {
        let Self { slots, open } = self;
        let slot = &mut slots[id.0 as usize];
        let Look::Somebody(kind, needs) = slot.look else {
            slot.window = slot.window.max(window);
            return false;
        };
        let newest = Place { window: slot.window, cell: slot.cell };
        let cell = match open.cell(newest, window) {
            Some(cell) => cell,
            None => slot.enter(open, id, window, kind, needs),
        };
        match values {
            Values::One(value) if kind != MetricType::Gauge => cell.add(value.number, weight),
            Values::Member(member) => cell.add_member(member),
            _ => {
                for value in values.numbers() {
                    let number = if kind == MetricType::Gauge { slot.level(value) } else { value.number };
                    cell.add(number, weight);
                }
            }
        }
        true
    }

    /// The newest window that a series had a sample in.
    pub(super) fn newest(&self, id: SeriesId) -> Option<i64> {
        self.slots.get(id.0 as usize).map(|slot| slot.window).filter(|window| *window > i64::MIN)
    }

    /// The open windows that hold samples of a series, the newest first.
    pub(super) fn samples(&self, id: SeriesId) -> impl Iterator<Item = (i64, &Accumulator)> {
        let watched = self.slots.get(id.0 as usize).filter(|slot| matches!(slot.look, Look::Somebody(..)));
        self.open.back_from(watched.map(|slot| Place { window: slot.window, cell: slot.cell }))
    }

    /// The windows that hold samples.
    pub(super) fn open(&self) -> &Open {
        &self.open
    }

    /// The windows that hold samples, to be closed.
    pub(super) fn open_mut(&mut self) -> &mut Open {
        &mut self.open
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

impl Slot {
    /// Where samples go that do not belong to the series' newest cell.
    #[cold]
    fn enter<'a>(
        &mut self,
        open: &'a mut Open,
        id: SeriesId,
        window: i64,
        kind: MetricType,
        needs: Needs,
    ) -> &'a mut Accumulator {
        let newest = Place { window: self.window, cell: self.cell };
        let place = open.enter(id, newest, window, kind, needs);
        if newest.window < window {
            (self.window, self.cell) = (window, place.cell);
        }
        open.at(place)
    }

    /// The level that a gauge's value leads to.
    fn level(&mut self, value: Value) -> f64 {
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
