//! A server that is known by its name, and must not be somebody else by its SPIFFE ID.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use x509_parser::extensions::GeneralName;

use crate::{
    client::NotExpected,
    identity::{Identity, TrustDomain},
    peer::{Peer, parse},
};

/// Believes by name (RFC 6125), unless the certificate is somebody else's of the expected one's trust domain.
#[derive(Debug)]
pub(crate) struct NamedVerifier {
    pub(crate) by_name: Arc<WebPkiServerVerifier>,
    pub(crate) identity: Identity,
}

impl ServerCertVerifier for NamedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.by_name.verify_server_cert(end_entity, intermediates, name, stapled, now)?;
        if !claims(end_entity, &self.identity.trust_domain) {
            return Ok(verified);
        }
        let found = match Peer::of(end_entity) {
            Ok(peer) if peer.identity == self.identity => return Ok(verified),
            Ok(peer) => Ok(peer.identity),
            Err(error) => Err(error),
        };
        let error = NotExpected { expected: self.identity.clone(), found };
        Err(CertificateError::Other(OtherError(Arc::new(error))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_name.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_name.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_name.supported_verify_schemes()
    }
}

/// Whether a URI among its alternative names is of this trust domain, whatever else there is; a certificate that cannot be read may claim anything.
fn claims(der: &[u8], domain: &TrustDomain) -> bool {
    let Ok(certificate) = parse(der) else { return true };
    let Ok(names) = certificate.subject_alternative_name() else { return true };
    let of_domain = |uri: &str| {
        let uri = uri.to_ascii_lowercase();
        let rest = uri.strip_prefix(&domain.id());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let names = names.iter().flat_map(|names| &names.value.general_names);
    names.into_iter().any(|name| matches!(name, GeneralName::URI(uri) if of_domain(uri)))
}
