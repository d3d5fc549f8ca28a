//! From a verdict to the event that tells of it.

use jiff::Timestamp;
use kinetic_api::{
    anomaly::{AnalyticName, Anomaly, Finding, Found, HistoryWindow, Peers, State},
    plan::{AnalyticKind, AnalyticPlan, TopologyPlan},
    resources::topology::Direction,
    series::SeriesName,
};

use super::{
    explain::withdrawn, figures::Unit, history::WINDOWS, measure::Measure, subjects::Subjects,
    verdict::Verdict,
};
use crate::window::{Names, SeriesId, Window};

/// What all findings of a source have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The customer.
    pub customer: String,
    /// The topology.
    pub topology: String,
    /// The source.
    pub source: String,
    /// The profiles that feed the source.
    pub profiles: Vec<String>,
    /// The windows' length in milliseconds.
    pub interval_ms: i64,
}

impl Scope {
    /// The scope of the source in this place of a plan.
    #[must_use]
    pub fn new(plan: &TopologyPlan, source: usize) -> Self {
        let read = &plan.sources[source];
        Self {
            customer: plan.customer.clone(),
            topology: plan.name.clone(),
            source: read.name.clone(),
            profiles: read.profiles.clone(),
            interval_ms: read.interval_ms,
        }
    }
}

/// What an analytic knows when it tells of a turn.
#[derive(Clone, Debug)]
pub struct Telling {
    /// What it is about. Ignored when something resolves: it resolves under the name under which it fired.
    pub subject: SeriesName,
    /// What the window's value amounted to.
    pub verdict: Verdict,
    /// With whom it was compared.
    pub peers: Option<Peers>,
    /// The last windows.
    pub history: Vec<HistoryWindow>,
    /// One sentence for people.
    pub explanation: String,
}

/// A window that closed, as an analytic sees it.
#[derive(Clone, Copy, Debug)]
pub struct Closing<'a> {
    /// What all findings have in common.
    pub scope: &'a Scope,
    /// The analytic.
    pub plan: &'a AnalyticPlan,
    /// From when on people are told.
    pub active_since_ms: i64,
    /// All series that are looked at.
    pub subjects: &'a Subjects,
    /// What they are called.
    pub names: &'a Names,
    /// The window.
    pub window: Window,
}

impl Closing<'_> {
    /// The window's number: windows are aligned to the epoch.
    #[must_use]
    pub fn number(&self) -> i64 {
        number(self.window, self.scope.interval_ms)
    }

    /// The unit of what is looked at of a series.
    #[must_use]
    pub fn unit(&self, id: SeriesId, measure: &Measure<'_>) -> Unit {
        self.names.kind(id).map_or(Unit::None, |kind| measure.unit(kind))
    }

    /// Something begins to fire; `since` is the number of the window in which it began.
    #[must_use]
    pub fn fires(&self, since: i64, telling: Telling) -> Anomaly {
        let direction = telling.verdict.direction();
        self.anomaly(State::Firing, time(since.saturating_mul(self.scope.interval_ms)), direction, telling)
    }

    /// What fired is over.
    #[must_use]
    pub fn resolves(&self, fired: &Anomaly, telling: Telling) -> Anomaly {
        let Finding { since, direction, .. } = fired.data;
        self.anomaly(State::Resolved, since, direction, Telling { subject: fired.data.series(), ..telling })
    }

    /// What fired is no longer looked at.
    #[must_use]
    pub fn withdraws(&self, fired: &Anomaly, why: &str) -> Anomaly {
        let subject = fired.data.series();
        let explanation = withdrawn(&subject, why);
        let telling =
            Telling { subject, verdict: Verdict::NONE, peers: None, history: Vec::new(), explanation };
        self.resolves(fired, telling)
    }

    /// How long something has fired at the end of the window, in milliseconds.
    #[must_use]
    pub fn lasted_ms(&self, fired: &Anomaly) -> i64 {
        self.window.end_ms.saturating_sub(fired.data.since.as_millisecond())
    }

    fn anomaly(&self, state: State, since: Timestamp, direction: Direction, telling: Telling) -> Anomaly {
        let Telling { subject, verdict, peers, history, explanation } = telling;
        let (analytic_kind, threshold) = kind(&self.plan.kind);
        let live = self.window.end_ms > self.active_since_ms;
        let measure = Measure::of(self.plan).words(&subject.metric);
        let finding = Finding {
            customer: self.scope.customer.clone(),
            topology: self.scope.topology.clone(),
            analytic: self.plan.name.clone(),
            analytic_kind,
            metrics_source: self.scope.source.clone(),
            profiles: self.scope.profiles.clone(),
            metric: subject.metric,
            origin: subject.origin,
            tags: subject.tags,
            statistic: self.plan.statistic,
            measure,
            interval_ms: self.scope.interval_ms,
            value: verdict.value,
            expected: verdict.expected,
            stddev: verdict.stddev,
            deviation: verdict.deviation,
            threshold,
            score: verdict.score,
            direction,
            state,
            since,
            peers,
            history,
            found: if live { Found::Live } else { Found::Warmup },
            explanation,
        };
        Anomaly::new(time(self.window.end_ms), finding)
    }
}

/// An analytic's kind, and its line: standard deviations, the threshold's value, or seconds of silence.
fn kind(kind: &AnalyticKind) -> (AnalyticName, f64) {
    use kinetic_api::plan::ThresholdRule::{Above, Below};
    match kind {
        AnalyticKind::Cluster(cluster) => (AnalyticName::Cluster, cluster.deviation),
        AnalyticKind::Stddev(stddev) => (AnalyticName::Stddev, stddev.deviation),
        AnalyticKind::Threshold(Above { line, .. } | Below { line, .. }) => (AnalyticName::Threshold, *line),
        AnalyticKind::Absence { after_ms, .. } => (AnalyticName::Absence, *after_ms as f64 / 1000.0),
    }
}

/// The band that a window's value was held against.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Band {
    /// Its middle.
    pub expected: Option<f64>,
    /// Where it ends below.
    pub lower: Option<f64>,
    /// Where it ends above.
    pub upper: Option<f64>,
}

impl Band {
    /// So far to both sides of a centre; none where it reaches to infinity.
    #[must_use]
    pub fn around(centre: f64, reach: f64) -> Self {
        let ends = |end: f64| end.is_finite().then_some(end);
        Self { expected: Some(centre), lower: ends(centre - reach), upper: ends(centre + reach) }
    }
}

/// The last windows up to the one of this number, from the first on of which anything is known.
pub fn history(
    number: i64,
    interval_ms: i64,
    mut window: impl FnMut(i64) -> (Option<f64>, Band),
) -> Vec<HistoryWindow> {
    (number - WINDOWS + 1..=number)
        .map(|n| (n, window(n)))
        .skip_while(|(_, (value, band))| value.is_none() && band.expected.is_none())
        .map(|(n, (value, Band { expected, lower, upper }))| {
            let time = time(n.saturating_add(1).saturating_mul(interval_ms));
            HistoryWindow { time, value, expected, lower, upper }
        })
        .collect()
}

/// A window's number since the epoch.
#[must_use]
pub fn number(window: Window, interval_ms: i64) -> i64 {
    window.start_ms.div_euclid(interval_ms)
}

/// A time; the nearest that can be written for one beyond the years that can.
#[must_use]
pub fn time(milliseconds: i64) -> Timestamp {
    let nearest = if milliseconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(milliseconds).unwrap_or(nearest)
}
