//! What an analyzer tells of the series that it sees: is my metric arriving, under which name, with what values?

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::statistic::Statistic;

/// Series that were asked for: the answer to `GET /api/v1/series`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedPage {
    /// So many series match; more than there are in `series` where the limit was reached.
    pub total: usize,
    /// They, by customer, Topology, source, metric and origin.
    pub series: Vec<Observed>,
    /// Sources that did not answer in time, as `customer/topology/source`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<String>,
}

/// A series that a source has seen samples of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// Whose it is.
    pub customer: String,
    /// The Topology that reads it.
    pub topology: String,
    /// The source that it came by.
    pub source: String,
    /// Metric, tags and origin in one, as findings show them: `metric{tag=value,…}@origin`.
    pub name: String,
    /// The metric, such as `page.checkout.time`.
    pub metric: String,
    /// The tags, sorted by key.
    pub tags: Vec<(String, String)>,
    /// Who sent it.
    pub origin: String,
    /// What its samples are: `counter`, `gauge`, `timer`, `histogram`, `distribution` or `set`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The analytics that look at it. Where there are none, its samples are counted and forgotten.
    pub analytics: Vec<String>,
    /// When the newest window that it had a sample in began.
    pub last_seen: Option<Timestamp>,
    /// Its last windows, oldest first: the last one that was closed, and those that still wait for samples.
    pub windows: Vec<ObservedWindow>,
}

/// A series in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedWindow {
    /// When it began.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// Whether it still takes samples. Of a closed one only what analytics look at is kept, in single precision.
    pub open: bool,
    /// Its numbers, as far as they are kept.
    pub statistics: BTreeMap<Statistic, f64>,
}
