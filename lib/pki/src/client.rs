//! A TLS client's configuration that follows its files.

use std::{fmt, path::PathBuf, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, Error, OtherError, RootCertStore,
    client::{Resumption, WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor},
    pki_types::CertificateDer,
    server::ParsedCertificate,
};

use crate::{
    follow::{Followed, Made, follow},
    identity::Identity,
    material::{MaterialError, Pem, explain, platform_trust},
    metrics::TlsMetrics,
    named::named,
    peer::{Peer, PeerError, not_after},
    provider::{VERSIONS, provider},
    verifier::{Shown, Verifier},
};

/// The files that a client needs, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// What it shows of itself, if anything.
    pub identity: Option<ClientIdentity>,
    /// Which authorities it believes.
    pub trust: Trust,
}

/// A client's certificate and key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, followed by those between it and its authority, if any.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

/// Which authorities a client believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those in this file: several while an authority is replaced.
    File(PathBuf),
    /// Those that the system trusts, as they are when the configuration is made.
    Platform,
}

/// What a server must prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerIdentity {
    /// The DNS name or address that was connected to (RFC 6125).
    Name,
    /// The same; and a certificate that carries a SPIFFE ID of this identity's trust domain must carry this one: not everybody whom the
    /// authority gave a certificate is a server.
    Named(Identity),
    /// This SPIFFE ID, wherever it is reached: for addresses that no certificate names.
    Spiffe(Identity),
}

/// A client's configuration; clones share it. TLS 1.2 and 1.3, no ALPN, no resumption: a session belongs to the identity that it began with.
///
/// It follows its files as [`Server`](crate::Server) does.
#[derive(Clone)]
pub struct Client(Followed<ClientConfig>);

impl Client {
    /// Reads the files, and follows them until the last clone is dropped.
    pub fn watch(
        files: ClientFiles,
        server: ServerIdentity,
        metrics: &TlsMetrics,
    ) -> Result<Self, MaterialError> {
        let followed = match (files.identity, files.trust) {
            (Some(ClientIdentity { certificate, key }), Trust::File(trust)) => {
                follow([certificate, key, trust], metrics, move |[certificate, key, trust]| {
                    make(Some((certificate, key)), Some(trust), &server)
                })
            }
            (Some(ClientIdentity { certificate, key }), Trust::Platform) => {
                follow([certificate, key], metrics, move |[certificate, key]| {
                    make(Some((certificate, key)), None, &server)
                })
            }
            (None, Trust::File(trust)) => {
                follow([trust], metrics, move |[trust]| make(None, Some(trust), &server))
            }
            (None, Trust::Platform) => follow([], metrics, move |[]| make(None, None, &server)),
        };
        followed.map(Self)
    }

    /// The configuration for the next connection.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        self.0.current()
    }
}

/// A configuration that believes nobody: for HTTP clients that want one also where they speak without TLS.
///
/// # Errors
/// The cryptography below refuses.
pub fn believing_nobody() -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn make(
    identity: Option<(&Pem, &Pem)>,
    trust: Option<&Pem>,
    server: &ServerIdentity,
) -> Result<Made<ClientConfig>, MaterialError> {
    let roots = Arc::new(trust.map_or_else(platform_trust, Pem::trust)?);
    let unusable = |reason: String| MaterialError::Unusable {
        path: trust
            .or(identity.map(|(certificate, _)| certificate))
            .map_or_else(PathBuf::new, |pem| pem.path.clone()),
        reason,
    };
    let by_name = || {
        WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider())
            .build()
            .map_err(|error| unusable(error.to_string()))
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|error| unusable(error.to_string()))?;
    let builder = match server {
        ServerIdentity::Name => builder.with_webpki_verifier(by_name()?),
        ServerIdentity::Named(identity) => {
            let (by_name, identity) = (by_name()?, identity.clone());
            let verifier = Verifier::new(move |shown| named(shown, &by_name, &identity));
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        ServerIdentity::Spiffe(identity) => {
            let (roots, identity) = (Arc::clone(&roots), identity.clone());
            let verifier = Verifier::new(move |shown| vouched(shown, &roots, &identity));
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let (mut config, not_after) = match identity {
        None => (builder.with_no_client_auth(), None),
        Some((certificate, key)) => {
            let chain = certificate.certificates()?;
            let end = not_after(&chain[0]);
            let config = builder
                .with_client_auth_cert(chain, key.key()?)
                .map_err(|error| explain(&error, certificate, key))?;
            (config, end)
        }
    };
    config.resumption = Resumption::disabled();
    Ok(Made { config, not_after })
}

/// Believes a server whose certificate is an authority's word for one SPIFFE ID (X.509-SVID, section 5.2), instead of for a DNS name.
fn vouched(shown: &Shown<'_>, roots: &RootCertStore, identity: &Identity) -> Result<(), Error> {
    let certificate = ParsedCertificate::try_from(shown.certificate)?;
    let algorithms = provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&certificate, roots, shown.between, shown.now, algorithms)?;
    shows(shown.certificate, identity)
}

/// Believes a certificate that is this one's.
pub(crate) fn shows(certificate: &CertificateDer<'_>, identity: &Identity) -> Result<(), Error> {
    let found = match Peer::of(certificate) {
        Ok(peer) if peer.identity == *identity => return Ok(()),
        Ok(peer) => Ok(peer.identity),
        Err(error) => Err(error),
    };
    let error = NotExpected { expected: identity.clone(), found };
    Err(CertificateError::Other(OtherError(Arc::new(error))).into())
}

/// The server proved to be somebody, but not the one that was asked for.
#[derive(thiserror::Error)]
#[error("the server is not {expected}: its certificate {}", match .found {
    Ok(identity) => format!("is {identity}'s"),
    Err(error) => format!("is nobody's ({error})"),
})]
struct NotExpected {
    expected: Identity,
    found: Result<Identity, PeerError>,
}

/// rustls shows foreign errors by their `Debug`: people are to read the sentence.
impl fmt::Debug for NotExpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
