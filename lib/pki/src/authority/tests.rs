use proptest::prelude::*;
use x509_parser::{certificate::X509Certificate, prelude::*};

use super::*;
use crate::peer::{Peer, PeerError};

const HOUR: Duration = Duration::from_hours(1);

fn now() -> Timestamp {
    "2026-11-21T12:00:00.7Z".parse().unwrap()
}

fn authority() -> Authority {
    Authority::generate(&"kinetic.local".parse().unwrap(), 24 * HOUR, now()).unwrap()
}

fn web() -> Subject {
    Subject::Client { customer: "acme".parse().unwrap(), client: "web".parse().unwrap() }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn a_leaf_says_what_was_asked_for() {
    let (authority, key) = (authority(), PrivateKey::generate().unwrap());
    let issued = authority.issue(&Leaf::new(web(), HOUR), key.public(), now()).unwrap();
    let peer = Peer::of(&der(&issued.certificate)).unwrap();
    assert_eq!(peer.identity, issued.identity);
    assert_eq!(peer.identity.to_string(), "spiffe://kinetic.local/customers/acme/clients/web");
    assert_eq!(peer.serial, issued.serial);
    assert_eq!((peer.not_before, peer.not_after), (issued.not_before, issued.not_after));
    assert_eq!(peer.not_before, "2026-11-21T11:59:00Z".parse().unwrap());
    assert_eq!(peer.not_after, "2026-11-21T13:00:00Z".parse().unwrap());
    assert_eq!(peer.key, key.public().fingerprint());
}

#[test]
fn a_leaf_has_the_extensions_of_an_svid() {
    let (authority, key) = (authority(), PrivateKey::generate().unwrap());
    let leaf = Leaf {
        dns: vec!["amqps.acme.example".try_into().unwrap()],
        addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        ..Leaf::new(Subject::Redirector, HOUR)
    };
    for (leaf, server) in [(leaf, true), (Leaf::new(web(), HOUR), false)] {
        let issued = authority.issue(&leaf, key.public(), now()).unwrap();
        let (der, root) = (der(&issued.certificate), der(authority.certificate()));
        let certificate = X509Certificate::from_der(&der).unwrap().1;
        let root = X509Certificate::from_der(&root).unwrap().1;
        certificate.verify_signature(Some(root.public_key())).unwrap();
        let usage = certificate.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.digital_signature() && !usage.value.key_cert_sign());
        let purposes = certificate.extended_key_usage().unwrap().unwrap().value;
        assert_eq!((purposes.client_auth, purposes.server_auth, purposes.any), (true, server, false));
        let constraints = certificate.basic_constraints().unwrap().unwrap();
        assert!(!constraints.value.ca);
        let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(names.len(), if server { 4 } else { 1 });
        let identifiers = |certificate: &X509Certificate<'_>| {
            let mut found = (None, None);
            for extension in certificate.iter_extensions() {
                match extension.parsed_extension() {
                    ParsedExtension::SubjectKeyIdentifier(id) => found.0 = Some(id.0.to_vec()),
                    ParsedExtension::AuthorityKeyIdentifier(id) => {
                        found.1 = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                    }
                    _ => {}
                }
            }
            found
        };
        assert!(identifiers(&certificate).0.is_some());
        assert_eq!(identifiers(&certificate).1, identifiers(&root).0);
    }
}

#[test]
fn an_authority_signs_leaves_only() {
    let authority = authority();
    let root = der(authority.certificate());
    let certificate = X509Certificate::from_der(&root).unwrap().1;
    certificate.verify_signature(None).unwrap();
    let constraints = certificate.basic_constraints().unwrap().unwrap().value;
    assert_eq!((constraints.ca, constraints.path_len_constraint), (true, Some(0)));
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());
    assert_eq!(Peer::of(&root), Err(PeerError::Authority));
}

#[test]
fn what_is_written_is_read_again() {
    let authority = authority();
    let again = Authority::from_pem(authority.certificate(), &authority.key_pem()).unwrap();
    assert_eq!(again.trust_domain().to_string(), "kinetic.local");
    assert_eq!(again.fingerprint(), authority.fingerprint());
    assert_eq!(again.not_after(), "2026-11-22T12:00:00Z".parse().unwrap());
    assert!(!format!("{again:?}").contains("PRIVATE"));
}

#[test]
fn a_foreign_key_and_a_leaf_are_refused() {
    let (one, other, key) = (authority(), authority(), PrivateKey::generate().unwrap());
    let refused = |certificate: &str, key: &str| Authority::from_pem(certificate, key).unwrap_err();
    assert_eq!(refused(one.certificate(), &other.key_pem()), AuthorityError::KeyMismatch);
    let leaf = one.issue(&Leaf::new(web(), HOUR), key.public(), now()).unwrap();
    assert_eq!(refused(&leaf.certificate, &key.pem()), AuthorityError::NotAnAuthority);
    assert_eq!(refused("", &one.key_pem()), AuthorityError::NoCertificate);
    assert_eq!(refused(one.certificate(), ""), AuthorityError::Key(KeyError::NotP256));
}

#[test]
fn no_leaf_outlives_its_authority() {
    let (authority, key) = (authority(), PrivateKey::generate().unwrap());
    let long = authority.issue(&Leaf::new(web(), 1000 * HOUR), key.public(), now()).unwrap();
    assert_eq!(long.not_after, authority.not_after());
    let late = authority.issue(&Leaf::new(web(), HOUR), key.public(), authority.not_after());
    assert!(matches!(late, Err(AuthorityError::NotValid { .. })));
    let early = authority.issue(&Leaf::new(web(), HOUR), key.public(), now() - HOUR);
    assert!(matches!(early, Err(AuthorityError::NotValid { .. })));
}

#[test]
fn only_a_server_has_names() {
    let (authority, key) = (authority(), PrivateKey::generate().unwrap());
    let mut leaf = Leaf::new(web(), HOUR);
    leaf.dns.push("web.acme.example".try_into().unwrap());
    assert_eq!(authority.issue(&leaf, key.public(), now()), Err(AuthorityError::NotAServer(web())));
    let none = authority.issue(&Leaf::new(web(), Duration::ZERO), key.public(), now());
    assert_eq!(none, Err(AuthorityError::NoLifetime));
}

proptest! {
    #[test]
    fn any_time_and_lifetime_is_written_as_it_is_told(
        at in 0_i64..253_402_207_200, lifetime in 1_u64..400_000_000_000, backdate in 0_u64..100_000,
    ) {
        let now = Timestamp::from_second(at).unwrap();
        let authority = Authority::generate(&"kinetic.local".parse().unwrap(), Duration::MAX, now).unwrap();
        let key = PrivateKey::generate().unwrap();
        let leaf = Leaf { backdate: Duration::from_secs(backdate), ..Leaf::new(web(), Duration::from_secs(lifetime)) };
        if now >= authority.not_after() {
            return Ok(());
        }
        let issued = authority.issue(&leaf, key.public(), now).unwrap();
        let peer = Peer::of(&der(&issued.certificate)).unwrap();
        prop_assert_eq!((peer.not_before, peer.not_after), (issued.not_before, issued.not_after));
        prop_assert!(peer.not_before <= now && now < peer.not_after);
    }
}
