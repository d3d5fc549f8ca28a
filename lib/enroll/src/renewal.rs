//! Renewal by the current certificate: what proves it lies in the request.

use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::Timestamp;
use kinetic_api::resources::enrollment::{EnrollmentSpec, Renewal};
use kinetic_pki::{
    Identity, NotBelieved, Peer, PublicKey, RequestError, Subject, Trusted, key::KeyError, key::PrivateKey,
    request,
};

/// Why a renewal is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRenewable {
    /// The certificate is not believed.
    #[error(transparent)]
    Certificate(#[from] NotBelieved),
    /// The signing request is not.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Its certificate is another machine's, or no machine's.
    #[error("only a machine renews its own certificate, and this is {0}'s")]
    NotIts(Identity),
    /// The new key is not vouched for by the old one.
    #[error(
        "the request is for another key than the certificate, and the certificate's key has not signed for it: send `proof`"
    )]
    NotPassedOn,
}

/// Who renews, if all holds: a trusted authority says who it is now, and its key asks, or has said that the one that asks may follow it.
pub fn check(
    spec: &EnrollmentSpec,
    renewal: &Renewal,
    trusted: &Trusted,
    now: Timestamp,
) -> Result<Peer, NotRenewable> {
    let peer = trusted.vouch(&renewal.certificate, now)?;
    let Subject::Machine { customer, client, machine } = &peer.identity.subject else {
        return Err(NotRenewable::NotIts(peer.identity));
    };
    if (customer, client, &**machine) != (&spec.customer, &spec.client, spec.name.as_str()) {
        return Err(NotRenewable::NotIts(peer.identity));
    }
    let request = request::read(&spec.csr)?;
    if request.public_key().fingerprint() != peer.key {
        let proof = renewal.proof.as_ref().and_then(|proof| BASE64_STANDARD.decode(proof).ok());
        let old = PublicKey::of_certificate(&renewal.certificate);
        let passed_on =
            old.zip(proof).is_some_and(|(old, proof)| old.passed_on(request.public_key(), &proof));
        if !passed_on {
            return Err(NotRenewable::NotPassedOn);
        }
    }
    Ok(peer)
}

/// What a renewal with a new key carries.
pub fn proof(old: &PrivateKey, new: &PublicKey) -> Result<String, KeyError> {
    old.pass_on(new).map(|signature| BASE64_STANDARD.encode(signature))
}

/// A certificate in PEM (RFC 7468).
#[must_use]
pub fn pem(certificate: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}
