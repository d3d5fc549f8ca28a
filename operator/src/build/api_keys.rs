//! The hashes of API keys, in a Secret that a placement's front door has mounted. The keys themselves stay where they are.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kinetic_api::resources::customer::SecretKeyRef;
use sha2::{Digest, Sha256};

use super::{labels, redirector::COMPONENT};
use crate::config::{Config, Placement};

/// A shorter key could be guessed by its hash, and over the wire.
const SHORTEST: usize = 24;

/// What the Secret is called.
#[must_use]
pub fn name(placement: &Placement) -> String {
    format!("{}-keys", placement.redirector_name())
}

/// The Secret: `CUSTOMER.CLIENT` by client, as the front door's `apiKeys` takes it.
#[must_use]
pub fn api_keys(config: &Config, placement: &Placement, hashes: BTreeMap<String, String>) -> Secret {
    let bytes = |(client, hash): (String, String)| (client, ByteString(hash.into_bytes()));
    Secret {
        metadata: labels::unowned(
            name(placement),
            &config.namespace,
            COMPONENT,
            &placement.redirector_name(),
        ),
        data: Some(hashes.into_iter().map(bytes).collect()),
        ..Secret::default()
    }
}

/// Where a client's hash lies in it. Neither name holds a dot.
#[must_use]
pub fn entry(customer: &str, client: &str) -> String {
    format!("{customer}.{client}")
}

/// A key's hash; or why there is none, and what to do.
pub fn hash(at: &SecretKeyRef, data: Option<&BTreeMap<String, ByteString>>) -> Result<String, String> {
    let SecretKeyRef { name, key } = at;
    let Some(value) = data.and_then(|data| data.get(key)) else {
        return Err(format!(
            "there is no key {key} in a Secret {name} of this namespace: `kubectl create secret generic {name} --from-literal={key}=\"$(openssl rand -hex 32)\"`, and it is taken up"
        ));
    };
    // What was written by an editor ends with a line's end.
    let value = value.0.trim_ascii_end();
    if value.len() < SHORTEST {
        return Err(format!(
            "the key {key} in the Secret {name} has {} characters, and must have {SHORTEST} at least: `openssl rand -hex 32` makes one",
            value.len()
        ));
    }
    Ok(format!("sha256:{}", hex::encode(Sha256::digest(value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_hash_alone() {
        let at = SecretKeyRef { name: "keys".into(), key: "old".into() };
        let data = |text: &str| BTreeMap::from([("old".to_owned(), ByteString(text.as_bytes().to_vec()))]);
        // printf 0123456789abcdef01234567 | sha256sum
        let expected = "sha256:8865fea8edb697169ac2b4f5e6339e16439381033640eeb4f55edbad9bdc2d3d";
        for key in ["0123456789abcdef01234567", "0123456789abcdef01234567\n"] {
            assert_eq!(hash(&at, Some(&data(key))).as_deref(), Ok(expected));
        }
        for data in [None, Some(BTreeMap::new())] {
            assert!(hash(&at, data.as_ref()).unwrap_err().contains("kubectl create secret"));
        }
        assert!(hash(&at, Some(&data("secret"))).unwrap_err().contains("openssl rand"));
    }
}
