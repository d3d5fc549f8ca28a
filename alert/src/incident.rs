//! An incident: what people are told of, made of a finding by an Alert.

use jiff::Timestamp;
use kinetic_api::{
    anomaly::{AnalyticName, Finding},
    plan::AlertPlan,
    resources::topology::Direction,
    statistic::Statistic,
};
use serde::{Deserialize, Serialize};

use crate::group::Reason;

/// An incident, with all that people were told of it: what `kinetic incidents` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// A hash of the Alert and the finding that began it: the same in every life of the data folder.
    pub id: String,
    /// The customer whose series it is.
    pub customer: String,
    /// The Topology that holds the analytic.
    pub topology: String,
    /// The Alert that made it.
    pub alert: String,
    /// The analytic that found it.
    pub analytic: String,
    /// The series, as the finding's `subject` spells it.
    pub series: String,
    /// The metric.
    pub metric: String,
    /// Who sent the series; empty for a whole source.
    pub origin: String,
    /// Whether it fires.
    pub state: IncidentState,
    /// The start of the window in which it began.
    pub starts_at: Timestamp,
    /// The end of the window in which it was over.
    pub ends_at: Option<Timestamp>,
    /// Why nobody is told of it, if so.
    pub silence: Option<Silence>,
    /// What was found when it began.
    pub facts: Facts,
    /// What was found when it was over.
    pub resolution: Option<Facts>,
    /// The messages about it, oldest first, one entry for each recipient.
    pub notifications: Vec<NotificationState>,
}

/// Whether an incident fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IncidentState {
    /// It does.
    Firing,
    /// It is over.
    Resolved,
}

/// Why nobody is told of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Silence {
    /// It was found in windows that ended before the analytic became active.
    Warmup,
    /// The Alert was not active.
    Inactive,
    /// Its group holds [`crate::group::MAX_MEMBERS`] already.
    GroupFull,
}

impl Silence {
    /// As the store spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warmup => "warmup",
            Self::Inactive => "inactive",
            Self::GroupFull => "groupFull",
        }
    }

    /// The inverse of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Warmup, Self::Inactive, Self::GroupFull].into_iter().find(|silence| silence.as_str() == text)
    }
}

/// A message about an incident to one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationState {
    /// Why it was sent.
    pub reason: Reason,
    /// Its number within the group.
    pub sequence: u32,
    /// The receiver.
    pub receiver: String,
    /// The recipient's address.
    pub recipient: String,
    /// How far it got.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt met: the server's own text where it gave one.
    pub last_error: Option<String>,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// When it was delivered.
    pub sent_at: Option<Timestamp>,
}

/// How far a message to one recipient got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeliveryState {
    /// It is to be tried, or tried again.
    Waiting,
    /// It is being handed over; after a crash in this state it is sent again under the same Message-ID.
    Sending,
    /// The server has taken it.
    Sent,
    /// The server has refused it for good.
    Refused,
    /// It was not sent: its receiver is gone, or a later message tells the same.
    Dropped,
}

impl DeliveryState {
    /// As the store and metrics spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        }
    }

    /// The inverse of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Waiting, Self::Sending, Self::Sent, Self::Refused, Self::Dropped]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// What a finding says in numbers and words, without its windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The kind of the analytic.
    pub kind: AnalyticName,
    /// The Topology's source.
    pub source: String,
    /// The series' tags.
    pub tags: Vec<(String, String)>,
    /// What was looked at.
    pub statistic: Statistic,
    /// What was looked at, in words, where that is more than a statistic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// The value; absent for `absence`.
    pub value: Option<f64>,
    /// What was expected.
    pub expected: Option<f64>,
    /// The spread of what was expected.
    pub stddev: Option<f64>,
    /// How far off, in standard deviations; signed.
    pub deviation: Option<f64>,
    /// The line: standard deviations, the threshold's value, or seconds of silence.
    pub threshold: f64,
    /// Deviation ÷ threshold.
    pub score: f64,
    /// To which side.
    pub direction: Direction,
    /// How many feeds it was compared with.
    pub peers: Option<usize>,
    /// One sentence for people.
    pub explanation: String,
}

impl From<&Finding> for Facts {
    fn from(finding: &Finding) -> Self {
        Self {
            kind: finding.analytic_kind,
            source: finding.metrics_source.clone(),
            tags: finding.tags.clone(),
            statistic: finding.statistic,
            measure: finding.measure.clone(),
            value: finding.value,
            expected: finding.expected,
            stddev: finding.stddev,
            deviation: finding.deviation,
            threshold: finding.threshold,
            score: finding.score,
            direction: finding.direction,
            peers: finding.peers.as_ref().map(|peers| peers.count),
            explanation: finding.explanation.clone(),
        }
    }
}

/// Why nobody is told of an incident that this finding begins, if so.
#[must_use]
pub fn silence(plan: &AlertPlan, finding: &Finding) -> Option<Silence> {
    match finding.found {
        kinetic_api::anomaly::Found::Warmup => Some(Silence::Warmup),
        kinetic_api::anomaly::Found::Live => (!plan.active).then_some(Silence::Inactive),
    }
}
