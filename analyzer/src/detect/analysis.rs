//! What every kind of analytic does.

use std::fmt;

use kinetic_api::{anomaly::Anomaly, plan::AnalyticPlan, resources::topology::AnalyticState};

use super::{finding::Closing, subjects::Slot, subjects::Subjects, verdict::Verdict};
use crate::{
    image::{ImageError, Reader, Writer},
    window::{Accumulator, Names, Scatter, SeriesId},
};

/// A number that an analytic looks at, in the window that is closing.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The window's number.
    pub number: i64,
    /// The statistic of the series, if the window has one.
    pub value: Option<f64>,
    /// All that the window knows of the series; None of one that is made of others.
    pub samples: Option<&'a Accumulator>,
    /// How sure the value is, where it is a mean or a share.
    pub scatter: Option<Scatter>,
}

/// An analytic at work.
pub trait Analysis: fmt::Debug + Send {
    /// A series that it looks at appears; it is in `names`, and will be in `subjects`.
    fn bind(&mut self, id: SeriesId, subjects: &Subjects, names: &Names) -> Slot;

    /// A series disappears. It is still in `subjects` and `names`; what fires because of it resolves.
    fn unbind(&mut self, slot: Slot, id: SeriesId, closing: &Closing<'_>, found: &mut Vec<Anomaly>);

    /// A series had samples in the window that is closing.
    fn observe(&mut self, slot: Slot, sample: &Sample<'_>);

    /// All series of the window were seen.
    fn close(&mut self, closing: &Closing<'_>, found: &mut Vec<Anomaly>);

    /// What fires, as published.
    fn firing(&self) -> Box<dyn Iterator<Item = &Anomaly> + '_>;

    /// Whether it can say anything, and why not.
    fn state(&self) -> (AnalyticState, Option<String>);

    /// Writes what it knows, for [`Self::restore`].
    fn save(&self, image: &mut Writer<'_>);

    /// Knows what an image of the same analytic tells; it has seen nothing so far.
    fn restore(&mut self, image: &mut Reader<'_>) -> Result<(), ImageError>;

    /// Takes edited parameters, which [`fits`](super::structure::fits) what it is, and keeps all it knows.
    fn edit(&mut self, plan: &AnalyticPlan);

    /// Keeps the verdict of every window from now on, for [`Self::take_verdicts`]; costs nothing until it is asked for.
    fn keep_verdicts(&mut self);

    /// What was judged in the windows that closed since this was last asked, if it is kept; what is not in it was not judged.
    fn take_verdicts(&mut self, out: &mut Vec<(Slot, Verdict)>);
}
