//! What analytics know of a series, for people who ask.

use std::collections::BTreeMap;

use kinetic_api::statistic::Statistic;

use super::{
    Detector,
    finding::{Scope, number},
};
use crate::window::{SeriesId, Window};

impl Detector {
    /// The analytics that look at a series.
    pub(crate) fn looked_at_by(&self, id: SeriesId) -> Vec<String> {
        let bindings = self.subjects.bindings(id);
        bindings.iter().map(|binding| self.watches[binding.watch].plan.name.clone()).collect()
    }

    /// What they saw of it in a window that has closed, in single precision.
    pub(crate) fn seen(&self, id: SeriesId, window: Window) -> BTreeMap<Statistic, f64> {
        let number = number(window, self.scope.interval_ms);
        let seen = |statistic| Some((statistic, self.subjects.history(id, statistic)?.get(number)?));
        self.subjects.bindings(id).iter().filter_map(|binding| seen(binding.statistic)).collect()
    }

    /// What is looked at.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }
}
