//! Which servers a client believes by more, or by else, than their names. That a server holds its certificate's key is proved in any case.

use std::fmt;

use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::provider::provider;

/// What a server shows.
pub(crate) struct Shown<'a> {
    /// Its certificate.
    pub(crate) certificate: &'a CertificateDer<'a>,
    /// Those between it and its authority.
    pub(crate) between: &'a [CertificateDer<'a>],
    /// The name that it was asked for by.
    pub(crate) name: &'a ServerName<'a>,
    /// What its authority's OCSP responder says of it; empty where it shows nothing.
    pub(crate) stapled: &'a [u8],
    /// When.
    pub(crate) now: UnixTime,
}

/// Believes whom `judge` believes.
pub(crate) struct Verifier<J>(J);

impl<J: Fn(&Shown<'_>) -> Result<(), Error>> Verifier<J> {
    pub(crate) fn new(judge: J) -> Self {
        Self(judge)
    }
}

impl<J> fmt::Debug for Verifier<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl<J: Fn(&Shown<'_>) -> Result<(), Error> + Send + Sync> ServerCertVerifier for Verifier<J> {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        (self.0)(&Shown { certificate, between, name, stapled, now })
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
