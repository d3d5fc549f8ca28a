//! Certificate signing requests (PKCS #10, RFC 2986): proof that somebody holds a key. Nothing else is taken from them.

use rcgen::{CertificateParams, DistinguishedName};
use rustls::pki_types::{CertificateSigningRequestDer, pem::PemObject};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

use crate::key::{KeyError, PrivateKey, PublicKey};

/// A request for a P-256 key is some 400 bytes; this leaves room for what tools put into its subject.
pub const MAX_PEM: usize = 16 * 1024;

/// A request whose signature was checked: whoever made it holds this key.
///
/// The subject and the extensions that it asks for are not even kept: who the key belongs to is not for the key's holder to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    key: PublicKey,
}

/// A request that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Longer than [`MAX_PEM`].
    #[error("the request is longer than {MAX_PEM} bytes; a request for a P-256 key is some 400")]
    TooLong,
    /// No `CERTIFICATE REQUEST` in PEM.
    #[error(
        "this is no certificate signing request: PEM that begins with -----BEGIN CERTIFICATE REQUEST----- is expected"
    )]
    NotPem,
    /// The DER inside is broken, or something follows it.
    #[error("the certificate signing request is damaged: make it anew")]
    Damaged,
    /// A key of another kind.
    #[error(
        "the request's key is not ECDSA on P-256; make one with `openssl ecparam -name prime256v1 -genkey -noout`"
    )]
    NotP256,
    /// Not signed by the key that it is for.
    #[error(
        "the request's signature is not its key's, or not ECDSA with SHA-256 or SHA-384: make it anew with its own key"
    )]
    Signature,
}

/// A request for this key, in PEM. It names nobody: the signer decides whom it is for.
pub fn make(key: &PrivateKey) -> Result<String, KeyError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key.pair).and_then(|request| request.pem());
    request.map_err(|error| KeyError::Refused(error.to_string()))
}

/// Reads a request in PEM and checks that it is signed by the P-256 key that it is for.
pub fn read(pem: &str) -> Result<Request, RequestError> {
    if pem.len() > MAX_PEM {
        return Err(RequestError::TooLong);
    }
    let der =
        CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).map_err(|_| RequestError::NotPem)?;
    let (rest, request) = X509CertificationRequest::from_der(&der).map_err(|_| RequestError::Damaged)?;
    if !rest.is_empty() {
        return Err(RequestError::Damaged);
    }
    let spki = request.certification_request_info.subject_pki.raw;
    let key = PublicKey::from_spki(spki).ok_or(RequestError::NotP256)?;
    request.verify_signature().map_err(|_| RequestError::Signature)?;
    Ok(Request { key })
}

impl Request {
    /// The key that its maker holds.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::*;
    use proptest::prelude::*;
    use rcgen::KeyPair;

    use super::*;

    fn der(pem: &str) -> Vec<u8> {
        CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    }

    fn pem(der: &[u8]) -> String {
        let body = BASE64_STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
    }

    #[test]
    fn proves_the_key() {
        let key = PrivateKey::generate().unwrap();
        let request = read(&make(&key).unwrap()).unwrap();
        assert_eq!(request.public_key(), key.public());
    }

    #[test]
    fn a_signature_of_another_key_is_refused() {
        let (one, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let point = |key: &PrivateKey| key.pair.public_key_raw().to_vec();
        let mut forged = der(&make(&one).unwrap());
        let at = forged.windows(65).position(|window| window == point(&one)).unwrap();
        forged[at..at + 65].copy_from_slice(&point(&other));
        assert_eq!(read(&pem(&forged)), Err(RequestError::Signature));
    }

    #[test]
    fn other_keys_and_other_texts_are_refused() {
        for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let text = CertificateParams::default().serialize_request(&pair).unwrap().pem().unwrap();
            assert_eq!(read(&text), Err(RequestError::NotP256));
        }
        assert_eq!(read(""), Err(RequestError::NotPem));
        assert_eq!(read(&PrivateKey::generate().unwrap().pem()), Err(RequestError::NotPem));
        assert_eq!(read(&"x".repeat(MAX_PEM + 1)), Err(RequestError::TooLong));
        let mut longer = der(&make(&PrivateKey::generate().unwrap()).unwrap());
        longer.push(0);
        assert_eq!(read(&pem(&longer)), Err(RequestError::Damaged));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_refused_or_changes_nothing(at in any::<prop::sample::Index>(), by in 1_u8..) {
            let key = PrivateKey::generate().unwrap();
            let mut changed = der(&make(&key).unwrap());
            let at = at.index(changed.len());
            changed[at] ^= by;
            if let Ok(request) = read(&pem(&changed)) {
                prop_assert_eq!(request.public_key(), key.public());
            }
        }
    }
}
