//! The windows that are still open, and the samples in them.
//!
//! A window holds a cell for each series that has samples in it, in the order in which they first came: a series that is idle takes
//! none. Of most series nobody asks more than what costs nothing: their cells are [`Numbers`], half as large as an [`Accumulator`],
//! in a column of their own.
//!
//! Each cell says where the series' cell in the window before is, so that a sample that comes late finds its place by these
//! steps back, and each series moves on by its own clock. What a closed window took is used again by the next one that
//! opens: while traffic stays what it is, nothing is allocated.

use std::{borrow::Cow, hint::black_box};

use serde::{Deserialize, Serialize};

use super::{
    accumulator::{Accumulator, Spare},
    chunked::Chunked,
    needs::Needs,
    numbers::Numbers,
};
use crate::decode::MetricType;

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
}

/// A window's samples.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Cells {
    /// The window's number since the epoch.
    number: i64,
    plain: Column<Numbers>,
    whole: Column<Accumulator>,
}

/// A window's cells of one kind.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Column<T> {
    samples: Chunked<T>,
    before: Chunked<Before>,
}

/// A series' cell in the newest window before, if that is still open.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Before {
    /// So many windows before; [`u32::MAX`] if there is none, or none that is still open after so many.
    windows: u32,
    cell: u32,
}

/// A cell in a window, which may have been closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The window's number.
    pub(super) window: i64,
    pub(super) cell: u32,
}

/// What a window knows of a series while it is open.
pub(super) trait Cell: Sized + 'static {
    /// Where those of a window are.
    fn column(cells: &Cells) -> &Column<Self>;

    /// The same, to be changed.
    fn column_mut(cells: &mut Cells) -> &mut Column<Self>;

    /// An empty one.
    fn new(kind: MetricType, needs: Needs, sketches: &mut Spare) -> Self;

    /// Adds a finite number that stands for `weight` ≥ 1 samples.
    fn add(&mut self, number: f64, weight: f64);

    /// Adds a set's member.
    fn add_member(&mut self, member: &[u8]);

    /// Fetches it into the cache.
    fn fetch(&self);

    /// All that it knows.
    fn seen(&self, kind: MetricType, needs: Needs) -> Cow<'_, Accumulator>;
}

impl Cell for Numbers {
    #[inline]
    fn column(cells: &Cells) -> &Column<Self> {
        &cells.plain
    }

    #[inline]
    fn column_mut(cells: &mut Cells) -> &mut Column<Self> {
        &mut cells.plain
    }

    fn new(_: MetricType, _: Needs, _: &mut Spare) -> Self {
        Self::NONE
    }

    #[inline]
    fn add(&mut self, number: f64, weight: f64) {
        self.add(number, weight);
    }

    #[inline]
    fn add_member(&mut self, _: &[u8]) {
        self.add_member();
    }

    #[inline]
    fn fetch(&self) {
        black_box(self.weight);
    }

    fn seen(&self, kind: MetricType, needs: Needs) -> Cow<'_, Accumulator> {
        Cow::Owned(Accumulator::of(kind, needs, *self))
    }
}

impl Cell for Accumulator {
    #[inline]
    fn column(cells: &Cells) -> &Column<Self> {
        &cells.whole
    }

    #[inline]
    fn column_mut(cells: &mut Cells) -> &mut Column<Self> {
        &mut cells.whole
    }

    fn new(kind: MetricType, needs: Needs, sketches: &mut Spare) -> Self {
        sketches.accumulator(kind, needs)
    }

    #[inline]
    fn add(&mut self, number: f64, weight: f64) {
        self.add(number, weight);
    }

    #[inline]
    fn add_member(&mut self, member: &[u8]) {
        self.add_member(member);
    }

    #[inline]
    fn fetch(&self) {
        self.fetch();
    }

    fn seen(&self, _: MetricType, _: Needs) -> Cow<'_, Accumulator> {
        Cow::Borrowed(self)
    }
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { samples: Chunked::default(), before: Chunked::default() }
    }
}

impl<T> Column<T> {
    fn clear(&mut self) {
        self.samples.clear();
        self.before.clear();
    }
}

impl Before {
    fn new(number: i64, before: Place) -> Self {
        let windows = u32::try_from(number.saturating_sub(before.window)).unwrap_or(u32::MAX);
        Self { windows, cell: before.cell }
    }

    fn place(self, number: i64) -> Place {
        Place { window: number.saturating_sub(i64::from(self.windows)), cell: self.cell }
    }
}

impl Open {
    /// The samples in the newest cell of a series, if that is in the window of this number and had the last sample.
    #[inline]
    pub(super) fn cell<T: Cell>(&mut self, newest: Place, number: i64) -> Option<&mut T> {
        let cells = self.windows.get_mut(self.latest)?;
        if newest.window == number && cells.number == number {
            T::column_mut(cells).samples.get_mut(newest.cell as usize)
        } else {
            None
        }
    }

    /// The samples in the newest cell of a series, if the last sample fell into its window.
    #[inline]
    pub(super) fn latest<T: Cell>(&self, newest: Place) -> Option<&T> {
        let cells = self.windows.get(self.latest).filter(|cells| cells.number == newest.window)?;
        T::column(cells).samples.get(newest.cell as usize)
    }

    /// Finds or makes the cell of a series in the window of this number, given its newest one.
    pub(super) fn enter<T: Cell>(
        &mut self,
        newest: Place,
        number: i64,
        kind: MetricType,
        needs: Needs,
    ) -> Place {
        let (mut after, mut place) = (None, newest);
        while place.window > number {
            after = Some(place);
            place = self.before::<T>(place).expect(IS_OPEN);
        }
        self.open(number);
        if place.window == number {
            return place;
        }
        let column = T::column_mut(&mut self.windows[self.latest]);
        let cell =
            u32::try_from(column.samples.len()).expect("a cell for each series, whose ids are 32 bits");
        column.samples.push(T::new(kind, needs, &mut self.sketches));
        column.before.push(Before::new(number, place));
        let entered = Place { window: number, cell };
        if let Some(after) = after {
            let cells = self.window_mut(after.window).expect(IS_OPEN);
            T::column_mut(cells).before[after.cell as usize] = Before::new(after.window, entered);
        }
        entered
    }

    /// The samples in a cell of an open window.
    pub(super) fn at<T: Cell>(&mut self, place: Place) -> &mut T {
        &mut T::column_mut(self.window_mut(place.window).expect(IS_OPEN)).samples[place.cell as usize]
    }

    /// The samples of a series in one of the windows, given its newest cell.
    pub(super) fn find<'a, T: Cell>(&self, newest: Place, cells: &'a Cells) -> Option<&'a T> {
        let mut place = newest;
        while place.window > cells.number {
            place = self.before::<T>(place)?;
        }
        T::column(cells).samples.get(place.cell as usize).filter(|_| place.window == cells.number)
    }

    /// A series' cells, from its newest one back, as far as their windows are open.
    pub(super) fn back_from<T: Cell>(&self, newest: Place) -> impl Iterator<Item = (i64, &T)> {
        let mut next = Some(newest);
        std::iter::from_fn(move || {
            let place = next?;
            next = self.before::<T>(place);
            let samples = T::column(self.window(place.window)?).samples.get(place.cell as usize)?;
            Some((place.window, samples))
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

    /// Forgets a window's samples.
    pub(super) fn close(&mut self, number: i64) {
        self.sketches.clear();
        let Some(place) = self.place(number) else {
            // Nothing came: what was kept for more of the same is not needed.
            (self.cells, self.sketches) = (None, Spare::default());
            return;
        };
        let mut cells = self.windows.remove(place);
        self.latest = self.latest.saturating_sub(1);
        for samples in cells.whole.samples.iter_mut() {
            self.sketches.keep(samples);
        }
        cells.plain.clear();
        cells.whole.clear();
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

    /// Where the series of a cell was before, if the cell's window is open.
    fn before<T: Cell>(&self, place: Place) -> Option<Place> {
        let before = T::column(self.window(place.window)?).before.get(place.cell as usize)?;
        Some(before.place(place.window))
    }

    fn place(&self, number: i64) -> Option<usize> {
        self.windows.binary_search_by_key(&number, |cells| cells.number).ok()
    }

    /// The window of this number, if it holds a sample.
    pub(super) fn window(&self, number: i64) -> Option<&Cells> {
        self.windows.get(self.place(number)?)
    }

    fn window_mut(&mut self, number: i64) -> Option<&mut Cells> {
        let place = self.place(number)?;
        self.windows.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cells_of_most_series_take() {
        assert_eq!((size_of::<Numbers>(), size_of::<Before>()), (40, 8));
    }
}
