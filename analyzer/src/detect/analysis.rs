//! What every kind of analytic does.

use std::fmt;

use kinetic_api::{anomaly::Anomaly, plan::AnalyticPlan, resources::topology::AnalyticState};

use super::{finding::Closing, subjects::Slot, subjects::Subjects};
use crate::window::{Accumulator, SeriesId};

/// A number that an analytic looks at, in the window that is closing.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The window's number.
    pub number: i64,
    /// The statistic of the series, if the window has one.
    pub value: Option<f64>,
    /// All that the window knows of the series.
    pub samples: &'a Accumulator,
}

/// An analytic at work.
pub trait Analysis: fmt::Debug + Send {
    /// A series that it looks at appears; it is in `subjects` already.
    fn bind(&mut self, id: SeriesId, subjects: &Subjects) -> Slot;

    /// A series disappears. It is still in `subjects`; what fires because of it resolves.
    fn unbind(&mut self, slot: Slot, id: SeriesId, closing: &Closing<'_>, found: &mut Vec<Anomaly>);

    /// A series had samples in the window that is closing.
    fn observe(&mut self, slot: Slot, sample: &Sample<'_>);

    /// All series of the window were seen.
    fn close(&mut self, closing: &Closing<'_>, found: &mut Vec<Anomaly>);

    /// What fires, as published.
    fn firing(&self) -> Box<dyn Iterator<Item = &Anomaly> + '_>;

    /// Whether it can say anything, and why not.
    fn state(&self) -> (AnalyticState, Option<String>);

    /// Takes edited parameters, which [`fits`](super::structure::fits) what it is, and keeps all it knows.
    fn edit(&mut self, plan: &AnalyticPlan);
}
