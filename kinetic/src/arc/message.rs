//! What `kinetic arc` and an admin server say to each other over HTTP.

use kinetic_api::{control::Opcode, duration::Duration};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Where commands are posted.
pub(super) const CONTROL: &str = "/api/v1/control";
/// Where notices are read, one JSON object a line, without end.
pub(super) const NOTICES: &str = "/api/v1/config";

/// A command: the control message with what AMQP says beside its body. The answer is a [`Report`](super::ask::Report).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Posted {
    /// Whose analyzers; the only customer's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vhost: Option<String>,
    /// A Topology, or one of its analyzers; all of the vhost's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) controller: Option<String>,
    pub(super) opcode: Opcode,
    /// A map for `update`, a list of keys for `delete`.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub(super) body: Json,
    /// Who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
    /// How long to wait for answers.
    #[serde(default = "five_seconds")]
    pub(super) timeout: Duration,
    /// So many analyzers must answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expect: Option<usize>,
}

const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

/// Whose notices; the only customer's where absent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Whose {
    pub(super) vhost: Option<String>,
}
