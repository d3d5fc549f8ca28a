//! A certificate's Secret.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::leaf::Pair;

/// The Secret: `tls.crt`, `tls.key`, whom to trust in `ca.crt`, as cert-manager spells them too, and files to lie beside them.
#[must_use]
pub fn leaf_secret(
    metadata: ObjectMeta,
    pair: &Pair,
    trust: &str,
    files: BTreeMap<String, String>,
) -> Secret {
    let mut data = tls(pair, trust);
    data.extend(files.into_iter().map(|(file, text)| (file, ByteString(text.into_bytes()))));
    Secret { metadata, type_: Some("kubernetes.io/tls".to_owned()), data: Some(data), ..Secret::default() }
}

/// A certificate, its key and whom to trust.
#[must_use]
pub fn tls(pair: &Pair, trust: &str) -> BTreeMap<String, ByteString> {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    [("tls.crt", &*pair.certificate), ("tls.key", &*pair.key), ("ca.crt", trust)]
        .map(|(key, text)| (key.to_owned(), bytes(text)))
        .into()
}
