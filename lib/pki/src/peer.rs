//! What a certificate says about its holder.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer, time::ASN1Time};

use crate::{
    fingerprint::Fingerprint,
    identity::{Identity, InvalidIdentity},
    serial::Serial,
};

/// Who is at the other end, as its certificate says. Whether to believe it is decided before, by the TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub identity: Identity,
    /// The certificate's serial number.
    pub serial: Serial,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// The certificate's fingerprint.
    pub fingerprint: Fingerprint,
    /// The fingerprint of its key: the same when the key is certified anew.
    pub key: Fingerprint,
}

/// Why a certificate says nothing that we understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Not one certificate in DER.
    #[error("this is no certificate, or a damaged one")]
    Damaged,
    /// It may sign others.
    #[error("this is an authority's certificate, nobody's own: use one that it issued")]
    Authority,
    /// It has no URI among its alternative names.
    #[error(
        "the certificate names nobody: it has no SPIFFE ID among its alternative names; issue one with `kinetic pki issue`"
    )]
    Nobody,
    /// It has several URIs among its alternative names (X.509-SVID, section 2, wants one).
    #[error("the certificate has several URIs among its alternative names: exactly one must be there")]
    Several,
    /// The URI is no identity of ours.
    #[error("the certificate's URI: {0}")]
    Identity(#[from] InvalidIdentity),
}

impl Peer {
    /// Reads a leaf's certificate in DER (X.509-SVID, sections 2 and 5.2). Never panics, whatever it is given.
    pub fn of(der: &[u8]) -> Result<Self, PeerError> {
        let certificate = parse(der)?;
        if certificate.is_ca() {
            return Err(PeerError::Authority);
        }
        let identity = only_uri(&certificate)?.parse()?;
        Ok(Self {
            identity,
            serial: Serial::from_bytes(certificate.raw_serial()),
            not_before: timestamp(certificate.validity().not_before),
            not_after: timestamp(certificate.validity().not_after),
            fingerprint: Fingerprint::of(der),
            key: Fingerprint::of(certificate.public_key().raw),
        })
    }

    /// Whose certificate was shown in a TLS handshake: the first of the chain.
    pub fn of_chain(chain: &[CertificateDer<'_>]) -> Result<Self, PeerError> {
        Self::of(chain.first().ok_or(PeerError::Damaged)?)
    }

    /// When to get a new certificate: at two thirds of this one's life.
    #[must_use]
    pub fn renewal_due(&self) -> Timestamp {
        self.not_before + self.not_after.duration_since(self.not_before) / 3 * 2
    }
}

pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, PeerError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(PeerError::Damaged),
    }
}

fn only_uri<'a>(certificate: &'a X509Certificate<'_>) -> Result<&'a str, PeerError> {
    let names = certificate.subject_alternative_name().map_err(|_| PeerError::Damaged)?;
    let names = names.ok_or(PeerError::Nobody)?;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Ok(uri),
        (None, _) => Err(PeerError::Nobody),
        (Some(_), Some(_)) => Err(PeerError::Several),
    }
}

/// When a certificate, ours or not, ends; `None` if it is damaged.
pub(crate) fn not_after(der: &[u8]) -> Option<Timestamp> {
    parse(der).ok().map(|certificate| timestamp(certificate.validity().not_after))
}

/// X.509 knows all of the year 9999 (RFC 5280's "no well-defined end"), a [`Timestamp`] all but its last day.
pub(crate) fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, IsCa, KeyPair, SanType};

    use super::*;

    fn certificate(uris: &[&str], is_ca: IsCa) -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["web.example".to_owned()]).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params.is_ca = is_ca;
        params.serial_number = Some(vec![0, 0xab, 1].into());
        (params.self_signed(&key).unwrap().der().to_vec(), key)
    }

    const WEB: &str = "spiffe://kinetic.local/customers/acme/clients/web";

    #[test]
    fn says_who_and_until_when() {
        let (der, key) = certificate(&[WEB], IsCa::ExplicitNoCa);
        let peer = Peer::of(&der).unwrap();
        assert_eq!(peer.identity.to_string(), WEB);
        assert_eq!(peer.serial.as_str(), "ab01");
        assert_eq!(peer.not_before, "1975-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(peer.not_after, "4096-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(peer.fingerprint, Fingerprint::of(&der));
        assert_eq!(peer.key, Fingerprint::of(&rcgen::PublicKeyData::subject_public_key_info(&key)));
        assert_eq!(Peer::of_chain(&[der.into()]), Ok(peer));
    }

    #[test]
    fn it_is_renewed_at_two_thirds_of_its_life() {
        let peer = |from: &str, until: &str| {
            let peer = Peer::of(&certificate(&[WEB], IsCa::NoCa).0).unwrap();
            Peer { not_before: from.parse().unwrap(), not_after: until.parse().unwrap(), ..peer }
        };
        let month = peer("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        assert_eq!(month.renewal_due(), "2026-11-21T00:00:00Z".parse().unwrap());
        // Whatever a certificate says, the time lies between both.
        let longest = Peer { not_before: Timestamp::MIN, not_after: Timestamp::MAX, ..month.clone() };
        assert!((longest.not_before..longest.not_after).contains(&longest.renewal_due()));
        let never = peer("2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z");
        assert_eq!(never.renewal_due(), "2026-11-11T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn there_is_one_identity_or_none() {
        let of = |uris: &[&str]| Peer::of(&certificate(uris, IsCa::NoCa).0).unwrap_err();
        assert_eq!(of(&[]), PeerError::Nobody);
        assert_eq!(of(&[WEB, "https://acme.example/"]), PeerError::Several);
        assert_eq!(of(&[WEB, WEB]), PeerError::Several);
        assert!(matches!(of(&["https://acme.example/"]), PeerError::Identity(_)));
        assert!(matches!(of(&["spiffe://kinetic.local"]), PeerError::Identity(_)));
    }

    #[test]
    fn an_authority_is_nobody() {
        let (der, _) = certificate(&[WEB], IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
        assert_eq!(Peer::of(&der), Err(PeerError::Authority));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let (mut der, _) = certificate(&[WEB], IsCa::NoCa);
        der.push(0);
        assert_eq!(Peer::of(&der), Err(PeerError::Damaged));
        assert_eq!(Peer::of_chain(&[]), Err(PeerError::Damaged));
    }

    proptest! {
        #[test]
        fn never_panics_on_bytes(der in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Peer::of(&der);
        }

        #[test]
        fn never_panics_on_mangled_certificates(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let (mut der, _) = certificate(&[WEB], IsCa::ExplicitNoCa);
            for (at, byte) in edits {
                let at = at.index(der.len());
                der[at] = byte;
            }
            if let Some(cut) = cut {
                der.truncate(cut.index(der.len()));
                prop_assert_eq!(Peer::of(&der), Err(PeerError::Damaged));
            } else if let Ok(peer) = Peer::of(&der) {
                prop_assert!(peer.fingerprint == Fingerprint::of(&der));
            }
        }
    }
}
