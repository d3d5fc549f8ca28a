//! An alert: which findings become incidents, and who is told.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{condition::Condition, customer::SecretKeyRef, name::Name};
use crate::{address::URL, duration::Duration};

/// Which findings become incidents, and who is told.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "kinetic.dev",
    version = "v1alpha1",
    kind = "Alert",
    namespaced,
    shortname = "kalert",
    category = "kinetic",
    status = "AlertStatus",
    derive = "PartialEq",
    cel,
    doc = "Which findings of a Topology become incidents, and who is told of them.",
    printcolumn(name = "Topology", type_ = "string", json_path = ".spec.topology"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = ("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 40", "metadata.name must be a DNS label of at most 40 characters")
)]
#[serde(rename_all = "camelCase")]
pub struct AlertSpec {
    /// The Topology whose findings these are.
    #[x_kube(validation = ("self == oldSelf", "topology is immutable: create another Alert instead"))]
    pub topology: Name,
    /// Which findings; all of the Topology's where absent.
    #[serde(rename = "match", default)]
    pub matches: AlertMatch,
    /// Whether anybody is told. An inactive alert keeps the history only.
    #[serde(default = "yes")]
    pub active: bool,
    /// What makes incidents one group, told of in one message: `analytic`, `metric`, `origin`, `source`, or `tag:` and a tag's key.
    #[schemars(
        length(max = 10),
        inner(length(min = 1, max = 100), regex(pattern = "^(analytic|metric|origin|source|tag:.+)$"))
    )]
    #[serde(default = "analytic_and_metric")]
    pub group_by: Vec<String>,
    /// How long the first message about a group waits for more.
    #[serde(default = "thirty_seconds")]
    pub group_wait: Duration,
    /// How long at least until the next message about a group that has changed.
    #[serde(default = "five_minutes")]
    pub group_interval: Duration,
    /// How long until a group that still fires is told of again.
    #[serde(default = "four_hours")]
    pub repeat_interval: Duration,
    /// Whether people are told when it is over.
    #[serde(default = "yes")]
    pub send_resolved: bool,
    /// When nobody is told.
    #[schemars(length(max = 20))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mute: Vec<Mute>,
    /// Who is told.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(min = 1, max = 20))]
    pub receivers: Vec<Receiver>,
}

const fn yes() -> bool {
    true
}

fn analytic_and_metric() -> Vec<String> {
    vec!["analytic".into(), "metric".into()]
}

const fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

const fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

const fn four_hours() -> Duration {
    Duration::from_secs(14_400)
}

/// Which findings an alert is about: all conditions that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AlertMatch {
    /// Of these analytics.
    #[schemars(length(max = 100))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub analytics: Vec<Name>,
    /// Of these sources.
    #[schemars(length(max = 20))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Name>,
    /// From sources that these profiles feed.
    #[schemars(length(max = 50))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<Name>,
    /// About origins that fit one of these globs.
    #[schemars(length(max = 100), inner(length(min = 1, max = 253)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// With at least this score (1.0 is the analytic's own line).
    #[schemars(range(min = 0.0, max = 1000.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_score: Option<f64>,
}

/// A span of the week in which nobody is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mute {
    /// The time zone's name, such as `Europe/Berlin`.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z][-+_/A-Za-z0-9]*$"))]
    pub time_zone: String,
    /// On these days; every day where absent.
    #[schemars(length(max = 7))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<Weekday>,
    /// In these spans, such as `22:00-24:00`; all day where absent.
    #[schemars(
        length(max = 10),
        inner(
            length(max = 11),
            regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")
        )
    )]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<String>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Somebody, or something, that is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("(has(self.email) ? 1 : 0) + (has(self.webhook) ? 1 : 0) + (has(self.alertmanager) ? 1 : 0) == 1", "exactly one of email, webhook, alertmanager must be set"))]
#[serde(rename_all = "camelCase")]
pub struct Receiver {
    /// The receiver's name.
    pub name: Name,
    /// By mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// By HTTP, signed as Standard Webhooks says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// By an Alertmanager's `/api/v2/alerts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<Alertmanager>,
}

/// A mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("self.to.all(a, a.matches('^[^@]+@[^@]+$'))", "email.to: every address must be written as user@host"))]
#[serde(rename_all = "camelCase")]
pub struct Email {
    /// The recipients' addresses.
    #[schemars(length(min = 1, max = 50), inner(length(min = 3, max = 254)))]
    pub to: Vec<String>,
    /// The subject, as a Jinja template; Kinetic's own where absent.
    #[schemars(length(max = 1000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_template: Option<String>,
    /// The text, as a Jinja template; Kinetic's own where absent.
    #[schemars(length(max = 20_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_template: Option<String>,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Where messages are posted to.
    #[schemars(length(min = 1, max = 2000), regex(pattern = URL))]
    pub url: String,
    /// Where the receiver says that it is alive.
    #[schemars(length(max = 2000), regex(pattern = URL))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness_url: Option<String>,
    /// The key that messages are signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret_ref: Option<SecretKeyRef>,
    /// What becomes of a message that cannot be delivered.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// For how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Duration>,
}

/// What becomes of a message that cannot be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// It is tried again.
    #[default]
    Retry,
    /// It is set aside for a person.
    SetAside,
}

/// An Alertmanager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alertmanager {
    /// Its base address.
    #[schemars(length(min = 1, max = 2000), regex(pattern = URL))]
    pub url: String,
}

/// What is known of an Alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    /// Whether something fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AlertState>,
    /// `Ready`, `Delivering`.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 20))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Whether something fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AlertState {
    /// At least one incident is open.
    Firing,
    /// None is.
    Quiet,
    /// The alert is switched off.
    Inactive,
}
