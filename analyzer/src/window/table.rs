//! The samples of the windows that are still open, by series.
//!
//! Each series has one slot with the newest window that it has samples of, in a flat array: nearly every sample goes there.
//! When a series enters its next window while the one before is still open (waiting for late samples), what it has is put
//! aside; a sample for a window put aside finds it there. So each series moves on by its own clock, and what is not in use
//! takes no room.

use std::{collections::BTreeMap, hint::black_box};

use hashbrown::HashMap;

use super::{
    accumulator::Accumulator,
    needs::Needs,
    sink::{SeriesId, Window, WindowSink},
};
use crate::decode::{
    MetricType,
    statsd::{Samples, Values},
};

/// Series by id, and the windows that hold samples.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    open: BTreeMap<i64, Open>,
}

#[derive(Debug)]
struct Slot {
    /// The newest window (its number since the epoch) that the series had a sample in.
    window: i64,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Unmatched,
    Matched {
        /// The samples of the slot's window, unless it has closed.
        now: Accumulator,
        /// A gauge's last level, to which signed values are added.
        level: f64,
    },
}

#[derive(Debug, Default)]
struct Open {
    /// Which series have samples.
    ids: Vec<SeriesId>,
    /// Those of series that have moved on to a newer window.
    aside: HashMap<SeriesId, Accumulator>,
}

impl Table {
    /// Gives a new series its slot; None if nobody looks at it.
    pub(super) fn insert(&mut self, id: SeriesId, kind: MetricType, needs: Option<Needs>) {
        let at = id.0 as usize;
        while self.slots.len() <= at {
            self.slots.push(Slot { window: i64::MIN, state: State::Free });
        }
        let state = needs.map_or(State::Unmatched, |needs| State::Matched {
            now: Accumulator::new(kind, needs),
            level: 0.0,
        });
        self.slots[at] = Slot { window: i64::MIN, state };
    }

    /// Fetches the slots of a batch into the cache, so that their waits overlap.
    pub(super) fn fetch(&self, ids: impl Iterator<Item = SeriesId>) {
        for id in ids {
            let slot = &self.slots[id.0 as usize];
            if let State::Matched { now, .. } = &slot.state {
                black_box(now.is_empty());
            }
            black_box(slot.window);
        }
    }

    /// Adds samples to a series' window, which must not have been closed. Whether anybody looks at the series.
    #[inline]
    pub(super) fn add(&mut self, id: SeriesId, window: i64, samples: &Samples<'_>) -> bool {
        let slot = &mut self.slots[id.0 as usize];
        let State::Matched { now, level } = &mut slot.state else {
            slot.window = slot.window.max(window);
            return false;
        };
        let into = if slot.window == window {
            now
        } else {
            elsewhere(&mut self.open, &mut slot.window, now, id, window)
        };
        match samples.values {
            Values::One(value) if samples.kind != MetricType::Gauge => into.add(value.number, samples.weight),
            Values::Member(member) => into.add_member(member),
            _ => {
                for value in samples.values.numbers() {
                    let mut number = value.number;
                    if samples.kind == MetricType::Gauge {
                        if value.signed {
                            number = (*level + number).clamp(f64::MIN, f64::MAX);
                        }
                        *level = number;
                    }
                    into.add(number, samples.weight);
                }
            }
        }
        true
    }

    /// The first window that holds a sample.
    pub(super) fn first(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// The last window that holds a sample.
    pub(super) fn last(&self) -> Option<i64> {
        self.open.keys().next_back().copied()
    }

    /// Hands a window's samples over and forgets them.
    pub(super) fn close(&mut self, number: i64, window: Window, sink: &mut dyn WindowSink) {
        let Open { mut ids, aside } = self.open.remove(&number).unwrap_or_default();
        ids.sort_unstable();
        let slots = &self.slots;
        let mut values = ids.iter().filter_map(|id| match &slots[id.0 as usize] {
            Slot { window, state: State::Matched { now, .. } } if *window == number => Some((*id, now)),
            _ => aside.get(id).map(|aside| (*id, aside)),
        });
        sink.closed(window, &mut values);
        for id in ids {
            let slot = &mut self.slots[id.0 as usize];
            if let State::Matched { now, .. } = &mut slot.state
                && slot.window == number
            {
                now.take();
            }
        }
    }

    /// Frees the slots of series whose newest window is before `window`, and says which; all windows before it must have
    /// been closed.
    pub(super) fn evict(&mut self, window: i64) -> Vec<SeriesId> {
        let mut evicted = Vec::new();
        for (id, slot) in (0..).map(SeriesId).zip(&mut self.slots) {
            if slot.window < window && !matches!(slot.state, State::Free) {
                slot.state = State::Free;
                evicted.push(id);
            }
        }
        evicted
    }
}

/// Where samples go that do not belong to the window in the slot: that window is put aside if the samples are newer.
#[cold]
fn elsewhere<'a>(
    open: &'a mut BTreeMap<i64, Open>,
    newest: &mut i64,
    now: &'a mut Accumulator,
    id: SeriesId,
    window: i64,
) -> &'a mut Accumulator {
    if *newest < window {
        if !now.is_empty()
            && let Some(before) = open.get_mut(newest)
        {
            before.aside.insert(id, now.take());
        }
        *newest = window;
        open.entry(window).or_default().ids.push(id);
        return now;
    }
    let Open { ids, aside } = open.entry(window).or_default();
    aside.entry(id).or_insert_with(|| {
        ids.push(id);
        now.emptied()
    })
}
