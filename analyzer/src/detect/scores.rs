//! What every window amounted to, for whoever asks: a replay.

use hashbrown::HashMap;
use kinetic_api::series::SeriesName;

use super::{analysis::Analysis, subjects::Slot, verdict::Verdict};
use crate::window::{SeriesId, Window};

/// What a window of a series amounted to, by one analytic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowScore {
    /// The series: its place in [`Detector::scored_series`](super::Detector::scored_series).
    pub series: usize,
    /// The analytic's place among those of the source.
    pub analytic: usize,
    /// The window.
    pub window: Window,
    /// The statistic of the series, if the window has one.
    pub value: Option<f64>,
    /// What it amounted to; None where it was not judged: still warming up, or too few feeds.
    pub verdict: Option<Verdict>,
}

/// The scores of the windows with samples.
#[derive(Debug, Default)]
pub struct Scores {
    series: Vec<SeriesName>,
    by_name: HashMap<SeriesName, usize>,
    by_id: HashMap<SeriesId, usize>,
    /// The samples of the window that is closing.
    seen: Vec<Seen>,
    verdicts: Vec<(Slot, Verdict)>,
    closed: Vec<WindowScore>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    watch: usize,
    slot: Slot,
    series: usize,
    value: Option<f64>,
}

impl Scores {
    /// The series that [`WindowScore::series`] counts. One that is forgotten and comes back keeps its place.
    pub fn series(&self) -> &[SeriesName] {
        &self.series
    }

    /// A series has a sample in the window that is closing, and an analytic (by its place) that calls it so looks at it.
    pub fn saw(
        &mut self,
        id: SeriesId,
        name: impl FnOnce() -> SeriesName,
        watch: usize,
        slot: Slot,
        value: Option<f64>,
    ) {
        let known = self.by_id.get(&id).copied();
        let series = known.unwrap_or_else(|| {
            let series = self.place(&name());
            self.by_id.insert(id, series);
            series
        });
        self.seen.push(Seen { watch, slot, series, value });
    }

    /// The same of a series that is made of others.
    pub fn saw_made(&mut self, name: &SeriesName, watch: usize, slot: Slot, value: f64) {
        let series = self.place(name);
        self.seen.push(Seen { watch, slot, series, value: Some(value) });
    }

    /// A series' id will mean another one.
    pub fn forget(&mut self, id: SeriesId) {
        self.by_id.remove(&id);
    }

    /// All analytics, in their order, have judged the window.
    pub fn close<'a>(&mut self, window: Window, analyses: impl Iterator<Item = &'a mut Box<dyn Analysis>>) {
        let mut all = std::mem::take(&mut self.seen);
        all.sort_by_key(|seen| seen.watch);
        let mut seen = all.drain(..).peekable();
        for (watch, analysis) in analyses.enumerate() {
            self.verdicts.clear();
            analysis.take_verdicts(&mut self.verdicts);
            self.verdicts.sort_by_key(|(slot, _)| *slot);
            while let Some(Seen { slot, series, value, .. }) = seen.next_if(|seen| seen.watch == watch) {
                let place = self.verdicts.binary_search_by_key(&slot, |(slot, _)| *slot);
                let verdict = place.ok().map(|place| self.verdicts[place].1);
                self.closed.push(WindowScore { series, analytic: watch, window, value, verdict });
            }
        }
        drop(seen);
        self.seen = all;
    }

    fn place(&mut self, name: &SeriesName) -> usize {
        *self.by_name.entry_ref(name).or_insert_with(|| {
            self.series.push(name.clone());
            self.series.len() - 1
        })
    }

    /// What the windows amounted to that closed since this was last asked.
    pub fn take(&mut self, out: &mut Vec<WindowScore>) {
        out.append(&mut self.closed);
    }
}
