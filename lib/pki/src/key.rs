//! Keys: ECDSA on P-256, the one kind that is issued for.

use std::fmt;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SubjectPublicKeyInfo};

use crate::fingerprint::Fingerprint;

/// A private key (ECDSA, P-256). Its [`Debug`] tells the public half only.
pub struct PrivateKey {
    pub(crate) pair: KeyPair,
    public: PublicKey,
}

/// A key that is not to be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The system's random generator, or the cryptography below, refused.
    #[error("no key can be made, or it does not sign: {0}")]
    Refused(String),
    /// Not a private key in PEM, or of another kind.
    #[error("this is no private key for ECDSA on P-256 in PKCS#8 PEM (`-----BEGIN PRIVATE KEY-----`)")]
    NotP256,
}

impl PrivateKey {
    /// A new random key.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|error| KeyError::Refused(error.to_string()))?;
        Self::of(pair)
    }

    /// Reads PKCS#8 in PEM.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        KeyPair::from_pem_and_sign_algo(pem, &PKCS_ECDSA_P256_SHA256)
            .map_err(|_| KeyError::NotP256)
            .and_then(Self::of)
    }

    fn of(pair: KeyPair) -> Result<Self, KeyError> {
        let public = PublicKey::from_spki(&pair.subject_public_key_info()).ok_or(KeyError::NotP256)?;
        Ok(Self { pair, public })
    }

    /// PKCS#8 in PEM: a secret.
    #[must_use]
    pub fn pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// The half that everybody may know.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public().fingerprint())
    }
}

/// A public key (ECDSA, P-256).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(SubjectPublicKeyInfo);

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` in DER (RFC 5280, section 4.1); `None` unless it is an uncompressed point on P-256.
    #[must_use]
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        let spki = SubjectPublicKeyInfo::from_der(der).ok()?;
        let uncompressed = spki.der_bytes().len() == 65 && spki.der_bytes()[0] == 4;
        (uncompressed && *spki.algorithm() == PKCS_ECDSA_P256_SHA256).then_some(Self(spki))
    }

    /// The SHA-256 of its `SubjectPublicKeyInfo`: the same for every certificate of this key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.spki())
    }

    /// Its `SubjectPublicKeyInfo` in DER.
    pub(crate) fn spki(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// The uncompressed point.
    pub(crate) fn point(&self) -> &[u8] {
        self.0.der_bytes()
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.0.algorithm()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_round_trips_and_debug_keeps_the_secret() {
        let key = PrivateKey::generate().unwrap();
        let again = PrivateKey::from_pem(&key.pem()).unwrap();
        assert_eq!(again.public(), key.public());
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("PrivateKey({})", key.public().fingerprint()));
    }

    #[test]
    fn other_kinds_are_refused() {
        for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            assert_eq!(PrivateKey::from_pem(&pair.serialize_pem()).unwrap_err(), KeyError::NotP256);
            assert_eq!(PublicKey::from_spki(&pair.subject_public_key_info()), None);
        }
        assert_eq!(PrivateKey::from_pem("").unwrap_err(), KeyError::NotP256);
        assert_eq!(PublicKey::from_spki(b""), None);
    }
}
