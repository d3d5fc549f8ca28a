//! The windows of a source as they stand, for people who ask.

use std::borrow::Cow;

use super::{
    accumulator::Accumulator,
    sink::{SeriesId, Window},
    windows::{Windows, numbered},
};
impl Windows {
    /// Every series: its metric and its origin.
    pub fn series(&self) -> impl Iterator<Item = (SeriesId, &str, &str)> {
        self.registry.names().iter().map(|(id, name)| (id, name.metric(), name.origin()))
    }

    /// The newest window that a series had a sample in.
    #[must_use]
    pub fn last_seen(&self, id: SeriesId) -> Option<Window> {
        Some(numbered(self.table.newest(id)?, self.interval_ms).window)
    }

    /// The windows of a series that still take samples and have some, oldest first.
    #[must_use]
    pub fn open(&self, id: SeriesId) -> Vec<(Window, Cow<'_, Accumulator>)> {
        let window = |number| numbered(number, self.interval_ms).window;
        let mut open: Vec<_> =
            self.table.samples(id).into_iter().map(|(number, samples)| (window(number), samples)).collect();
        open.reverse();
        open
    }
}
