//! The Secrets that the alert service has mounted: its certificate, and the keys that Alerts name, copied into one.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::{client_secret::tls, labels};
use crate::leaf::Pair;

/// The name of the Secret with keys.
pub const NAME: &str = "kinetic-alert-keys";
/// The name of the one with the certificate.
pub const CERTIFICATE: &str = "kinetic-alert-tls";
const COMPONENT: &str = "alert";

/// What the alert service comes to front doors with.
#[must_use]
pub fn certificate(namespace: &str, pair: &Pair, trust: &str) -> Secret {
    Secret {
        metadata: labels::unowned(CERTIFICATE.to_owned(), namespace, COMPONENT, CERTIFICATE),
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(tls(pair, trust)),
        ..Secret::default()
    }
}

/// Where a key of a Secret lies in it: `shops.hook-secret.key`. No namespace holds a dot, so no two share an entry unless they are the same.
#[must_use]
pub fn entry(namespace: &str, secret: &str, key: &str) -> String {
    format!("{namespace}.{secret}.{key}")
}

/// The Secret with keys.
#[must_use]
pub fn alert_keys(namespace: &str, keys: BTreeMap<String, ByteString>) -> Secret {
    Secret {
        metadata: labels::unowned(NAME.to_owned(), namespace, COMPONENT, NAME),
        data: Some(keys),
        ..Secret::default()
    }
}
