//! The windows that are still open, and the samples in them.
//!
//! A window holds a cell for each series that has samples in it, in the order in which they first came: a series that is idle takes
//! none. Each cell says where the series' cell in the window before is, so that a sample that comes late finds its place by these
//! steps back, and each series moves on by its own clock. What a closed window took is used again by the next one that
//! opens: while traffic stays what it is, nothing is allocated.

use serde::{Deserialize, Serialize};

use super::{
    accumulator::{Accumulator, Spare},
    chunked::Chunked,
    needs::Needs,
    sink::{SeriesId, Window, WindowSink},
};
use crate::{decode::MetricType, window::names::Names};

/// All windows after one that is open are open.
const IS_OPEN: &str = "samples are added to open windows only, and a newer cell lies in a newer window";

/// The windows that hold samples.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Open {
    /// By number.
    windows: Vec<Cells>,
    /// The place of the one that had the last sample.
    latest: usize,
    /// What the window that closed last took.
    #[serde(skip)]
    cells: Option<Cells>,
    #[serde(skip)]
    sketches: Spare,
    /// While a window closes: the cells by id.
    #[serde(skip)]
    order: Vec<(SeriesId, u32)>,
}

/// A window's samples.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cells {
    /// The window's number since the epoch.
    number: i64,
    samples: Chunked<Accumulator>,
    owners: Chunked<Owner>,
}

/// Whose a cell is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Owner {
    id: SeriesId,
    /// The series' cell in the newest window before, if that is still open.
    before_cell: u32,
    before_window: i64,
}

/// A cell in a window, which may have been closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The window's number.
    pub(super) window: i64,
    pub(super) cell: u32,
}

impl Open {
    /// The samples in the newest cell of a series, if that is in the window of this number.
    #[inline]
    pub(super) fn cell(&mut self, newest: Place, number: i64) -> Option<&mut Accumulator> {
        let cells = self.windows.get_mut(self.latest)?;
        if newest.window == number && cells.number == number {
            cells.samples.get_mut(newest.cell as usize)
        } else {
            None
        }
    }

    /// The samples in the newest cell of a series, if the last sample fell into its window.
    #[inline]
    pub(super) fn latest(&self, newest: Place) -> Option<&Accumulator> {
        let cells = self.windows.get(self.latest).filter(|cells| cells.number == newest.window)?;
        cells.samples.get(newest.cell as usize)
    }

    /// Finds or makes the cell of a series in the window of this number, given its newest one.
    pub(super) fn enter(
        &mut self,
        id: SeriesId,
        newest: Place,
        number: i64,
        kind: MetricType,
        needs: Needs,
    ) -> Place {
        let (mut after, mut place) = (None, newest);
        while place.window > number {
            after = Some(place);
            let Owner { before_window: window, before_cell: cell, .. } =
                self.window(place.window).expect(IS_OPEN).owners[place.cell as usize];
            place = Place { window, cell };
        }
        self.open(number);
        if place.window == number {
            return place;
        }
        let samples = self.sketches.accumulator(kind, needs);
        let cells = &mut self.windows[self.latest];
        let cell = u32::try_from(cells.owners.len()).expect("a cell for each series, whose ids are 32 bits");
        cells.samples.push(samples);
        cells.owners.push(Owner { id, before_cell: place.cell, before_window: place.window });
        if let Some(after) = after {
            let owner = &mut self.window(after.window).expect(IS_OPEN).owners[after.cell as usize];
            (owner.before_window, owner.before_cell) = (number, cell);
        }
        Place { window: number, cell }
    }

    /// The samples in a cell of an open window.
    pub(super) fn at(&mut self, place: Place) -> &mut Accumulator {
        &mut self.window(place.window).expect(IS_OPEN).samples[place.cell as usize]
    }

    /// A series' cells, from its newest one back, as far as their windows are open.
    pub(super) fn back_from(&self, newest: Option<Place>) -> impl Iterator<Item = (i64, &Accumulator)> {
        let mut next = newest;
        std::iter::from_fn(move || {
            let Place { window, cell } = next?;
            let place = self.windows.binary_search_by_key(&window, |cells| cells.number).ok()?;
            let cells = &self.windows[place];
            let Owner { before_window: window, before_cell, .. } = *cells.owners.get(cell as usize)?;
            next = Some(Place { window, cell: before_cell });
            Some((cells.number, cells.samples.get(cell as usize)?))
        })
    }

    /// The first window that holds a sample.
    pub(super) fn first(&self) -> Option<i64> {
        self.windows.first().map(|cells| cells.number)
    }

    /// The last window that holds a sample.
    pub(super) fn last(&self) -> Option<i64> {
        self.windows.last().map(|cells| cells.number)
    }

    /// Hands a window's samples over, in order of id, and forgets them.
    pub(super) fn close(&mut self, number: i64, window: Window, names: &Names, sink: &mut dyn WindowSink) {
        self.sketches.clear();
        let Ok(place) = self.windows.binary_search_by_key(&number, |cells| cells.number) else {
            // Nothing came: what was kept for more of the same is not needed.
            (self.cells, self.order, self.sketches) = (None, Vec::new(), Spare::default());
            sink.closed(window, names, &mut std::iter::empty());
            return;
        };
        let mut cells = self.windows.remove(place);
        self.latest = self.latest.saturating_sub(1);
        self.order.clear();
        self.order.extend(cells.owners.iter().map(|owner| owner.id).zip(0..));
        self.order.sort_unstable_by_key(|(id, _)| *id);
        let samples = &cells.samples;
        sink.closed(window, names, &mut self.order.iter().map(|(id, cell)| (*id, &samples[*cell as usize])));
        for samples in cells.samples.iter_mut() {
            self.sketches.keep(samples);
        }
        cells.samples.clear();
        cells.owners.clear();
        self.cells = Some(cells);
    }

    /// Opens a window, unless it is open: it has the last sample.
    fn open(&mut self, number: i64) {
        self.latest = match self.windows.binary_search_by_key(&number, |cells| cells.number) {
            Ok(place) => place,
            Err(place) => {
                let cells = Cells { number, ..self.cells.take().unwrap_or_default() };
                self.windows.insert(place, cells);
                place
            }
        };
    }

    fn window(&mut self, number: i64) -> Option<&mut Cells> {
        let place = self.windows.binary_search_by_key(&number, |cells| cells.number).ok()?;
        self.windows.get_mut(place)
    }
}
