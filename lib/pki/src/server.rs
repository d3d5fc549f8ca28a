//! A TLS server's configuration that follows its files.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};

use crate::{
    follow::{Followed, Made, follow},
    material::{MaterialError, Pem, explain},
    metrics::TlsMetrics,
    peer::not_after,
    provider::{VERSIONS, provider},
};

/// The files that a server needs, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Its certificate, followed by those between it and its authority, if any.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The authorities whose clients are let in: several while an authority is replaced.
    pub trust: PathBuf,
}

/// Whether a client must show a certificate. One that it shows must always be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Without one the handshake fails.
    Required,
    /// Without one it is for the caller to know who it is: an API key, an enrolment token.
    Optional,
}

/// A server's configuration; clones share it. TLS 1.2 and 1.3, no ALPN.
///
/// When the files change, [`Server::config`] gives the new one; connections that stand are not touched. Files that cannot be used leave the
/// last good configuration in place: a log line and `kinetic_tls_reloads_total` tell.
#[derive(Clone)]
pub struct Server(Followed<ServerConfig>);

impl Server {
    /// Reads the files, and follows them until the last clone is dropped.
    pub fn watch(files: Files, auth: ClientAuth, metrics: &TlsMetrics) -> Result<Self, MaterialError> {
        let Files { certificate, key, trust } = files;
        let make = move |[certificate, key, trust]: &[Pem; 3]| make(certificate, key, trust, auth);
        follow([certificate, key, trust], metrics, make).map(Self)
    }

    /// The configuration for the next connection.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.0.current()
    }
}

fn make(
    certificate: &Pem,
    key: &Pem,
    trust: &Pem,
    auth: ClientAuth,
) -> Result<Made<ServerConfig>, MaterialError> {
    let chain = certificate.certificates()?;
    let not_after = not_after(&chain[0]);
    let unusable = |path: &Pem, reason: String| MaterialError::Unusable { path: path.path.clone(), reason };
    let verifier = verifier(trust.trust()?, auth).map_err(|reason| unusable(trust, reason))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|error| unusable(certificate, error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key.key()?)
        .map_err(|error| explain(&error, certificate, key))?;
    // A resumed session would skip the client's certificate: one that has run out since, was revoked, or whose authority is trusted no longer
    // would get in. Every connection is looked at anew.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Made { config, not_after })
}

fn verifier(roots: RootCertStore, auth: ClientAuth) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    match auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional => builder.allow_unauthenticated(),
    }
    .build()
    .map_err(|error| error.to_string())
}
