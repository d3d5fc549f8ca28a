//! A server that is known by its name, and must not be somebody else by its SPIFFE ID.

use rustls::{
    Error,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
};
use x509_parser::extensions::GeneralName;

use crate::{
    client::shows,
    identity::{Identity, TrustDomain},
    peer::parse,
    verifier::Shown,
};

/// Believes by name (RFC 6125), unless the certificate is somebody else's of the expected one's trust domain.
pub(crate) fn named(
    shown: &Shown<'_>,
    by_name: &WebPkiServerVerifier,
    identity: &Identity,
) -> Result<(), Error> {
    by_name.verify_server_cert(shown.certificate, shown.between, shown.name, shown.stapled, shown.now)?;
    if claims(shown.certificate, &identity.trust_domain) {
        shows(shown.certificate, identity)
    } else {
        Ok(())
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
