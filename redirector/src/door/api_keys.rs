//! API keys, by their hashes: for clients that cannot do certificates.

use std::{collections::HashMap, fs, io, path::Path};

use hmac::digest::CtOutput;
use sha2::{Digest, Sha256};

/// The hashes of API keys, by customer and client.
///
/// A key is made by a machine (256 random bits), so a plain SHA-256 cannot be guessed back; a slow hash would only make refusals dear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeys(HashMap<(String, String), [u8; 32]>);

/// Why the folder of API keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeysError {
    /// The folder or a file in it.
    #[error("API keys: {0}: {1}")]
    Read(String, io::Error),
    /// A file that holds no hash.
    #[error("API keys: {0}: must hold sha256: and 64 hexadecimal digits")]
    Hash(String),
}

impl ApiKeys {
    /// Reads a folder in which each file, called `CUSTOMER.CLIENT`, holds `sha256:` and the key's hash in hexadecimal. Names that begin
    /// with a dot are left out, as are the kubelet's own.
    pub fn read(folder: &Path) -> Result<Self, ApiKeysError> {
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |error| ApiKeysError::Read(path, error)
        };
        let mut keys = Self::default();
        for entry in fs::read_dir(folder).map_err(failed(folder))? {
            let path = entry.map_err(failed(folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some((customer, client)) = name.split_once('.').filter(|(customer, _)| !customer.is_empty())
            else {
                continue;
            };
            let text = fs::read_to_string(&path).map_err(failed(&path))?;
            let hash = text.trim().strip_prefix("sha256:").and_then(|digits| {
                let mut hash = [0; 32];
                hex::decode_to_slice(digits, &mut hash).ok().map(|()| hash)
            });
            let hash = hash.ok_or_else(|| ApiKeysError::Hash(path.display().to_string()))?;
            keys.insert(customer, client, hash);
        }
        Ok(keys)
    }

    /// Gives a client a key, by its hash.
    pub fn insert(&mut self, customer: &str, client: &str, hash: [u8; 32]) {
        self.0.insert((customer.to_owned(), client.to_owned()), hash);
    }

    /// The hash of a client's key.
    #[must_use]
    pub fn hash(&self, customer: &str, client: &str) -> Option<&[u8; 32]> {
        self.0.get(&(customer.to_owned(), client.to_owned()))
    }

    /// The key's hash, if it is the client's. Takes as long for a wrong key as for the right one, and as for a client that has none.
    #[must_use]
    pub fn check(&self, customer: &str, client: &str, key: &[u8]) -> Option<[u8; 32]> {
        let given = Sha256::digest(key);
        let known = self.hash(customer, client);
        let compared = CtOutput::<Sha256>::new((*known.unwrap_or(&[0; 32])).into()) == CtOutput::new(given);
        known.copied().filter(|_| compared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_of_a_client_that_has_one() {
        let folder = tempfile::tempdir().unwrap();
        // printf secret | sha256sum
        let hash = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n";
        fs::write(folder.path().join("acme.web"), hash).unwrap();
        fs::create_dir(folder.path().join("..data")).unwrap();
        let keys = ApiKeys::read(folder.path()).unwrap();
        assert!(keys.check("acme", "web", b"secret").is_some());
        assert_eq!(keys.check("acme", "web", b"Secret"), None);
        assert_eq!(keys.check("acme", "other", b"secret"), None);
        assert_eq!(keys.check("beta", "web", b""), None);
    }

    #[test]
    fn a_wrong_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("acme.web"), "secret").unwrap();
        let error = ApiKeys::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("acme.web") && error.contains("sha256:"), "{error}");
        assert!(ApiKeys::read(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
    }
}
