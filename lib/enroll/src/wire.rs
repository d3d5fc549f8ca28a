//! What goes over HTTP, as JSON.

use kinetic_api::resources::{
    Enrollment,
    enrollment::{EnrollmentState, EnrollmentStatus},
};
use serde::{Deserialize, Serialize};

/// Where front doors take requests on Kubernetes.
pub const PORT: u16 = 8443;
/// Where requests are posted; below it, under its id, what became of one. With a GET, all of them.
pub const ENROLLMENTS: &str = "/v1/enrollments";
/// Where a machine renews its certificate, over mutual TLS.
pub const RENEWALS: &str = "/v1/renewals";
/// The authorities to trust.
pub const TRUST: &str = "/v1/trust";

/// A token holder's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The Customer.
    pub customer: String,
    /// The client class.
    pub client: String,
    /// The machine.
    pub name: String,
    /// The certificate signing request, in PEM.
    pub csr: String,
}

/// A renewal: who asks says the certificate of the connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// The certificate signing request, in PEM.
    pub csr: String,
    /// For a new key, the current key's word for it: see [`kinetic_api::resources::enrollment::Renewal`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// What it is called.
    pub id: String,
    /// How far it is.
    pub state: EnrollmentState,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The key's fingerprint, for comparison.
    pub key_fingerprint: String,
    /// The certificate, once there is one, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Its serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// With the certificate: the authorities to trust, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
}

impl Answer {
    /// What its holder is told of a request.
    #[must_use]
    pub fn of(enrollment: &Enrollment, trust: Option<String>) -> Self {
        let EnrollmentStatus { state, reason, certificate, serial, not_after, .. } =
            enrollment.status.clone().unwrap_or_default();
        Self {
            id: enrollment.metadata.name.clone().unwrap_or_default(),
            state,
            reason,
            key_fingerprint: enrollment.spec.key_fingerprint.clone(),
            trust: trust.filter(|_| certificate.is_some()),
            certificate,
            serial,
            not_after,
        }
    }
}

/// What a person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

/// A person's word about a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// Yes or no.
    pub verdict: Verdict,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What went wrong (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What sort of problem, as a URI.
    #[serde(rename = "type")]
    pub kind: String,
    /// What sort of problem, in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here, and what to do.
    pub detail: String,
}
