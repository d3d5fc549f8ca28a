//! A customer: a vhost of its own, the machines that may send to it, and its limits.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{condition::Condition, name::Name};
use crate::{address::PATTERN as ADDRESS, duration::Duration, names, quantity::Bytes};

/// Whose metrics these are: a tenant with a vhost of its own.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "kinetic.dev",
    version = "v1alpha1",
    kind = "Customer",
    namespaced,
    shortname = "kcust",
    category = "kinetic",
    status = "CustomerStatus",
    derive = "PartialEq",
    cel,
    doc = "A customer: a vhost of its own, the classes of machines that may send to it, and its limits.",
    printcolumn(name = "Vhost", type_ = "string", json_path = ".status.vhost"),
    printcolumn(name = "Broker", type_ = "string", json_path = ".status.broker"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = ("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 40", "metadata.name must be a DNS label of at most 40 characters: it becomes a part of the vhost's name")
)]
#[x_kube(validation = ("!has(self.enrollment) || !has(self.enrollment.allow) || self.enrollment.allow.all(m, has(self.clients) && self.clients.exists(c, c.name == m.client))", "enrollment.allow: every client must be the name of one of spec.clients"))]
#[serde(rename_all = "camelCase")]
pub struct CustomerSpec {
    /// The name that people see; the resource's name where absent.
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Where the customer's metrics live, such as `us-west`. The first part of the vhost's name.
    #[x_kube(validation = ("self == oldSelf", "region is immutable: create another Customer instead"))]
    pub region: Name,
    /// Who runs that place, such as `aws`. The second part of the vhost's name.
    #[x_kube(validation = ("self == oldSelf", "provider is immutable: create another Customer instead"))]
    pub provider: Name,
    /// Mail addresses of the people who answer for this customer.
    #[schemars(length(max = 20), inner(length(min = 3, max = 254), regex(pattern = ADDRESS)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// What the customer may use at most.
    #[serde(default)]
    pub limits: Limits,
    /// The classes of machines that send.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<Client>,
    /// Machines that make their own key and ask for a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment: Option<Enrollment>,
    /// Certificates that are no longer accepted.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["serial".into()]))]
    #[schemars(length(max = 1000))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<Revocation>,
    /// What becomes of the vhost and its data when the Customer is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// What a customer may use at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Connections at a time.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: u32,
    /// Series that are kept; further ones are counted and dropped.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub series: u32,
    /// Messages a second, by back-pressure.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub messages_per_second: u32,
    /// Topologies.
    #[schemars(range(min = 1, max = 1000))]
    pub topologies: u32,
    /// Bytes that all streams together may retain.
    pub retention: Bytes,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 200,
            series: 100_000,
            messages_per_second: 20_000,
            topologies: 20,
            retention: Bytes::new(20 << 30),
        }
    }
}

/// A class of machines that send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// The class's name.
    pub name: Name,
    /// The label that its messages carry.
    pub profile: Name,
    /// Its shared certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// A key for clients that cannot do certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
}

/// How long a certificate lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("duration(self.renewBefore) < duration(self.lifetime)", "renewBefore must be shorter than lifetime"))]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// From issue to expiry.
    pub lifetime: Duration,
    /// How long before its expiry it is renewed.
    pub renew_before: Duration,
}

/// A key for clients that cannot do certificates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Where the key lies.
    pub secret_ref: SecretKeyRef,
}

/// A key of a Secret in the resource's namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// Machines that make their own key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Enrollment {
    /// Who decides about a request.
    #[serde(default)]
    pub policy: EnrollmentPolicy,
    /// The machines that a token holder gets without a person, under `AllowList`.
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Machines>,
    /// Machines that are kept out, whatever certificate they hold: open connections are ended, requests refused.
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Machines>,
}

/// Who decides about an enrolment request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EnrollmentPolicy {
    /// A person, always.
    #[default]
    Manual,
    /// The list; a person for what is not on it.
    AllowList,
    /// Nobody: every request is refused.
    Deny,
}

/// Machines of a client class, by their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Machines {
    /// The class.
    pub client: Name,
    /// Names, as globs (`web-*.acme.example`) or regular expressions (`re:db[0-9]{1,4}`) of the whole name.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 253)))]
    pub names: Vec<String>,
}

/// A certificate that is no longer accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// The certificate's serial number, in hexadecimal.
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^([sS]erial=)?(0[xX])?[0-9a-fA-F][0-9a-fA-F: ]*$")
    )]
    pub serial: String,
    /// Why.
    #[schemars(length(max = 200))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What becomes of a deleted Customer's vhost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It stays, and stays owned.
    #[default]
    Retain,
    /// It is deleted with all its data.
    Delete,
}

/// What is known of a Customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomerStatus {
    /// The customer's vhost.
    #[schemars(length(max = 122))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<String>,
    /// The broker cluster that holds it.
    #[schemars(length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<String>,
    /// Where clients connect.
    #[schemars(length(max = 2000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The client classes: their certificates, and whether they are connected.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<ClientStatus>,
    /// `Ready`, `BrokerReady`, `CertificatesReady`.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 20))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A client class: its certificate, where it has one, and whether it is connected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientStatus {
    /// The class.
    #[schemars(length(max = 40))]
    pub name: String,
    /// The Secret that holds the certificate.
    #[schemars(length(max = 253))]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret_name: String,
    /// Its serial number, in hexadecimal.
    #[schemars(length(max = 64))]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub serial: String,
    /// When it expires (RFC 3339).
    #[schemars(length(max = 40))]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub not_after: String,
    /// Whether any client of the class, by whatever certificate or key, is connected to a front door. Absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ClientState>,
}

/// Whether clients of a class are connected, as far as the last minutes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ClientState {
    /// At least one was, within the last minute.
    Connected,
    /// All front doors have told, and none had one for a minute.
    Absent,
}

impl Customer {
    /// The customer's vhost: `{region}.{provider}.{name}`.
    #[must_use]
    pub fn vhost(&self) -> String {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        names::vhost(&self.spec.region, &self.spec.provider, name)
    }
}
