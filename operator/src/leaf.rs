//! A certificate in a Secret: when it is issued, renewed, kept. The decision is pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kinetic_pki::{
    Authority, AuthorityError, Details, Leaf, PrivateKey, Serial, Subject, TrustDomain, Trusted,
    key::KeyError, rotation::Stage,
};
use rustls::pki_types::{CertificateDer, DnsName, pem::PemObject};

use crate::vault::Own;

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key: a secret.
    pub key: String,
    /// The certificate's serial number.
    pub serial: Serial,
    /// Valid until.
    pub not_after: Timestamp,
    /// When it will be renewed.
    pub renewed_at: Timestamp,
    /// Whether the authority that signed it is on its way out, so that it is to be renewed before.
    pub former: bool,
}

/// A certificate that should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// For whom.
    pub subject: Subject,
    /// The names that a server is reached by.
    pub dns: Vec<String>,
    /// From issue to end.
    pub lifetime: Duration,
    /// So long before its end it is renewed.
    pub renew_before: Duration,
}

/// Certificates of our own pods, and of clients that do not say otherwise.
pub const LIFETIME: Duration = Duration::from_hours(720);

impl Wanted {
    /// For thirty days, renewed at two thirds.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self { subject, dns: Vec::new(), lifetime: LIFETIME, renew_before: LIFETIME / 3 }
    }
}

/// Why a certificate is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is none.
    Missing,
    /// What is there is no certificate with its key.
    Damaged,
    /// It is somebody else's, or lacks a name.
    Other,
    /// It was signed by no authority that is trusted.
    Authority,
    /// Two thirds of its life, or what was asked for, are over.
    Age,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// The authority does not issue.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// No key can be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A server's name is none.
    #[error("`{0}` is no DNS name that a front door can be reached by")]
    Name(String),
}

/// The certificate that a Secret holds, if it is as wanted and young enough; otherwise why not.
pub fn judge(secret: Option<&Secret>, wanted: &Wanted, own: &Own, now: Timestamp) -> Result<Pair, Reason> {
    let pair = read(secret, wanted, own.issuing.trust_domain())?;
    if now >= pair.renewed_at {
        return Err(Reason::Age);
    }
    Trusted::from_pem(&own.trust).vouch(&pair.certificate, now).map_err(|_| Reason::Authority)?;
    let former = own.ring.authorities.stage() == Stage::Used
        && Trusted::from_pem(own.issuing.certificate()).vouch(&pair.certificate, now).is_err();
    Ok(Pair { former, ..pair })
}

/// The certificate that a Secret holds, if it is as wanted, whoever signed it and whenever it ends.
pub fn read(secret: Option<&Secret>, wanted: &Wanted, trust_domain: &TrustDomain) -> Result<Pair, Reason> {
    let data = secret.and_then(|secret| secret.data.as_ref()).ok_or(Reason::Missing)?;
    let text = |key| data.get(key).map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned());
    let (Some(certificate), Some(key)) = (text("tls.crt"), text("tls.key")) else {
        return Err(Reason::Missing);
    };
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| Reason::Damaged)?;
    let details = Details::of(&der).map_err(|_| Reason::Damaged)?;
    let private = PrivateKey::from_pem(&key).map_err(|_| Reason::Damaged)?;
    if private.public().fingerprint() != details.key {
        return Err(Reason::Damaged);
    }
    let identity = wanted.subject.clone().within(trust_domain.clone()).to_string();
    if details.uris != [identity] || wanted.dns.iter().any(|name| !details.names.contains(name)) {
        return Err(Reason::Other);
    }
    let Details { serial, not_before, not_after, .. } = details;
    let renewed_at = not_after.checked_sub(wanted.renew_before).unwrap_or(not_before);
    Ok(Pair { certificate, key, serial, not_after, renewed_at, former: false })
}

/// A new key and a certificate for it.
pub fn issue(wanted: &Wanted, authority: &Authority, now: Timestamp) -> Result<Pair, LeafError> {
    let mut leaf = Leaf::new(wanted.subject.clone(), wanted.lifetime);
    for name in &wanted.dns {
        let parsed = DnsName::try_from(name.clone()).map_err(|_| LeafError::Name(name.clone()))?;
        leaf.dns.push(parsed);
    }
    let key = PrivateKey::generate()?;
    let issued = authority.issue(&leaf, key.public(), now)?;
    let renewed_at = issued.not_after.checked_sub(wanted.renew_before).unwrap_or(now);
    Ok(Pair {
        certificate: issued.certificate,
        key: key.pem(),
        serial: issued.serial,
        not_after: issued.not_after,
        renewed_at,
        former: false,
    })
}

#[cfg(test)]
mod tests {
    use kinetic_pki::rotation::Step;

    use super::*;
    use crate::{authority::Ring, build::leaf_secret::tls};

    const HOUR: Duration = Duration::from_hours(1);

    fn now() -> Timestamp {
        "2026-11-22T03:00:00Z".parse().unwrap()
    }

    fn domain() -> TrustDomain {
        "kinetic.local".parse().unwrap()
    }

    fn held(ring: Ring) -> Own {
        let (data, _) = ring.contents();
        let secret = Secret { data: Some(data), ..Secret::default() };
        Own::new(ring, Ring::of(&secret, LIFETIME, now()).unwrap().1)
    }

    fn own() -> Own {
        held(Ring::new(&domain(), now()).unwrap())
    }

    fn web() -> Wanted {
        Wanted::new(Subject::Client { customer: "acme".parse().unwrap(), client: "web".parse().unwrap() })
    }

    fn secret(pair: &Pair) -> Secret {
        Secret { data: Some(tls(pair, "")), ..Secret::default() }
    }

    #[test]
    fn a_certificate_is_kept_for_two_thirds_of_its_life() {
        let own = own();
        assert_eq!(judge(None, &web(), &own, now()), Err(Reason::Missing));
        let pair = issue(&web(), &own.issuing, now()).unwrap();
        let secret = secret(&pair);
        let judged = |hours: u32| judge(Some(&secret), &web(), &own, now() + HOUR * hours);
        assert_eq!(judged(0), Ok(pair.clone()));
        assert_eq!(judged(479), Ok(pair));
        assert_eq!(judged(480), Err(Reason::Age));
    }

    #[test]
    fn what_is_not_as_wanted_is_issued_anew() {
        let own = own();
        let pair = issue(&web(), &own.issuing, now()).unwrap();
        let judged = |secret: &Secret, wanted: &Wanted| judge(Some(secret), wanted, &own, now());
        let other = Wanted::new(Subject::Alert);
        assert_eq!(judged(&secret(&pair), &other), Err(Reason::Other));
        let foreign = issue(&web(), &self::own().issuing, now()).unwrap();
        assert_eq!(judged(&secret(&foreign), &web()), Err(Reason::Authority));
        let mixed = Pair { key: foreign.key, ..pair.clone() };
        assert_eq!(judged(&secret(&mixed), &web()), Err(Reason::Damaged));
        let broken = Pair { certificate: "nonsense".into(), ..pair };
        assert_eq!(judged(&secret(&broken), &web()), Err(Reason::Damaged));
    }

    #[test]
    fn a_former_authority_s_certificate_is_good_until_it_is_trusted_no_longer() {
        let mut own = own();
        let secret = secret(&issue(&web(), &own.issuing, now()).unwrap());
        for (step, judged) in
            [(Step::Trusted, Ok(false)), (Step::Used, Ok(true)), (Step::Removed, Err(Reason::Authority))]
        {
            own = held(own.ring.after(step, &domain(), now()).unwrap());
            let found = judge(Some(&secret), &web(), &own, now()).map(|pair| pair.former);
            assert_eq!(found, judged, "{step:?}");
        }
    }

    #[test]
    fn a_front_door_has_its_names() {
        let own = own();
        let mut door = Wanted { dns: vec!["door.example".into()], ..Wanted::new(Subject::Redirector) };
        let secret = secret(&issue(&door, &own.issuing, now()).unwrap());
        assert!(judge(Some(&secret), &door, &own, now()).is_ok());
        door.dns.push("other.example".into());
        assert_eq!(judge(Some(&secret), &door, &own, now()), Err(Reason::Other));
        door.dns.push("not a name".into());
        assert!(issue(&door, &own.issuing, now()).unwrap_err().to_string().contains("not a name"));
    }
}
