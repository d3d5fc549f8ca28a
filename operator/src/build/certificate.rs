//! A certificate that cert-manager is asked for, and what it says of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinetic_api::duration::Duration as Span;
use kinetic_pki::{Subject, TrustDomain};
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{config::IssuerRef, leaf::Wanted};

/// As much of a `Certificate` as is asked for (<https://cert-manager.io/docs/reference/api-docs/#cert-manager.io/v1.CertificateSpec>).
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "cert-manager.io",
    version = "v1",
    kind = "Certificate",
    namespaced,
    schema = "disabled",
    status = "CertificateStatus"
)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    /// Where it goes.
    pub secret_name: String,
    /// What else the rest is, as cert-manager spells it.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What cert-manager says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// `Ready`, and `Issuing` while it is.
    #[serde(default)]
    pub conditions: Vec<Said>,
}

/// A condition of cert-manager's, whose fields may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// What of.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// A sentence.
    #[serde(default)]
    pub message: String,
}

/// The `Certificate`. Its Secret has the same name and labels.
#[must_use]
pub fn certificate(
    metadata: ObjectMeta,
    wanted: &Wanted,
    trust_domain: &TrustDomain,
    issuer: &IssuerRef,
) -> Certificate {
    let identity = wanted.subject.clone().within(trust_domain.clone()).to_string();
    let mut usages = vec!["digital signature", "client auth"];
    if wanted.subject == Subject::Redirector {
        usages.push("server auth");
    }
    let seconds = |duration: std::time::Duration| Span::from_secs(duration.as_secs()).to_string();
    let rest = json!({
        "secretTemplate": {"labels": metadata.labels},
        "issuerRef": {"name": issuer.name, "kind": issuer.kind, "group": issuer.group},
        "uris": [identity],
        "dnsNames": wanted.dns,
        "duration": seconds(wanted.lifetime),
        "renewBefore": seconds(wanted.renew_before),
        "privateKey": {"algorithm": "ECDSA", "size": 256, "encoding": "PKCS8", "rotationPolicy": "Always"},
        "usages": usages,
    });
    let spec = CertificateSpec {
        secret_name: metadata.name.clone().unwrap_or_default(),
        rest: rest.as_object().cloned().unwrap_or_default(),
    };
    Certificate { metadata, spec, status: None }
}
