//! An analytic's finding: a `CloudEvents` 1.0 event of type [`TYPE`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{names, resources::topology::Direction, series::SeriesName, statistic::Statistic};

/// The `type` of the event.
pub const TYPE: &str = "dev.kinetic.anomaly.v1";
/// The version of `CloudEvents` that the event follows.
pub const SPEC_VERSION: &str = "1.0";
/// How many windows of history a finding carries at most.
pub const HISTORY_WINDOWS: usize = 60;

/// A finding, as `CloudEvents` 1.0 in JSON's structured mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Always [`SPEC_VERSION`].
    pub specversion: String,
    /// Always [`TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// `/customers/{customer}/topologies/{topology}/analytics/{analytic}`.
    pub source: String,
    /// The series, as [`SeriesName`] displays it.
    pub subject: String,
    /// The end of the window that made the state change.
    pub time: Timestamp,
    /// The same finding always has the same id: see [`id`].
    pub id: String,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// What was found.
    pub data: Finding,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The customer whose series it is.
    pub customer: String,
    /// The topology that holds the analytic.
    pub topology: String,
    /// The analytic.
    pub analytic: String,
    /// The kind of the analytic.
    pub analytic_kind: AnalyticName,
    /// The topology's source that the series came from.
    pub metrics_source: String,
    /// The profiles that feed the source; empty for all.
    pub profiles: Vec<String>,
    /// The metric, without its origin.
    pub metric: String,
    /// Who sent the series; empty for a finding about a whole source.
    pub origin: String,
    /// The series' tags.
    pub tags: Vec<(String, String)>,
    /// What was looked at; of a ratio, the statistic of what is divided.
    pub statistic: Statistic,
    /// What was looked at, in words, where that is more than a statistic: `sum of page.errors ÷ sum of page.requests`,
    /// `change of mean per second`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// The window's length in milliseconds.
    pub interval_ms: i64,
    /// The value in the window; absent for `absence`.
    pub value: Option<f64>,
    /// What peers, or the past, or the threshold led to expect.
    pub expected: Option<f64>,
    /// The spread of what was expected, floor applied.
    pub stddev: Option<f64>,
    /// How far off, in standard deviations of a normal distribution of the same tail probability; signed.
    pub deviation: Option<f64>,
    /// The line: standard deviations, or the threshold's value, or seconds of silence.
    pub threshold: f64,
    /// Deviation ÷ threshold: 1.0 is the line.
    pub score: f64,
    /// To which side it strayed.
    pub direction: Direction,
    /// Whether it begins or ends.
    pub state: State,
    /// The start of the window in which it began to fire.
    pub since: Timestamp,
    /// The feeds that it was compared with; for `cluster`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<Peers>,
    /// The last windows, oldest first, [`HISTORY_WINDOWS`] at most.
    pub history: Vec<HistoryWindow>,
    /// Whether it was found in live data or while the retained stream was read.
    pub found: Found,
    /// One sentence for people.
    pub explanation: String,
}

/// The kinds of analytic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnalyticName {
    /// One feed against its peers.
    Cluster,
    /// A series against its own past.
    Stddev,
    /// A series against a number.
    Threshold,
    /// A series, or a source, that has gone silent.
    Absence,
}

/// Whether a finding begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It began to fire.
    Firing,
    /// It is over.
    Resolved,
}

impl State {
    /// As the JSON spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// Where a finding was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// In a window that ended after the analytic became active: people are told.
    Live,
    /// In a window that ended before: it is history, never mailed.
    Warmup,
}

/// The feeds that a feed was compared with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peers {
    /// How many there were in the window.
    pub count: usize,
    /// The origins, sorted, [`PEER_NAMES`] at most.
    pub origins: Vec<String>,
    /// The last windows of some of them, [`PEER_LINES`] at most, each parallel to [`Finding::history`].
    pub lines: Vec<PeerLine>,
}

/// How many peers a finding names at most.
pub const PEER_NAMES: usize = 50;
/// How many peers' values a finding carries at most.
pub const PEER_LINES: usize = 12;

/// The last windows of one peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerLine {
    /// Who it is.
    pub origin: String,
    /// Its values, parallel to [`Finding::history`]; `None` where it sent nothing.
    pub values: Vec<Option<f64>>,
}

/// One window of a series and of the band that it was held against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryWindow {
    /// The end of the window.
    pub time: Timestamp,
    /// The series' value; `None` where there was none.
    pub value: Option<f64>,
    /// The band's middle; `None` where nothing was expected yet.
    pub expected: Option<f64>,
    /// The value at which the band ends below.
    pub lower: Option<f64>,
    /// The value at which the band ends above.
    pub upper: Option<f64>,
}

impl Anomaly {
    /// The event around a finding about the window that ended at `time`.
    #[must_use]
    pub fn new(time: Timestamp, data: Finding) -> Self {
        let source = names::analytic(&data.customer, &data.topology, &data.analytic);
        let subject = data.series().to_string();
        let id = id(&source, &subject, time, data.state);
        Self {
            specversion: SPEC_VERSION.into(),
            kind: TYPE.into(),
            source,
            subject,
            time,
            id,
            datacontenttype: "application/json".into(),
            data,
        }
    }
}

impl Finding {
    /// What was looked at, in words: the measure, or the statistic where that is all.
    #[must_use]
    pub fn measured(&self) -> &str {
        self.measure.as_deref().unwrap_or(self.statistic.as_str())
    }

    /// The series that it is about.
    #[must_use]
    pub fn series(&self) -> SeriesName {
        SeriesName { metric: self.metric.clone(), tags: self.tags.clone(), origin: self.origin.clone() }
    }
}

/// The id of a finding: the first 128 bits of SHA-256 over source, series, window and state, in hexadecimal. Length prefixes keep
/// neighbours from running into each other.
#[must_use]
pub fn id(source: &str, subject: &str, time: Timestamp, state: State) -> String {
    let mut hash = Sha256::new();
    for part in [source, subject, &time.as_millisecond().to_string(), state.as_str()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(&hash.finalize()[..16])
}
