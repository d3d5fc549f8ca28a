//! How an analyzer fares, for people and readiness probes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::engine::AnalyticReport;

/// How a source fares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceStatus {
    /// Whether it has read a tick back: the way to the broker and back stands.
    pub live: bool,
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
}

/// A view of all sources of an analyzer.
#[derive(Clone, Debug)]
pub struct Status(StatusBoard);

impl Status {
    /// The sources by name, as they stand.
    #[must_use]
    pub fn sources(&self) -> BTreeMap<String, SourceStatus> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where the tasks of an analyzer write how they fare.
#[derive(Clone, Debug, Default)]
pub(super) struct StatusBoard(Arc<Mutex<BTreeMap<String, SourceStatus>>>);

impl StatusBoard {
    pub(super) fn reader(&self) -> Status {
        Status(self.clone())
    }

    pub(super) fn set(&self, source: &str, status: SourceStatus) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), status);
    }

    pub(super) fn remove(&self, source: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(source);
    }
}
