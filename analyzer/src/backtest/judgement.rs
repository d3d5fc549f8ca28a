//! What a replay found, and what each window amounted to.

use std::collections::HashMap;

use jiff::Timestamp;
use kinetic_api::{
    anomaly::{AnalyticName, Anomaly, State},
    series::SeriesName,
};

use crate::{
    detect::{Verdict, WindowScore},
    engine::{AnalyticReport, EngineCounters},
};

/// A finding looks back over this many windows at most: `persistence.of`.
const LOOK_BACK: usize = 64;
/// Windows that are not kept are let go in bulk.
const LET_GO: usize = 4096;

/// What a replay came to.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// What the analytic would have told of, in the order in which it fired.
    pub flagged: Vec<Flagged>,
    /// The series that it looked at, in the order in which they appeared.
    pub tracks: Vec<Track>,
    /// What was read.
    pub counters: EngineCounters,
    /// Whether the analytic could say anything at the end.
    pub analytic: Option<AnalyticReport>,
}

/// Something that the analytic would have told of.
#[derive(Clone, Debug)]
pub struct Flagged {
    /// As it would have been published when it began.
    pub fired: Anomaly,
    /// As it would have been published when it was over; None where it still fired at the end.
    pub resolved: Option<Anomaly>,
    /// Its worst window.
    pub peak: Peak,
}

/// The worst window of a finding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// The window's start.
    pub at: Timestamp,
    /// 1.0 is the line.
    pub score: f64,
    /// How far off, in standard deviations of a normal distribution; signed.
    pub deviation: Option<f64>,
    /// The value.
    pub value: Option<f64>,
    /// What was expected.
    pub expected: Option<f64>,
}

/// A series, window by window.
#[derive(Clone, Debug)]
pub struct Track {
    /// The series.
    pub series: SeriesName,
    /// The windows with samples, in order: all of them if they were to be kept.
    pub windows: Vec<ScoredWindow>,
    /// How many windows had samples.
    pub seen: u64,
    /// How many of them were judged: not while warming up, nor among too few feeds.
    pub judged: u64,
    /// The first window's start, in milliseconds since 1970.
    pub first_ms: i64,
    /// The last window's end, in milliseconds since 1970.
    pub last_ms: i64,
}

/// A window of a series that had samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredWindow {
    /// Its first millisecond since 1970.
    pub start_ms: i64,
    /// The analytic's statistic of its samples, if there is one.
    pub value: Option<f64>,
    /// What it amounted to; None where it was not judged.
    pub judged: Option<Judged>,
}

/// What a window amounted to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// 1.0 is the line.
    pub score: f64,
    /// How far off, in standard deviations of a normal distribution; signed.
    pub deviation: Option<f64>,
    /// What was expected.
    pub expected: Option<f64>,
    /// How far from it the line lies, to either side.
    pub reach: Option<f64>,
}

impl Flagged {
    /// Milliseconds since 1970 from which and to which it fired; `end_ms` for one that still did at the end.
    #[must_use]
    pub fn span_ms(&self, end_ms: i64) -> (i64, i64) {
        let from = self.fired.data.since.as_millisecond();
        let to = self.resolved.as_ref().map_or(end_ms, |resolved| resolved.time.as_millisecond());
        (from, to.max(from))
    }
}

impl Track {
    fn new(series: SeriesName, first_ms: i64) -> Self {
        Self { series, windows: Vec::new(), seen: 0, judged: 0, first_ms, last_ms: first_ms }
    }

    /// The windows that begin at this time or later.
    fn since(&self, from_ms: i64) -> &[ScoredWindow] {
        &self.windows[self.windows.partition_point(|window| window.start_ms < from_ms)..]
    }

    /// The window that begins at this time.
    #[must_use]
    pub fn window(&self, start_ms: i64) -> Option<&ScoredWindow> {
        self.since(start_ms).first().filter(|window| window.start_ms == start_ms)
    }
}

impl ScoredWindow {
    fn new(score: &WindowScore) -> Self {
        let judged =
            |Verdict { score, deviation, expected, reach, .. }| Judged { score, deviation, expected, reach };
        Self { start_ms: score.window.start_ms, value: score.value, judged: score.verdict.map(judged) }
    }
}

impl Peak {
    fn of_finding(anomaly: &Anomaly) -> Self {
        let data = &anomaly.data;
        let at = anomaly.time - jiff::SignedDuration::from_millis(data.interval_ms);
        let (score, deviation) = (data.score, data.deviation);
        Self { at, score, deviation, value: data.value, expected: data.expected }
    }

    /// Silence is at its worst when it ends, in the window that ends it.
    fn end(&mut self, resolved: &Anomaly) {
        let data = &resolved.data;
        if data.analytic_kind == AnalyticName::Absence {
            let silence_ms =
                (resolved.time.as_millisecond() - data.interval_ms) - data.since.as_millisecond();
            self.score = self.score.max(silence_ms as f64 / 1000.0 / data.threshold);
        }
    }

    fn rise(&mut self, window: &ScoredWindow) {
        let Some(Judged { score, deviation, expected, .. }) = window.judged else { return };
        if score > self.score
            && let Ok(at) = Timestamp::from_millisecond(window.start_ms)
        {
            *self = Self { at, score, deviation, value: window.value, expected };
        }
    }
}

/// Puts findings and scores together as they come.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    keep_windows: bool,
    flagged: Vec<Flagged>,
    tracks: Vec<Track>,
    track_of: HashMap<SeriesName, usize>,
    /// What fires, by the finding's subject: its place in `flagged`.
    open: HashMap<String, usize>,
    /// The same by the series' place in `tracks`.
    open_tracks: HashMap<usize, usize>,
}

impl Recorder {
    pub(super) fn new(keep_windows: bool) -> Self {
        Self { keep_windows, ..Self::default() }
    }

    /// Takes what some windows led to, both in order of time. `names` are the series that the scores count.
    pub(super) fn take(
        &mut self,
        names: &[SeriesName],
        scores: impl Iterator<Item = WindowScore>,
        found: impl Iterator<Item = Anomaly>,
    ) {
        for name in &names[self.tracks.len()..] {
            self.track_of.insert(name.clone(), self.tracks.len());
            self.tracks.push(Track::new(name.clone(), i64::MAX));
        }
        let mut scores = scores.peekable();
        for anomaly in found {
            let time = anomaly.time.as_millisecond();
            while let Some(score) = scores.next_if(|score| score.window.end_ms <= time) {
                self.score(&score);
            }
            self.turn(anomaly);
        }
        scores.for_each(|score| self.score(&score));
    }

    fn score(&mut self, score: &WindowScore) {
        let window = ScoredWindow::new(score);
        let track = &mut self.tracks[score.series];
        track.seen += 1;
        track.judged += u64::from(window.judged.is_some());
        track.first_ms = track.first_ms.min(score.window.start_ms);
        track.last_ms = score.window.end_ms;
        if !self.keep_windows && track.windows.len() >= LET_GO {
            track.windows.drain(..track.windows.len() - LOOK_BACK);
        }
        track.windows.push(window);
        if let Some(open) = self.open_tracks.get(&score.series) {
            self.flagged[*open].peak.rise(&window);
        }
    }

    fn turn(&mut self, anomaly: Anomaly) {
        let track = self.track_of.get(&anomaly.data.series()).copied();
        match anomaly.data.state {
            State::Firing => {
                let mut peak = Peak::of_finding(&anomaly);
                if let Some(track) = track {
                    let since = self.tracks[track].since(anomaly.data.since.as_millisecond());
                    for window in since {
                        peak.rise(window);
                    }
                    self.open_tracks.insert(track, self.flagged.len());
                }
                self.open.insert(anomaly.subject.clone(), self.flagged.len());
                self.flagged.push(Flagged { fired: anomaly, resolved: None, peak });
            }
            State::Resolved => {
                if let Some(track) = track {
                    self.open_tracks.remove(&track);
                }
                if let Some(open) = self.open.remove(&anomaly.subject) {
                    self.flagged[open].peak.end(&anomaly);
                    self.flagged[open].resolved = Some(anomaly);
                }
            }
        }
    }

    pub(super) fn finish(self, counters: EngineCounters, analytic: Option<AnalyticReport>) -> Judgement {
        Judgement { flagged: self.flagged, tracks: self.tracks, counters, analytic }
    }
}
