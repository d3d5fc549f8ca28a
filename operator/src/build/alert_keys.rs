//! The keys that Alerts name, copied into the one Secret that the alert service has mounted.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::labels;

/// The Secret's name.
pub const NAME: &str = "kinetic-alert-keys";

/// Where a key of a Secret lies in it: `shops.hook-secret.key`. No namespace holds a dot, so no two share an entry unless they are the same.
#[must_use]
pub fn entry(namespace: &str, secret: &str, key: &str) -> String {
    format!("{namespace}.{secret}.{key}")
}

/// The Secret.
#[must_use]
pub fn alert_keys(namespace: &str, keys: BTreeMap<String, ByteString>) -> Secret {
    Secret {
        metadata: labels::unowned(NAME.to_owned(), namespace, "alert", NAME),
        data: Some(keys),
        ..Secret::default()
    }
}
