//! A detector with windows that a test fills by hand: ten seconds each, one series an origin.

use std::{borrow::Cow, collections::HashMap};

use hashbrown::HashMap as Map;
use kinetic_api::{
    anomaly::{Anomaly, State},
    plan::{AnalyticKind, AnalyticPlan, TopologyPlan},
    resources::topology::Persistence,
    series::SeriesName,
};

use super::Detector;
pub use crate::test_plan::{INTERVAL_MS, topology};
use crate::{
    decode::MetricType,
    test_plan,
    window::{Accumulator, Names, Needs, SeriesId, Window, WindowSink},
};

/// A detector, and the windows so far.
pub struct Rig {
    pub detector: Detector,
    pub number: i64,
    ids: Map<(SeriesName, MetricType), (SeriesId, Needs)>,
    pub names: Names,
    next: u32,
}

/// An analytic of everything, mean, judged window by window.
pub fn analytic(name: &str, kind: AnalyticKind) -> AnalyticPlan {
    AnalyticPlan { persistence: Persistence { windows: 1, of: 1 }, ..test_plan::analytic(name, "**", kind) }
}

pub fn named(metric: &str, origin: &str) -> SeriesName {
    SeriesName { metric: metric.into(), tags: Vec::new(), origin: origin.into() }
}

impl Rig {
    pub fn new(kind: AnalyticKind) -> Self {
        Self::of(&topology(vec![analytic("odd", kind)]))
    }

    pub fn of(plan: &TopologyPlan) -> Self {
        Self {
            detector: Detector::new(plan, 0, &HashMap::new()),
            number: 165_000_000,
            ids: Map::new(),
            names: Names::default(),
            next: 0,
        }
    }

    /// The end of the window that closed last, in milliseconds.
    pub fn end_ms(&self) -> i64 {
        self.number * INTERVAL_MS
    }

    /// A series that was not seen before.
    pub fn series(&mut self, id: SeriesId, name: &SeriesName, kind: MetricType) -> Option<Needs> {
        self.names.insert(id, name, kind);
        self.detector.series(id, name, kind, &self.names)
    }

    /// A window with these values of timers.
    pub fn named_window(&mut self, values: &[(SeriesName, f64)]) -> Vec<Anomaly> {
        let timers: Vec<_> =
            values.iter().map(|(name, value)| (name.clone(), MetricType::Timer, vec![*value])).collect();
        self.typed_window(&timers)
    }

    /// A window with these samples.
    pub fn typed_window(&mut self, series: &[(SeriesName, MetricType, Vec<f64>)]) -> Vec<Anomaly> {
        let mut samples: Vec<(SeriesId, Accumulator)> = Vec::new();
        for (name, kind, values) in series {
            let key = (name.clone(), *kind);
            let (id, needs) = self.ids.get(&key).copied().unwrap_or_else(|| {
                let id = SeriesId(self.next);
                self.next += 1;
                let known = (id, self.series(id, name, *kind).unwrap_or_default());
                self.ids.insert(key, known);
                known
            });
            let mut accumulator = Accumulator::new(*kind, needs);
            for value in values {
                accumulator.add(*value, 1.0);
            }
            samples.push((id, accumulator));
        }
        samples.sort_by_key(|(id, _)| *id);
        let window = Window { start_ms: self.end_ms(), end_ms: self.end_ms() + INTERVAL_MS };
        self.number += 1;
        self.detector.closed(
            window,
            &self.names,
            &mut samples.iter().map(|(id, samples)| (*id, Cow::Borrowed(samples))),
        );
        self.found()
    }

    /// A window with these values of the metric `m`, by origin.
    pub fn window(&mut self, values: &[(&str, f64)]) -> Vec<Anomaly> {
        let values: Vec<_> = values.iter().map(|(origin, value)| (named("m", origin), *value)).collect();
        self.named_window(&values)
    }

    /// So many windows of nothing.
    pub fn silence(&mut self, windows: usize) -> Vec<Anomaly> {
        (0..windows).flat_map(|_| self.window(&[])).collect()
    }

    pub fn evict(&mut self, name: &SeriesName) -> Vec<Anomaly> {
        let key = self.ids.keys().find(|(known, _)| known == name).cloned();
        if let Some((id, _)) = key.and_then(|key| self.ids.remove(&key)) {
            self.detector.evicted(id, &self.names);
            self.names.remove(&[id]);
        }
        self.found()
    }

    pub fn known(&self) -> Vec<SeriesName> {
        let mut names: Vec<_> = self.ids.keys().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }

    fn found(&mut self) -> Vec<Anomaly> {
        let mut found = Vec::new();
        self.detector.take_found(&mut found);
        found
    }
}

/// What was found, in short.
pub fn brief(found: &[Anomaly]) -> Vec<(&str, State)> {
    found.iter().map(|anomaly| (anomaly.subject.as_str(), anomaly.data.state)).collect()
}
