//! What proves that somebody holds a certificate, away from a TLS connection: for a signer that does not believe who brings the request.

use jiff::Timestamp;
use rcgen::SigningKey;
use rustls::{
    crypto::ring::default_provider,
    pki_types::{CertificateDer, alg_id, pem::PemObject},
};

use crate::{
    authority::trust_domain,
    details::signed_by,
    key::{KeyError, PrivateKey, PublicKey},
    peer::{Peer, PeerError, not_after, parse},
};

/// The authorities that are believed.
#[derive(Clone, Debug)]
pub struct Trusted(Vec<CertificateDer<'static>>);

/// Why a certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBelieved {
    /// It says nothing that we understand.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// It was signed by none of the authorities, or by one that has run out.
    #[error("the certificate was issued by no authority that is trusted here")]
    Foreign,
    /// It is not valid now.
    #[error("the certificate is valid from {not_before} until {not_after}, not now")]
    NotNow {
        /// Valid from.
        not_before: Timestamp,
        /// Valid until.
        not_after: Timestamp,
    },
}

impl Trusted {
    /// Reads a bundle in PEM; what is damaged in it is left out, and trusted by nobody.
    #[must_use]
    pub fn from_pem(bundle: &str) -> Self {
        Self(CertificateDer::pem_slice_iter(bundle.as_bytes()).filter_map(Result::ok).collect())
    }

    /// Who the certificate (PEM) belongs to, if one of the authorities says so now.
    pub fn vouch(&self, certificate: &str, now: Timestamp) -> Result<Peer, NotBelieved> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| PeerError::Damaged)?;
        let peer = Peer::of(&der)?;
        // One that names a trust domain speaks for no other.
        let speaks_for = |authority: &CertificateDer<'_>| {
            let domain = parse(authority).ok().and_then(|authority| trust_domain(&authority));
            domain.is_none_or(|domain| domain == peer.identity.trust_domain)
        };
        let believed = |authority: &CertificateDer<'_>| {
            not_after(authority).is_some_and(|end| now < end)
                && speaks_for(authority)
                && signed_by(&der, authority)
        };
        let Peer { not_before, not_after, .. } = peer;
        if !self.0.iter().any(believed) {
            Err(NotBelieved::Foreign)
        } else if now < not_before || now >= not_after {
            Err(NotBelieved::NotNow { not_before, not_after })
        } else {
            Ok(peer)
        }
    }
}

impl PrivateKey {
    /// Says that another key may take this one's place: a signature of its `SubjectPublicKeyInfo` (ECDSA with SHA-256, in ASN.1).
    pub fn pass_on(&self, to: &PublicKey) -> Result<Vec<u8>, KeyError> {
        self.pair.sign(&to.spki()).map_err(|error| KeyError::Refused(error.to_string()))
    }
}

impl PublicKey {
    /// The key that a certificate (PEM) is for; `None` where that is no P-256 key, or no certificate.
    #[must_use]
    pub fn of_certificate(certificate: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
        Self::from_spki(parse(&der).ok()?.public_key().raw)
    }

    /// Whether this key's holder said by [`PrivateKey::pass_on`] that `to` may take its place.
    #[must_use]
    pub fn passed_on(&self, to: &Self, signature: &[u8]) -> bool {
        let algorithms = default_provider().signature_verification_algorithms;
        let mut suitable = algorithms.all.iter().filter(|algorithm| {
            algorithm.public_key_alg_id() == alg_id::ECDSA_P256
                && algorithm.signature_alg_id() == alg_id::ECDSA_SHA256
        });
        suitable.any(|algorithm| algorithm.verify_signature(self.point(), &to.spki(), signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::ToSpan;

    use super::*;
    use crate::authority::{Authority, Leaf};

    fn authority(now: Timestamp) -> Authority {
        Authority::generate(&"kinetic.local".parse().unwrap(), Duration::from_hours(2), now).unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn one_of_the_trusted_authorities_must_say_so_now() {
        let (one, other) = (authority(now()), authority(now()));
        let identity = "spiffe://kinetic.local/customers/acme/clients/web/machines/a";
        let subject = identity.parse::<crate::Identity>().unwrap().subject;
        let key = PrivateKey::generate().unwrap();
        let leaf = Leaf::new(subject, Duration::from_hours(1));
        let issued = one.issue(&leaf, key.public(), now()).unwrap();
        let bundle = format!("{}{}", other.certificate(), one.certificate());

        let peer = Trusted::from_pem(&bundle).vouch(&issued.certificate, now()).unwrap();
        assert_eq!((peer.identity.to_string(), peer.key), (identity.to_owned(), key.public().fingerprint()));
        let foreign = Trusted::from_pem(other.certificate());
        assert_eq!(foreign.vouch(&issued.certificate, now()), Err(NotBelieved::Foreign));
        assert_eq!(Trusted::from_pem("").vouch(&issued.certificate, now()), Err(NotBelieved::Foreign));
        for minutes in [-2, 60] {
            let at = now() + minutes.minutes();
            let error = Trusted::from_pem(&bundle).vouch(&issued.certificate, at).unwrap_err();
            assert!(matches!(error, NotBelieved::NotNow { .. }), "{minutes}: {error}");
        }
        assert_eq!(PublicKey::of_certificate(&issued.certificate).as_ref(), Some(key.public()));
        // An authority that has run out vouches for nobody.
        let late = Trusted::from_pem(&bundle).vouch(&issued.certificate, now() + 3.hours());
        assert_eq!(late, Err(NotBelieved::Foreign));
        assert_eq!(
            Trusted::from_pem(&bundle).vouch(one.certificate(), now()),
            Err(NotBelieved::Peer(PeerError::Authority))
        );
        assert_eq!(Trusted::from_pem(&bundle).vouch("", now()), Err(NotBelieved::Peer(PeerError::Damaged)));
    }

    #[test]
    fn only_the_key_s_holder_passes_it_on() {
        let [old, new, other] = std::array::from_fn(|_| PrivateKey::generate().unwrap());
        let proof = old.pass_on(new.public()).unwrap();
        assert!(old.public().passed_on(new.public(), &proof));
        assert!(!old.public().passed_on(other.public(), &proof));
        assert!(!other.public().passed_on(new.public(), &proof));
        assert!(!old.public().passed_on(new.public(), b""));
    }
}
