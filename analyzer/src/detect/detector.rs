//! All analytics of one source.

use std::collections::HashMap;

use kinetic_api::{
    anomaly::{Anomaly, Finding, State},
    plan::{AnalyticPlan, TopologyPlan},
    resources::topology::AnalyticState,
    series::SeriesName,
};

use super::{
    analysis::{Analysis, Sample},
    cluster::usable,
    explain::withdrawn,
    finding::{Closing, Scope, number, time},
    kinds, structure,
    subjects::{Binding, Subjects, Watched},
};
use crate::{
    decode::MetricType,
    window::{Accumulator, Needs, SeriesId, Window, WindowSink},
};

/// All analytics of one source: looks at its windows, and finds what begins to be odd and what ceases to be.
#[derive(Debug)]
pub struct Detector {
    scope: Scope,
    watches: Vec<Watch>,
    subjects: Subjects,
    /// The last window that closed.
    window: Option<Window>,
    found: Vec<Anomaly>,
}

/// An analytic at work.
#[derive(Debug)]
struct Watch {
    plan: AnalyticPlan,
    active_since_ms: i64,
    analysis: Box<dyn Analysis>,
}

/// Whether an analytic can say anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnalyticReport {
    /// The analytic.
    pub name: String,
    /// Whether it can.
    pub state: AnalyticState,
    /// Why not, or not of all series.
    pub reason: Option<String>,
}

impl Watch {
    fn closing<'a>(&'a self, scope: &'a Scope, subjects: &'a Subjects, window: Window) -> Closing<'a> {
        Closing { scope, plan: &self.plan, active_since_ms: self.active_since_ms, subjects, window }
    }
}

/// The analytics of one source of a plan, and since when each tells people: one that is not listed always did.
fn of_source<'a>(
    plan: &'a TopologyPlan,
    source: usize,
    active_since: &'a HashMap<String, i64>,
) -> impl Iterator<Item = (&'a AnalyticPlan, i64)> {
    plan.analytics
        .iter()
        .filter(move |analytic| analytic.source == source)
        .map(|analytic| (analytic, active_since.get(&analytic.name).copied().unwrap_or(i64::MIN)))
}

impl Detector {
    /// The analytics of the source in this place of a plan. Findings about windows that ended at or before `active_since`
    /// (by analytic, milliseconds since 1970) are history.
    #[must_use]
    pub fn new(plan: &TopologyPlan, source: usize, active_since: &HashMap<String, i64>) -> Self {
        let scope = Scope::new(plan, source);
        let watches = of_source(plan, source, active_since)
            .map(|(plan, active_since_ms)| Watch {
                plan: plan.clone(),
                active_since_ms,
                analysis: kinds::new(plan, scope.interval_ms),
            })
            .collect();
        Self { scope, watches, subjects: Subjects::default(), window: None, found: Vec::new() }
    }

    /// What was found since this was last asked; of one window by analytic and series.
    pub fn take_found(&mut self, out: &mut Vec<Anomaly>) {
        out.append(&mut self.found);
    }

    /// What fires, as published, by analytic and series.
    #[must_use]
    pub fn firing(&self) -> Vec<Anomaly> {
        let mut firing: Vec<_> =
            self.watches.iter().flat_map(|watch| watch.analysis.firing().cloned()).collect();
        firing.sort_by(order);
        firing
    }

    /// How much fires.
    #[must_use]
    pub fn firing_count(&self) -> usize {
        self.watches.iter().map(|watch| watch.analysis.firing().count()).sum()
    }

    /// Whether each analytic can say anything.
    #[must_use]
    pub fn analytics(&self) -> Vec<AnalyticReport> {
        let report = |watch: &Watch| {
            let (state, reason) = watch.analysis.state();
            let name = watch.plan.name.clone();
            let live = self.window.is_some_and(|window| window.end_ms > watch.active_since_ms);
            match state {
                AnalyticState::Active if self.window.is_none() => {
                    let reason = Some("no window has closed yet".into());
                    AnalyticReport { name, state: AnalyticState::WarmingUp, reason }
                }
                AnalyticState::Active if !live => {
                    let reason = Some("what was retained is being read".into());
                    AnalyticReport { name, state: AnalyticState::WarmingUp, reason }
                }
                _ => AnalyticReport { name, state, reason },
            }
        };
        self.watches.iter().map(report).collect()
    }

    /// Whether an edited plan can be taken with [`Self::edit`].
    #[must_use]
    pub fn fits(&self, plan: &TopologyPlan, source: usize) -> bool {
        of_source(plan, source, &HashMap::new())
            .all(|(after, _)| self.watches.iter().any(|before| structure::fits(&before.plan, after)))
    }

    /// Takes an edited plan that [`Self::fits`]: parameters change, and what is known stays. What a removed analytic fires
    /// resolves.
    pub fn edit(&mut self, plan: &TopologyPlan, source: usize, active_since: &HashMap<String, i64>) {
        self.scope = Scope::new(plan, source);
        let (mut kept, mut places) = (Vec::new(), Vec::new());
        let mut found = Vec::new();
        for mut watch in std::mem::take(&mut self.watches) {
            let edited =
                of_source(plan, source, active_since).find(|(after, _)| after.name == watch.plan.name);
            if let Some((after, active_since_ms)) = edited {
                places.push(Some(kept.len()));
                watch.analysis.edit(after);
                watch.plan = after.clone();
                watch.active_since_ms = active_since_ms;
                kept.push(watch);
            } else {
                places.push(None);
                if let Some(window) = self.window {
                    let closing = watch.closing(&self.scope, &self.subjects, window);
                    let removed = watch
                        .analysis
                        .firing()
                        .map(|fired| closing.withdraws(fired, "the analytic was removed"));
                    found.extend(removed);
                }
            }
        }
        self.watches = kept;
        for watched in self.subjects.iter_mut() {
            watched.bindings.retain_mut(|binding| {
                let place = places[binding.watch];
                binding.watch = place.unwrap_or_default();
                place.is_some()
            });
        }
        self.tell(found);
    }

    /// Resolves findings of another detector at the end of the last window; `why` no longer looked at.
    pub fn withdraw(&self, fired: Vec<Anomaly>, why: &str, out: &mut Vec<Anomaly>) {
        out.extend(fired.into_iter().map(|fired| self.withdrawn(fired, why)));
    }

    /// Resolves those findings of another detector that do not fire here.
    pub fn withdraw_orphans(&self, fired: Vec<Anomaly>, out: &mut Vec<Anomaly>) {
        let firing = self.firing();
        let orphans = fired
            .into_iter()
            .filter(|old| !firing.iter().any(|new| new.source == old.source && new.subject == old.subject));
        self.withdraw(orphans.collect(), "the topology was edited, and by it this is not odd", out);
    }

    fn withdrawn(&self, fired: Anomaly, why: &str) -> Anomaly {
        let window_end = self.window.map_or(fired.time, |window| time(window.end_ms));
        let time = window_end.max(fired.time);
        let explanation = withdrawn(&fired.data.series(), why);
        let data = Finding {
            state: State::Resolved,
            value: None,
            expected: None,
            stddev: None,
            deviation: None,
            score: 0.0,
            peers: None,
            history: Vec::new(),
            explanation,
            ..fired.data
        };
        Anomaly::new(time, data)
    }

    fn tell(&mut self, mut found: Vec<Anomaly>) {
        found.sort_by(order);
        self.found.append(&mut found);
    }
}

/// By time, analytic and series.
fn order(a: &Anomaly, b: &Anomaly) -> std::cmp::Ordering {
    a.time.cmp(&b.time).then_with(|| a.source.cmp(&b.source)).then_with(|| a.subject.cmp(&b.subject))
}

impl WindowSink for Detector {
    fn series(&mut self, id: SeriesId, name: &SeriesName, kind: MetricType) -> Option<Needs> {
        let tags = name.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut needs = None;
        let mut bindings = Vec::new();
        for (place, watch) in self.watches.iter_mut().enumerate() {
            if !watch.plan.matches.matches(&name.metric, tags.clone()) {
                continue;
            }
            if needs.is_none() {
                let watched =
                    Watched { name: Box::new(name.clone()), kind, traces: Vec::new(), bindings: Vec::new() };
                self.subjects.insert(id, watched);
            }
            let trace = self.subjects.get_mut(id).map_or(0, |watched| watched.trace(watch.plan.statistic));
            let slot = watch.analysis.bind(id, &self.subjects);
            bindings.push(Binding { watch: place, trace, slot });
            needs = Some(needs.unwrap_or_default() | Needs::of(watch.plan.statistic));
        }
        if let Some(watched) = self.subjects.get_mut(id) {
            watched.bindings = bindings;
        }
        needs
    }

    fn closed(&mut self, window: Window, values: &mut dyn Iterator<Item = (SeriesId, &Accumulator)>) {
        self.window = Some(window);
        let interval_ms = self.scope.interval_ms;
        let number = number(window, interval_ms);
        for (id, samples) in values {
            let Some(watched) = self.subjects.get_mut(id) else { continue };
            for (place, trace) in watched.traces.iter_mut().enumerate() {
                let value = samples.statistic(trace.statistic, interval_ms).and_then(usable);
                if let Some(value) = value {
                    trace.history.push(number, value);
                }
                let sample = Sample { number, value, samples };
                for binding in watched.bindings.iter().filter(|binding| binding.trace == place) {
                    self.watches[binding.watch].analysis.observe(binding.slot, &sample);
                }
            }
        }
        let mut found = Vec::new();
        for watch in &mut self.watches {
            let Watch { plan, active_since_ms, analysis } = watch;
            let closing = Closing {
                scope: &self.scope,
                plan,
                active_since_ms: *active_since_ms,
                subjects: &self.subjects,
                window,
            };
            analysis.close(&closing, &mut found);
        }
        self.tell(found);
    }

    fn evicted(&mut self, id: SeriesId) {
        let Some(watched) = self.subjects.get(id) else { return };
        let mut found = Vec::new();
        // Without a window nothing fires, but slots must be freed all the same.
        let window = self.window.unwrap_or(Window { start_ms: 0, end_ms: 0 });
        for binding in watched.bindings.clone() {
            let Watch { plan, active_since_ms, analysis } = &mut self.watches[binding.watch];
            let closing = Closing {
                scope: &self.scope,
                plan,
                active_since_ms: *active_since_ms,
                subjects: &self.subjects,
                window,
            };
            analysis.unbind(binding.slot, id, &closing, &mut found);
        }
        self.subjects.remove(id);
        self.tell(found);
    }
}
