//! How a newcomer that knows an authority by its fingerprint only gets its certificate.

use std::sync::Arc;

use rustls::{
    ClientConfig, Error,
    client::Resumption,
    pki_types::{CertificateDer, pem::PemObject},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::{
    authority::trust_domain,
    fingerprint::Fingerprint,
    identity::{Identity, Subject},
    provider::{VERSIONS, provider},
    verifier::Verifier,
};

/// A configuration that believes any server: to fetch a bundle that is then looked through for what is known ([`pinned`]), and nothing else.
/// Nothing secret may be sent over it, nothing of what comes be believed.
///
/// # Errors
/// The cryptography below refuses.
pub fn believing_anybody() -> Result<Arc<ClientConfig>, Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(|_| Ok(()))))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The certificate in a bundle (PEM) whose DER has this SHA-256, in DER.
#[must_use]
pub fn pinned(bundle: &[u8], fingerprint: Fingerprint) -> Option<CertificateDer<'static>> {
    let mut certificates = CertificateDer::pem_slice_iter(bundle).filter_map(Result::ok);
    certificates.find(|certificate| Fingerprint::of(certificate) == fingerprint)
}

/// The front door that an authority of ours vouches for: told by the trust domain in the first certificate of a bundle (PEM). None for a foreign
/// authority, whose servers are known by their names.
#[must_use]
pub fn front_door(bundle: &[u8]) -> Option<Identity> {
    let der = CertificateDer::pem_slice_iter(bundle).next()?.ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    trust_domain(&certificate).map(|domain| Subject::Redirector.within(domain))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::authority::Authority;

    #[test]
    fn only_what_is_known_is_taken_out_of_a_bundle() {
        let [one, other, foreign] = ["kinetic.local", "kinetic.local", "evil.example"].map(|domain| {
            Authority::generate(&domain.parse().unwrap(), Duration::from_hours(1), Timestamp::now()).unwrap()
        });
        let bundle = format!("{}{}", foreign.certificate(), one.certificate());
        let found = pinned(bundle.as_bytes(), one.fingerprint()).unwrap();
        assert_eq!(Fingerprint::of(&found), one.fingerprint());
        assert_eq!(pinned(bundle.as_bytes(), other.fingerprint()), None);
        let door = front_door(one.certificate().as_bytes()).unwrap();
        assert_eq!(door.to_string(), "spiffe://kinetic.local/redirector");
        assert_eq!(front_door(b""), None);
    }
}
