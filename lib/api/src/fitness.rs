//! How analyzers, Alerts and clients fare, as it is told on admin addresses: what the operator puts into the status of resources, and people ask for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::resources::topology::AnalyticState;

/// The answer to `GET /api/v1/analyzers`: those of the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Analyzers {
    /// By customer, Topology and partition.
    pub analyzers: Vec<AnalyzerFitness>,
}

/// One partition of a Topology's analyzer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalyzerFitness {
    /// Whose it is.
    pub customer: String,
    /// The Topology.
    pub topology: String,
    /// Which of the analyzers that share its streams, from 0, …
    pub partition: u8,
    /// … of how many.
    pub partitions: u8,
    /// Whether another one is at work on this partition, and this one waits.
    pub standby: bool,
    /// Kinetic's version.
    pub version: String,
    /// By name.
    pub sources: Vec<SourceFitness>,
}

/// A stream that an analyzer reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceFitness {
    /// The source.
    pub name: String,
    /// The newest tick that was read back: so far has it read. Until there is one, the way to the broker and back does not stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_tick: Option<Timestamp>,
    /// Samples taken since the analyzer's start.
    pub samples: u64,
    /// Series that are kept now.
    pub series: u64,
    /// Findings that fire now.
    pub firing: usize,
    /// The analytics that look at it.
    pub analytics: Vec<AnalyticFitness>,
    /// What a person should know of, since the analyzer's start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<SourceCondition>,
}

/// Whether an analytic can say anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalyticFitness {
    /// The analytic.
    pub name: String,
    /// Whether it can.
    pub state: AnalyticState,
    /// Why not, or not of all series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to `GET /api/v1/alerts`: how the alert service's Alerts fare.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alerts {
    /// Those of which there is something to tell, by customer and name.
    pub alerts: Vec<AlertFitness>,
}

/// How an Alert fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertFitness {
    /// Whose it is.
    pub customer: String,
    /// The Alert.
    pub alert: String,
    /// Incidents that are open.
    pub firing: u64,
    /// Messages that were tried in vain and are tried again, …
    pub failing: u64,
    /// … and why the last of them was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The answer to `GET /api/v1/clients`: who is connected to a front door now. No more than the status of Customers says: which machines these are, from where
/// they come and how much they send is the registry's to tell ([`crate::registry`]), to whoever shows a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clients {
    /// By customer: the classes of clients that have a connection.
    pub customers: BTreeMap<String, BTreeSet<String>>,
}

/// Something that happened to a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceCondition {
    /// Such as `DataLost`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it came about last.
    pub since: Timestamp,
    /// What happened, for people.
    pub message: String,
}
