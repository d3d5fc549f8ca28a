//! A machine's request for a certificate, and what became of it.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::Name;

/// What a machine asks for: written once, by who takes requests in.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "kinetic.dev",
    version = "v1alpha1",
    kind = "Enrollment",
    namespaced,
    shortname = "kenroll",
    category = "kinetic",
    status = "EnrollmentStatus",
    derive = "PartialEq",
    cel,
    doc = "A machine's request for a certificate: the front door takes it in, a person or the Customer's list decides, the signer issues.",
    printcolumn(name = "Customer", type_ = "string", json_path = ".spec.customer"),
    printcolumn(name = "Client", type_ = "string", json_path = ".spec.client"),
    printcolumn(name = "Machine", type_ = "string", json_path = ".spec.name"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", priority = 1),
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.address", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = ("self.spec == oldSelf.spec", "spec is immutable: a request is decided as it was made")
)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentSpec {
    /// The Customer that the machine says it belongs to.
    pub customer: Name,
    /// The class of machines that it says it is of.
    pub client: Name,
    /// The machine's name, a DNS name in lower case.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The certificate signing request, in PEM. Only its key is used.
    #[schemars(length(min = 1, max = 16384))]
    pub csr: String,
    /// `sha256:` and the SHA-256 of the key's `SubjectPublicKeyInfo`, to be compared by a person.
    #[schemars(length(min = 71, max = 71))]
    pub key_fingerprint: String,
    /// The address that the request came from.
    #[schemars(length(max = 64))]
    pub address: String,
    /// When it came (RFC 3339).
    #[schemars(length(max = 40))]
    pub requested_at: String,
    /// Which enrolment token was shown (its id, never the token); none for a renewal.
    #[schemars(length(max = 40))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The certificate that is renewed; none where a token was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
}

/// Proof that a request is made by who holds a current certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Renewal {
    /// The current certificate, in PEM.
    #[schemars(length(min = 1, max = 16384))]
    pub certificate: String,
    /// The current key's signature (ECDSA on P-256 with SHA-256, ASN.1, base64) of the `SubjectPublicKeyInfo` of a new key; absent where
    /// the key stays.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentStatus {
    /// How far it is.
    #[serde(default)]
    pub state: EnrollmentState,
    /// Why, in a sentence.
    #[schemars(length(max = 500))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who decided: a person's name or identity, or `allow-list`, `deny-list`, `policy`, `renewal`.
    #[schemars(length(max = 500))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// When it was decided (RFC 3339).
    #[schemars(length(max = 40))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
    /// The certificate, in PEM.
    #[schemars(length(max = 16384))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The certificate's serial number, in hexadecimal.
    #[schemars(length(max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// When the certificate ends (RFC 3339).
    #[schemars(length(max = 40))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum EnrollmentState {
    /// Nobody has decided.
    #[default]
    Pending,
    /// A person said yes; the signer has not signed yet.
    Approved,
    /// Refused.
    Denied,
    /// The certificate is there.
    Issued,
    /// Nobody decided in time.
    Expired,
}

impl EnrollmentState {
    /// The word that the resource spells it by.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Approved => "Approved",
            Self::Denied => "Denied",
            Self::Issued => "Issued",
            Self::Expired => "Expired",
        }
    }
}

impl Enrollment {
    /// How far it is; what nobody has looked at is pending.
    #[must_use]
    pub fn state(&self) -> EnrollmentState {
        self.status.as_ref().map(|status| status.state).unwrap_or_default()
    }
}
