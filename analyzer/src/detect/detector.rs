//! All analytics of one source.

mod image;

use std::{borrow::Cow, collections::HashMap};

use kinetic_api::{
    anomaly::{Anomaly, Finding, State},
    plan::{AnalyticKind, AnalyticPlan, TopologyPlan},
    resources::topology::{AbsenceOf, AnalyticState},
    series::SeriesName,
    statistic::Statistic,
};

use super::{
    analysis::{Analysis, Sample},
    cluster::usable,
    derived::Derived,
    explain::withdrawn,
    finding::{Closing, Scope, number, time},
    history::WINDOWS,
    kinds,
    scores::{Scores, WindowScore},
    structure,
    subjects::{Binding, Subjects},
};
use crate::{
    decode::MetricType,
    partition::Partition,
    window::{Accumulator, Names, Needs, SeriesId, Window, WindowSink, yields},
};

/// All analytics of one source: looks at its windows, and finds what begins to be odd and what ceases to be.
#[derive(Debug)]
pub struct Detector {
    partition: Partition,
    /// The analytics that look at all series together.
    whole: Vec<String>,
    pub(super) scope: Scope,
    pub(super) watches: Vec<Watch>,
    pub(super) subjects: Subjects,
    /// The last window that closed.
    window: Option<Window>,
    found: Vec<Anomaly>,
    /// What every window amounted to, if somebody asked.
    scores: Option<Box<Scores>>,
}

/// An analytic at work.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) plan: AnalyticPlan,
    active_since_ms: i64,
    analysis: Box<dyn Analysis>,
    /// The series that it looks at, where these are made of others.
    derived: Option<Box<Derived>>,
    /// How many series it looks at, but for those that are made of others.
    bound: usize,
    /// Of series that it would look at, a type that never has the statistic.
    unfit: Option<MetricType>,
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
    fn judges_the_whole(&self) -> bool {
        judges_the_whole(&self.plan)
    }

    fn closing<'a>(
        &'a self,
        scope: &'a Scope,
        subjects: &'a Subjects,
        names: &'a Names,
        window: Window,
    ) -> Closing<'a> {
        let (subjects, names) =
            self.derived.as_ref().map_or((subjects, names), |derived| (derived.subjects(), derived.names()));
        Closing { scope, plan: &self.plan, active_since_ms: self.active_since_ms, subjects, names, window }
    }

    /// Whether series of a type have what it looks at. Silence all have.
    fn can_judge(&self, kind: MetricType) -> bool {
        matches!(self.plan.kind, AnalyticKind::Absence { .. }) || yields(kind, self.plan.statistic)
    }

    /// Why it says nothing, where that is because of the types of the series.
    fn misfit(&self) -> Option<String> {
        let kind = self.unfit.filter(|_| self.bound == 0)?;
        let statistic = self.plan.statistic;
        Some(if kind == MetricType::Set {
            format!(
                "the series that match are sets, which have no {statistic}: use cardinality, count or rate"
            )
        } else {
            format!(
                "no series that matches is a set, and only sets have a {statistic}: use another statistic"
            )
        })
    }

    /// Lets go of a series that it looks at, or that goes into such.
    fn evict(
        &mut self,
        id: SeriesId,
        binding: Option<&Binding>,
        scope: &Scope,
        (subjects, names): (&Subjects, &Names),
        window: Window,
        found: &mut Vec<Anomaly>,
    ) {
        self.bound -= usize::from(binding.is_some());
        let Self { plan, active_since_ms, analysis, derived, .. } = self;
        let active_since_ms = *active_since_ms;
        let Some(derived) = derived else {
            if let Some(binding) = binding {
                let closing = Closing { scope, plan, active_since_ms, subjects, names, window };
                analysis.unbind(binding.slot, id, &closing, found);
            }
            return;
        };
        let ended = derived.evict(id);
        for (slot, made) in &ended {
            let (subjects, names) = (derived.subjects(), derived.names());
            let closing = Closing { scope, plan, active_since_ms, subjects, names, window };
            analysis.unbind(*slot, *made, &closing, found);
        }
        derived.sweep(&ended);
    }
}

/// Whether an analytic looks at all series together, so that they cannot be shared out.
fn judges_the_whole(plan: &AnalyticPlan) -> bool {
    matches!(plan.kind, AnalyticKind::Absence { of: AbsenceOf::Source, .. })
}

/// The names of those that do.
fn whole(plan: &TopologyPlan, source: usize) -> Vec<String> {
    let of_source = plan.analytics.iter().filter(|analytic| analytic.source == source);
    of_source.filter(|analytic| judges_the_whole(analytic)).map(|analytic| analytic.name.clone()).collect()
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
                derived: Derived::new(plan, scope.interval_ms).map(Box::new),
                bound: 0,
                unfit: None,
            })
            .collect();
        Self {
            partition: Partition::WHOLE,
            whole: whole(plan, source),
            scope,
            watches,
            subjects: Subjects::default(),
            window: None,
            found: Vec::new(),
            scores: None,
        }
    }

    /// The same for one of several that share the source, before it has seen anything: it looks at the series that are its own. What is
    /// judged of the source as a whole the first of them judges, and sees every series.
    #[must_use]
    pub fn owning(mut self, partition: Partition) -> Self {
        self.partition = partition;
        self.watches.retain(|watch| !watch.judges_the_whole() || partition.leads());
        for derived in self.watches.iter_mut().filter_map(|watch| watch.derived.as_mut()) {
            derived.own(partition);
        }
        self
    }

    /// Whether a finding is about a series that is looked at here, and not by another of those that share the source.
    #[must_use]
    pub fn owns(&self, anomaly: &Anomaly) -> bool {
        let Finding { analytic, metric, .. } = &anomaly.data;
        let whole = self.whole.contains(analytic);
        if whole { self.partition.leads() } else { self.partition.owns(metric) }
    }

    /// What was found since this was last asked; of one window by analytic and series.
    pub fn take_found(&mut self, out: &mut Vec<Anomaly>) {
        out.append(&mut self.found);
    }

    /// Keeps from now on what every window amounts to, for [`Self::take_scores`]: for a replay. Nothing else pays for it.
    pub fn observe_scores(&mut self) {
        self.scores.get_or_insert_default();
        for watch in &mut self.watches {
            watch.analysis.keep_verdicts();
        }
    }

    /// What the windows amounted to that closed since this was last asked, in order.
    pub fn take_scores(&mut self, out: &mut Vec<WindowScore>) {
        if let Some(scores) = &mut self.scores {
            scores.take(out);
        }
    }

    /// The series that [`WindowScore::series`] counts.
    #[must_use]
    pub fn scored_series(&self) -> &[SeriesName] {
        self.scores.as_deref().map_or(&[], Scores::series)
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
            let (state, reason) = match watch.misfit() {
                Some(reason) => (AnalyticState::Unsatisfiable, Some(reason)),
                None => watch.analysis.state(),
            };
            let missing = watch.derived.as_ref().and_then(|derived| derived.missing());
            let reason = missing.filter(|_| state != AnalyticState::Unsatisfiable).or(reason);
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
            .filter(|(after, _)| !judges_the_whole(after) || self.partition.leads())
            .all(|(after, _)| self.watches.iter().any(|before| structure::fits(&before.plan, after)))
    }

    /// Takes an edited plan that [`Self::fits`]: parameters change, and what is known stays. What a removed analytic fires
    /// resolves.
    pub fn edit(&mut self, plan: &TopologyPlan, source: usize, active_since: &HashMap<String, i64>) {
        self.scope = Scope::new(plan, source);
        self.whole = whole(plan, source);
        let (mut kept, mut places) = (Vec::new(), Vec::new());
        let mut found = Vec::new();
        for mut watch in std::mem::take(&mut self.watches) {
            let edited =
                of_source(plan, source, active_since).find(|(after, _)| after.name == watch.plan.name);
            if let Some((after, active_since_ms)) = edited {
                places.push(Some(kept.len()));
                watch.analysis.edit(after);
                if let Some(derived) = &mut watch.derived {
                    derived.edit(after);
                }
                watch.plan = after.clone();
                watch.active_since_ms = active_since_ms;
                kept.push(watch);
            } else {
                places.push(None);
                if let Some(window) = self.window {
                    // What is withdrawn keeps the name under which it fired.
                    let names = Names::default();
                    let closing = watch.closing(&self.scope, &self.subjects, &names, window);
                    let removed = watch
                        .analysis
                        .firing()
                        .map(|fired| closing.withdraws(fired, "the analytic was removed"));
                    found.extend(removed);
                }
            }
        }
        self.watches = kept;
        self.subjects.renumber(&places);
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

/// Those analytics of a plan that can never say anything, whatever series there are.
#[must_use]
pub fn unsatisfiable(plan: &TopologyPlan) -> Vec<AnalyticReport> {
    let of_one = |source| Detector::new(plan, source, &HashMap::new()).analytics();
    let reports = (0..plan.sources.len()).flat_map(of_one);
    reports.filter(|report| report.state == AnalyticState::Unsatisfiable).collect()
}

impl WindowSink for Detector {
    fn series(&mut self, id: SeriesId, name: &SeriesName, kind: MetricType, names: &Names) -> Option<Needs> {
        let tags = name.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let owned = self.partition.owns(&name.metric);
        let mut needs: Option<Needs> = None;
        let mut derived_needs: Option<Needs> = None;
        let mut bindings = Vec::new();
        for (place, watch) in self.watches.iter_mut().enumerate() {
            if let Some(derived) = &mut watch.derived {
                if let Some(asked) = derived.bind(id, name, kind, &mut *watch.analysis) {
                    derived_needs = Some(derived_needs.unwrap_or_default() | asked);
                }
                continue;
            }
            let is_ours = owned || watch.judges_the_whole();
            if !is_ours || !watch.plan.matches.matches(&name.metric, tags.clone()) {
                continue;
            }
            if !watch.can_judge(kind) {
                watch.unfit = Some(kind);
                continue;
            }
            let slot = watch.analysis.bind(id, &self.subjects, names);
            watch.bound += 1;
            bindings.push(Binding { watch: place, statistic: watch.plan.statistic, slot });
            needs = Some(needs.unwrap_or_default() | kinds::needs(&watch.plan));
        }
        if needs.is_some() {
            self.subjects.insert(id, &bindings);
        }
        match (needs, derived_needs) {
            (Some(needs), Some(derived)) => Some(needs | derived),
            (needs, derived) => needs.or(derived),
        }
    }

    fn closed(
        &mut self,
        window: Window,
        names: &Names,
        values: &mut dyn Iterator<Item = (SeriesId, Cow<'_, Accumulator>)>,
    ) {
        self.window = Some(window);
        let interval_ms = self.scope.interval_ms;
        let number = number(window, interval_ms);
        let makes = self.watches.iter().any(|watch| watch.derived.is_some());
        for (id, samples) in values {
            if makes {
                for derived in self.watches.iter_mut().filter_map(|watch| watch.derived.as_mut()) {
                    derived.observe(id, number, &samples);
                }
            }
            let Some(mut watched) = self.subjects.watched(id) else { continue };
            for place in 0..watched.statistics() {
                let (statistic, history) = watched.trace(place);
                let value = samples.statistic(statistic, interval_ms).and_then(usable);
                if let Some(value) = value {
                    history.push(number, value);
                }
                let scatter = if statistic == Statistic::Mean { samples.scatter() } else { None };
                let sample = Sample { number, value, samples: Some(&samples), scatter };
                for (watch, slot) in watched.looks(place) {
                    self.watches[watch].analysis.observe(slot, &sample);
                    if let Some(scores) = &mut self.scores {
                        scores.saw(id, || names.name(id), watch, slot, value);
                    }
                }
            }
        }
        let mut found = Vec::new();
        for (place, watch) in self.watches.iter_mut().enumerate() {
            let Watch { plan, active_since_ms, analysis, derived, .. } = watch;
            let (subjects, names) = match derived {
                Some(derived) => {
                    derived.close(number, &mut **analysis, |name, slot, value| {
                        if let Some(scores) = &mut self.scores {
                            scores.saw_made(&name(), place, slot, value);
                        }
                    });
                    (derived.subjects(), derived.names())
                }
                None => (&self.subjects, names),
            };
            let active_since_ms = *active_since_ms;
            let closing = Closing { scope: &self.scope, plan, active_since_ms, subjects, names, window };
            analysis.close(&closing, &mut found);
        }
        if let Some(scores) = &mut self.scores {
            let analyses = self.watches.iter_mut().map(|watch| &mut watch.analysis);
            scores.close(window, analyses);
        }
        self.tell(found);
        if number.rem_euclid(WINDOWS) == 0 {
            self.subjects.sweep(number);
        }
    }

    fn evicted(&mut self, id: SeriesId, names: &Names) {
        let mut found = Vec::new();
        // Without a window nothing fires, but slots must be freed all the same.
        let window = self.window.unwrap_or(Window { start_ms: 0, end_ms: 0 });
        let bindings = self.subjects.bindings(id);
        for (place, watch) in self.watches.iter_mut().enumerate() {
            let binding = bindings.iter().find(|binding| binding.watch == place);
            watch.evict(id, binding, &self.scope, (&self.subjects, names), window, &mut found);
        }
        self.subjects.remove(id);
        if let Some(scores) = &mut self.scores {
            scores.forget(id);
        }
        self.tell(found);
    }
}
