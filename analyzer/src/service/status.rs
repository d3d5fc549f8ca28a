//! How an analyzer fares, for people and readiness probes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::engine::AnalyticReport;

/// How a source fares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceStatus {
    /// Whether it has read a tick back: the way to the broker and back stands.
    pub live: bool,
    /// The newest tick that was read back, in milliseconds since the epoch.
    pub last_tick_ms: Option<i64>,
    /// Samples taken so far.
    pub samples: u64,
    /// Series that are kept now.
    pub series: u64,
    /// Windows that were closed.
    pub windows: u64,
    /// Findings that fire now.
    pub firing: usize,
    /// The analytics that look at it.
    pub analytics: Vec<AnalyticReport>,
    /// What a person should know of, since the analyzer started.
    pub conditions: BTreeMap<ConditionType, Condition>,
}

/// What can have happened to a source that a person should know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// Messages left the stream before they were read.
    DataLost,
    /// The stream is not the one that was read before: it is read from its beginning.
    StreamMadeAnew,
    /// A checkpoint was of no use: the stream is read again.
    CheckpointSetAside,
    /// Checkpoints cannot be written: a restart reads the stream from an older one.
    CheckpointFailing,
}

impl ConditionType {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::DataLost, Self::StreamMadeAnew, Self::CheckpointSetAside, Self::CheckpointFailing];

    /// The name in conditions and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DataLost => "DataLost",
            Self::StreamMadeAnew => "StreamMadeAnew",
            Self::CheckpointSetAside => "CheckpointSetAside",
            Self::CheckpointFailing => "CheckpointFailing",
        }
    }
}

/// Since when a condition holds, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// When it came about last.
    pub since: Timestamp,
    /// What happened, for people.
    pub message: String,
}

/// A view of all sources of an analyzer.
#[derive(Clone, Debug)]
pub struct Status(StatusBoard);

impl Status {
    /// The sources by name, as they stand.
    #[must_use]
    pub fn sources(&self) -> BTreeMap<String, SourceStatus> {
        self.0.lock().sources.clone()
    }

    /// Whether it waits for another analyzer of the same partition to end: then it does nothing else.
    #[must_use]
    pub fn standby(&self) -> bool {
        self.0.lock().standby
    }

    /// How many keys of the configuration object are overridden by control messages.
    #[must_use]
    pub fn overridden(&self) -> usize {
        self.0.lock().overridden
    }
}

/// Where the tasks of an analyzer write how they fare.
#[derive(Clone, Debug, Default)]
pub(super) struct StatusBoard(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    sources: BTreeMap<String, SourceStatus>,
    standby: bool,
    overridden: usize,
}

impl StatusBoard {
    pub(super) fn reader(&self) -> Status {
        Status(self.clone())
    }

    pub(super) fn set(&self, source: &str, status: SourceStatus) {
        self.lock().sources.insert(source.to_owned(), status);
    }

    pub(super) fn remove(&self, source: &str) {
        self.lock().sources.remove(source);
    }

    /// Stands by, or works. No source is known yet either way.
    pub(super) fn stand_by(&self, standby: bool) {
        *self.lock() = Board { standby, ..Board::default() };
    }

    pub(super) fn set_overridden(&self, keys: usize) {
        self.lock().overridden = keys;
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
