//! One analytic over rows or messages of the past.

use std::{collections::HashMap, io::Write};

use kinetic_api::{
    anomaly::Anomaly,
    glob::Glob,
    names::STATSD_CONTENT_TYPE,
    plan::{OriginRule, SeriesMatch, TopologyPlan},
    resources::topology::SourceType,
};

use super::judgement::{Judgement, Recorder};
use crate::{
    detect::WindowScore,
    engine::{Engine, EngineCounters, EngineLimits, Input},
};

/// So many series are looked at.
const LIMITS: EngineLimits = EngineLimits { max_series: 1_000_000 };

/// Which windows a judgement holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of them: about 100 bytes each.
    All,
    /// The last of each series: for what is long.
    Last,
}

/// One analytic over rows or messages, in the order of their time.
#[derive(Debug)]
pub struct Replay {
    engine: Engine,
    recorder: Recorder,
    metric: String,
    body: Vec<u8>,
    found: Vec<Anomaly>,
    scores: Vec<WindowScore>,
}

impl Replay {
    /// The analytic in this place of a plan, over the messages of its source.
    #[must_use]
    pub fn of_messages(plan: &TopologyPlan, analytic: usize, keep: Keep) -> Self {
        Self::new(&only(plan, analytic), String::new(), keep)
    }

    /// The analytic in this place of a plan, over rows: each is a sample of this metric, whatever the analytic matches and its
    /// source is fed by. Rows come in order, so nothing is late.
    #[must_use]
    pub fn of_rows(plan: &TopologyPlan, analytic: usize, metric: &str, keep: Keep) -> Self {
        let mut plan = only(plan, analytic);
        for source in &mut plan.sources {
            source.kind = SourceType::Statsd;
            source.profiles.clear();
            source.origin = OriginRule::Header("origin".into());
            source.lateness_ms = 0;
        }
        for analytic in &mut plan.analytics {
            analytic.matches = SeriesMatch { metric: Glob::flat("*"), tags: Vec::new() };
        }
        Self::new(&plan, metric_name(metric), keep)
    }

    fn new(plan: &TopologyPlan, metric: String, keep: Keep) -> Self {
        let mut engine = Engine::new(plan, 0, LIMITS, HashMap::new());
        engine.observe_scores();
        Self {
            engine,
            recorder: Recorder::new(keep == Keep::All),
            metric,
            body: Vec::new(),
            found: Vec::new(),
            scores: Vec::new(),
        }
    }

    /// The metric's name in findings.
    #[must_use]
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// A row: its time in milliseconds since 1970, and a finite value. Not before those that came earlier.
    pub fn row(&mut self, origin: &str, time_ms: i64, value: f64) {
        self.body.clear();
        // A histogram's values, unlike a gauge's, are never taken as changes of a level.
        write!(self.body, "{}:{value}|h", self.metric).expect("writing into memory does not fail");
        let input = Input {
            body: &self.body,
            content_type: Some(STATSD_CONTENT_TYPE),
            origin: Some(origin),
            timestamp_in_ms: Some(time_ms),
            ..Input::default()
        };
        self.engine.message(&input, &mut self.found);
        self.record();
    }

    /// A message of the stream.
    pub fn message(&mut self, message: &Input<'_>) {
        self.engine.message(message, &mut self.found);
        self.record();
    }

    /// A tick of the stream.
    pub fn tick(&mut self, wall_ms: i64) {
        self.engine.tick(wall_ms, &mut self.found);
        self.record();
    }

    /// As [`Engine::catch_up`]: samples up to the wall time `wall_ms` are no future.
    pub fn catch_up(&mut self, wall_ms: i64) {
        self.engine.catch_up(wall_ms);
    }

    /// What was read so far.
    #[must_use]
    pub fn counters(&self) -> EngineCounters {
        self.engine.counters()
    }

    /// Closes what is open.
    #[must_use]
    pub fn finish(mut self) -> Judgement {
        self.engine.finish(&mut self.found);
        self.record();
        let analytic = self.engine.analytics().into_iter().next();
        self.recorder.finish(self.engine.counters(), analytic)
    }

    fn record(&mut self) {
        self.engine.take_scores(&mut self.scores);
        if !self.scores.is_empty() || !self.found.is_empty() {
            let names = self.engine.scored_series();
            self.recorder.take(names, self.scores.drain(..), self.found.drain(..));
        }
    }
}

/// A plan of this analytic alone, and of its source.
fn only(plan: &TopologyPlan, analytic: usize) -> TopologyPlan {
    let mut analytic = plan.analytics[analytic].clone();
    let source = plan.sources[analytic.source].clone();
    analytic.source = 0;
    TopologyPlan { sources: vec![source], analytics: vec![analytic], ..plan.clone() }
}

/// A name that a statsd line can carry.
fn metric_name(text: &str) -> String {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ' ');
    let name: String = text.trim().chars().map(|c| if fits(c) { c } else { '_' }).take(200).collect();
    if name.is_empty() { "value".into() } else { name }
}

#[cfg(test)]
mod tests;
