//! What any certificate says, ours or not: for people who look.

use std::net::IpAddr;

use jiff::Timestamp;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName};

use crate::{
    fingerprint::Fingerprint,
    peer::{PeerError, parse, timestamp},
    serial::Serial,
};

/// What a certificate says, as it says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// Whether it may sign others.
    pub authority: bool,
    /// Its URIs: an identity, or an authority's trust domain, if it is one of ours.
    pub uris: Vec<String>,
    /// Its other alternative names: DNS names, addresses, what else there is.
    pub names: Vec<String>,
    /// Its subject's distinguished name.
    pub subject: String,
    /// Who signed it, as a distinguished name.
    pub issuer: String,
    /// Its serial number.
    pub serial: Serial,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Its key's fingerprint.
    pub key: Fingerprint,
}

impl Details {
    /// Reads a certificate in DER.
    pub fn of(der: &[u8]) -> Result<Self, PeerError> {
        let certificate = parse(der)?;
        let (mut uris, mut names) = (Vec::new(), Vec::new());
        let found = certificate.subject_alternative_name().map_err(|_| PeerError::Damaged)?;
        for name in found.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                GeneralName::DNSName(dns) => names.push((*dns).to_owned()),
                GeneralName::IPAddress(bytes) => names.push(address(bytes)),
                other => names.push(other.to_string()),
            }
        }
        Ok(Self {
            authority: certificate.is_ca(),
            uris,
            names,
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            serial: Serial::from_bytes(certificate.raw_serial()),
            not_before: timestamp(certificate.validity().not_before),
            not_after: timestamp(certificate.validity().not_after),
            fingerprint: Fingerprint::of(der),
            key: Fingerprint::of(certificate.public_key().raw),
        })
    }
}

/// Whether `authority`'s key signed `leaf`, both in DER.
#[must_use]
pub(crate) fn signed_by(leaf: &[u8], authority: &[u8]) -> bool {
    let signed = |leaf: &X509Certificate<'_>, authority: &X509Certificate<'_>| {
        leaf.issuer() == authority.subject() && leaf.verify_signature(Some(authority.public_key())).is_ok()
    };
    matches!((parse(leaf), parse(authority)), (Ok(leaf), Ok(authority)) if signed(&leaf, &authority))
}

fn address(bytes: &[u8]) -> String {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let address = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    address.map_or_else(|_| hex::encode(bytes), |address| address.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn says_what_is_in_it() {
        let key = KeyPair::generate().unwrap();
        let names = ["web.example", "192.0.2.1", "2001:db8::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names.to_vec()).unwrap();
        params.subject_alt_names.push(SanType::URI("spiffe://kinetic.local/alert".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("ops@acme.example".try_into().unwrap()));
        let certificate = params.self_signed(&key).unwrap();
        let details = Details::of(certificate.der()).unwrap();
        assert_eq!(details.uris, ["spiffe://kinetic.local/alert"]);
        assert_eq!(details.names[..3], names);
        assert!(details.names[3].contains("ops@acme.example"), "{:?}", details.names);
        assert_eq!(details.issuer, "CN=rcgen self signed cert");
        assert!(!details.authority);
        assert!(signed_by(certificate.der(), certificate.der()));
        let other = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert!(!signed_by(certificate.der(), other.der()));
    }

    proptest! {
        #[test]
        fn never_panics(der in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Details::of(&der);
        }
    }
}
