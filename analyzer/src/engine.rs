//! One source of a topology, from messages to findings; pure: what it finds follows from what it is given, in order.

mod series;

use std::{collections::HashMap, sync::Arc};

use kinetic_api::{
    anomaly::Anomaly,
    names,
    plan::{AnalyticKind, SourcePlan, TopologyPlan},
    series::SeriesName,
};

pub use self::series::{SeriesPage, SeriesQuery};
use crate::{
    decode::{
        bad_line::BadLine,
        collectd::types_db::TypesDb,
        format::{self, Format},
    },
    detect::{Detector, structure},
    image::{Reader, Writer},
    partition::Partition,
    window::{MessageContext, WindowConfig, Windows},
};
pub use crate::{
    detect::{AnalyticReport, Verdict, WindowScore},
    image::ImageError,
};

/// A series without samples for so long is forgotten, unless a baseline reaches further back.
const IDLE_SERIES_MS: i64 = 3 * 3_600_000;

/// So many baselines of silence leave nothing worth remembering (e⁻⁵).
const IDLE_BASELINES: i64 = 5;

/// How much an engine may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineLimits {
    /// So many series at a time; samples of further ones are dropped and counted.
    pub max_series: u32,
}

/// A message, as far as it matters here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Input<'a> {
    /// The payload.
    pub body: &'a [u8],
    /// The key by which it was routed.
    pub routing_key: &'a str,
    /// The payload's MIME type.
    pub content_type: Option<&'a str>,
    /// The value of the header that names the origin: the one that the source's origin rule names, else `origin`.
    pub origin: Option<&'a str>,
    /// The header `timestamp_in_ms`: milliseconds since 1970.
    pub timestamp_in_ms: Option<i64>,
    /// AMQP's `timestamp` property: seconds since 1970.
    pub timestamp: Option<u64>,
}

/// What an engine counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineCounters {
    /// Messages given to it.
    pub messages: u64,
    /// Messages of a format that it cannot read.
    pub unknown_format: u64,
    /// Messages of a profile that does not feed the source.
    pub other_profile: u64,
    /// Values decoded.
    pub samples: u64,
    /// Lines that were not understood.
    pub bad_lines: u64,
    /// Samples whose window had closed.
    pub late: u64,
    /// Samples too far ahead of the last tick.
    pub future: u64,
    /// Samples without any time.
    pub untimed: u64,
    /// Readings of counters that gave no rate.
    pub unrated: u64,
    /// Values that are none, as clients write it on purpose.
    pub gaps: u64,
    /// Samples of series that no analytic looks at.
    pub unmatched: u64,
    /// Samples of new series while there were as many as allowed.
    pub dropped_series: u64,
    /// Series kept at present: a gauge.
    pub series: u64,
    /// Windows closed.
    pub windows: u64,
}

/// The edit needs the stream to be read again: what is known was made by other rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the edit changes which windows of which series are looked at: read the stream again with a new engine"
)]
pub struct NeedsRebuild;

/// One source of a topology.
#[derive(Debug)]
pub struct Engine {
    source: SourcePlan,
    active_since: HashMap<String, i64>,
    types: Arc<TypesDb>,
    windows: Windows,
    detector: Detector,
    messages: u64,
    unknown_format: u64,
    other_profile: u64,
}

impl Engine {
    /// The source in this place of a plan. Findings about windows that ended at or before `active_since` (by analytic, in
    /// milliseconds since 1970; always, where one is not listed, they are live) are history.
    #[must_use]
    pub fn new(
        plan: &TopologyPlan,
        source: usize,
        limits: EngineLimits,
        active_since: HashMap<String, i64>,
    ) -> Self {
        let read = plan.sources[source].clone();
        let windows = Windows::new(window_config(plan, source, limits));
        let detector = Detector::new(plan, source, &active_since);
        Self {
            source: read,
            active_since,
            types: TypesDb::standard(),
            windows,
            detector,
            messages: 0,
            unknown_format: 0,
            other_profile: 0,
        }
    }

    /// The same for one of several analyzers that share the source, before it has seen anything.
    #[must_use]
    pub fn owning(self, partition: Partition) -> Self {
        Self { detector: self.detector.owning(partition), ..self }
    }

    /// Writes what it knows, for [`Self::restore`]: the same state always has the same image.
    pub(crate) fn save(&self, image: &mut Writer<'_>) {
        self.windows.save(image);
        self.detector.save(image);
        image.put(&(self.messages, self.unknown_format, self.other_profile));
    }

    /// The engine that an image was made of, for the same source and analytics: it goes on exactly as that one did.
    ///
    /// # Errors
    /// The image is none of this version's, or of other analytics.
    pub fn restore(
        plan: &TopologyPlan,
        source: usize,
        limits: EngineLimits,
        active_since: HashMap<String, i64>,
        partition: Partition,
        image: &[u8],
    ) -> Result<Self, ImageError> {
        let mut image = Reader::new(image);
        let windows = Windows::restore(window_config(plan, source, limits), &mut image)?;
        let detector = Detector::restore(plan, source, &active_since, partition, &mut image)?;
        let (messages, unknown_format, other_profile) = image.get()?;
        image.end()?;
        let fresh = Self::new(plan, source, limits, active_since);
        Ok(Self { windows, detector, messages, unknown_format, other_profile, ..fresh })
    }

    /// Understands collectd's values by these types, not only by those that it comes with.
    #[must_use]
    pub fn with_types(self, types: Arc<TypesDb>) -> Self {
        Self { types, ..self }
    }

    /// Takes a message in; windows that it closes are looked at.
    pub fn message(&mut self, message: &Input<'_>, out: &mut Vec<Anomaly>) {
        self.messages += 1;
        if self.of_other_profile(message.routing_key) {
            self.other_profile += 1;
            return;
        }
        let context = MessageContext { origin: message.origin };
        let Input { body, content_type, routing_key, .. } = *message;
        match format::tell(content_type, routing_key, &self.source, body) {
            Some(Format::Statsd) => {
                self.windows.add_statsd(body, context, time_ms(message), &mut self.detector);
            }
            Some(Format::Labelled(format)) => {
                let types = &self.types;
                self.windows.add_labelled(context, time_ms(message), &mut self.detector, |samples| {
                    format.decode(body, types, samples);
                });
            }
            None => self.unknown_format += 1,
        }
        self.detector.take_found(out);
    }

    /// A stream may hold messages from when other profiles fed it, and a broker keeps a binding that an edit dropped.
    fn of_other_profile(&self, routing_key: &str) -> bool {
        let SourcePlan { kind, profiles, .. } = &self.source;
        !profiles.is_empty()
            && names::profile(kind.as_str(), routing_key)
                .is_some_and(|profile| !profiles.iter().any(|fed| fed == profile))
    }

    /// Takes in a tick that was read back from the stream: the wall time.
    pub fn tick(&mut self, wall_ms: i64, out: &mut Vec<Anomaly>) {
        self.windows.tick(wall_ms, &mut self.detector);
        self.detector.take_found(out);
    }

    /// How far ahead of the last tick a sample may be: what is further is counted as future.
    #[must_use]
    pub fn ahead_ms(&self) -> i64 {
        self.windows.ahead_ms()
    }

    /// The next tick of the stream is of the wall time `wall_ms`, and nobody ticked for longer than [`Self::ahead_ms`] before it: until
    /// it is read, samples up to there are no future.
    pub fn catch_up(&mut self, wall_ms: i64) {
        self.windows.catch_up(wall_ms);
    }

    /// Closes every window that holds samples, for a run that ends.
    pub fn finish(&mut self, out: &mut Vec<Anomaly>) {
        self.windows.finish(&mut self.detector);
        self.detector.take_found(out);
    }

    /// Takes an edited plan. Parameters change in place, and all that is known stays; what a removed analytic fires
    /// resolves.
    ///
    /// # Errors
    /// Nothing has changed, since the edit changes windows, series or groups, or adds an analytic.
    pub fn reconfigure(
        &mut self,
        plan: &TopologyPlan,
        source: usize,
        active_since: HashMap<String, i64>,
        out: &mut Vec<Anomaly>,
    ) -> Result<(), NeedsRebuild> {
        let read = &plan.sources[source];
        if !structure::same_windows(&self.source, read) || !self.detector.fits(plan, source) {
            return Err(NeedsRebuild);
        }
        self.windows.set_lateness(read.lateness_ms);
        self.source = read.clone();
        self.detector.edit(plan, source, &active_since);
        self.active_since = active_since;
        self.detector.take_found(out);
        Ok(())
    }

    /// The findings that fire now, as they were published.
    #[must_use]
    pub fn firing(&self) -> Vec<Anomaly> {
        self.detector.firing()
    }

    /// How many findings fire now.
    #[must_use]
    pub fn firing_count(&self) -> usize {
        self.detector.firing_count()
    }

    /// Whether a finding, of whatever engine of this source, is this one's to resolve.
    #[must_use]
    pub fn owns(&self, anomaly: &Anomaly) -> bool {
        self.detector.owns(anomaly)
    }

    /// Resolves those findings of the engine before this one that do not fire here.
    pub fn resolve_orphans(&self, old: Vec<Anomaly>, out: &mut Vec<Anomaly>) {
        self.detector.withdraw_orphans(old, out);
    }

    /// Resolves findings because the source is no longer read.
    pub fn resolve_all(&self, firing: Vec<Anomaly>, out: &mut Vec<Anomaly>) {
        self.detector.withdraw(firing, "its source is no longer read", out);
    }

    /// Keeps from now on what every window amounts to, for [`Self::take_scores`]: for a replay. Nothing else pays for it.
    pub fn observe_scores(&mut self) {
        self.detector.observe_scores();
    }

    /// What the windows amounted to that closed since this was last asked, in order.
    pub fn take_scores(&mut self, out: &mut Vec<WindowScore>) {
        self.detector.take_scores(out);
    }

    /// The series that [`WindowScore::series`] counts.
    #[must_use]
    pub fn scored_series(&self) -> &[SeriesName] {
        self.detector.scored_series()
    }

    /// Since when each analytic is active, in milliseconds since 1970.
    #[must_use]
    pub fn active_since(&self) -> &HashMap<String, i64> {
        &self.active_since
    }

    /// Whether each analytic can say anything.
    #[must_use]
    pub fn analytics(&self) -> Vec<AnalyticReport> {
        self.detector.analytics()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> EngineCounters {
        let windows = self.windows.counters();
        EngineCounters {
            messages: self.messages,
            unknown_format: self.unknown_format,
            other_profile: self.other_profile,
            samples: windows.samples,
            bad_lines: windows.bad_lines,
            late: windows.late,
            future: windows.future,
            untimed: windows.untimed,
            unrated: windows.unrated,
            gaps: windows.gaps,
            unmatched: windows.unmatched,
            dropped_series: windows.dropped_series,
            series: windows.series,
            windows: windows.windows_closed,
        }
    }

    /// The first line that was not understood since this was last asked.
    pub fn take_bad_line(&mut self) -> Option<BadLine> {
        self.windows.take_bad_line()
    }
}

/// The event time of lines that bring none (DESIGN.md, "Time", rule 2); without one it is the last tick's.
fn time_ms(message: &Input<'_>) -> Option<i64> {
    let from_seconds = || i64::try_from(message.timestamp?).ok()?.checked_mul(1000);
    message.timestamp_in_ms.or_else(from_seconds)
}

fn window_config(plan: &TopologyPlan, source: usize, limits: EngineLimits) -> WindowConfig {
    let read = &plan.sources[source];
    WindowConfig {
        interval_ms: read.interval_ms,
        lateness_ms: read.lateness_ms,
        origin: read.origin.clone(),
        max_series: limits.max_series as usize,
        idle_series_ms: idle_series_ms(plan, source),
    }
}

fn idle_series_ms(plan: &TopologyPlan, source: usize) -> i64 {
    let baselines = plan.analytics.iter().filter(|analytic| analytic.source == source).map(|analytic| {
        match &analytic.kind {
            AnalyticKind::Stddev(stddev) => stddev.baseline.as_millis().saturating_mul(IDLE_BASELINES),
            AnalyticKind::Cluster(_) | AnalyticKind::Threshold(_) | AnalyticKind::Absence { .. } => 0,
        }
    });
    baselines.max().unwrap_or(0).max(IDLE_SERIES_MS)
}

#[cfg(test)]
mod restored;
#[cfg(test)]
mod tests;
