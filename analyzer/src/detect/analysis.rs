//! What every kind of analytic does. A further kind is one more file and one more line here.

use std::fmt;

use kinetic_api::{
    anomaly::Anomaly,
    plan::{AnalyticKind, AnalyticPlan},
    resources::topology::AnalyticState,
};

use super::{
    absence, cluster::ClusterAnalysis, finding::Closing, stddev::StddevAnalysis, subjects::Slot,
    subjects::Subjects, threshold::ThresholdAnalysis,
};
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

/// The analytic that a plan describes, for windows of this many milliseconds.
#[must_use]
pub fn new(plan: &AnalyticPlan, interval_ms: i64) -> Box<dyn Analysis> {
    match &plan.kind {
        AnalyticKind::Cluster(cluster) => Box::new(ClusterAnalysis::new(plan, cluster, interval_ms)),
        AnalyticKind::Stddev(stddev) => Box::new(StddevAnalysis::new(plan, stddev, interval_ms)),
        AnalyticKind::Threshold(rule) => Box::new(ThresholdAnalysis::new(plan, *rule)),
        AnalyticKind::Absence { after_ms, of } => absence::new(plan, *after_ms, *of, interval_ms),
    }
}
