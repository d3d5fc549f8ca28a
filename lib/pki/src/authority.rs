//! A certificate authority: a self-signed certificate and its key, ECDSA on P-256, and what it issues.

use std::{fmt, net::IpAddr, time::Duration};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, DnsName, pem::PemObject};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use crate::{
    fingerprint::Fingerprint,
    identity::{Identity, Subject, TrustDomain},
    key::{KeyError, PrivateKey, PublicKey},
    peer::timestamp,
    serial::Serial,
};

/// So long before its issue a certificate is valid unless asked otherwise: clocks of those who check it are late by seconds.
pub const BACKDATE: Duration = Duration::from_mins(1);

/// An authority: it vouches for the identities of one trust domain.
///
/// Its certificate carries the trust domain's SPIFFE ID, may sign leaves only (path length 0), and has no name constraint: rustls-webpki
/// does not judge URIs by one.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    trust_domain: TrustDomain,
    fingerprint: Fingerprint,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// A certificate to be issued.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// For whom, within the authority's trust domain.
    pub subject: Subject,
    /// The DNS names that a server is reached by; for [`Subject::Redirector`] only.
    pub dns: Vec<DnsName<'static>>,
    /// The addresses that a server is reached by; for [`Subject::Redirector`] only.
    pub addresses: Vec<IpAddr>,
    /// From its issue to its end. It ends with the authority at the latest.
    pub lifetime: Duration,
    /// So long before its issue it is valid already; [`BACKDATE`] suits.
    pub backdate: Duration,
}

impl Leaf {
    /// A certificate without DNS names and addresses.
    #[must_use]
    pub const fn new(subject: Subject, lifetime: Duration) -> Self {
        Self { subject, dns: Vec::new(), addresses: Vec::new(), lifetime, backdate: BACKDATE }
    }
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// For whom.
    pub identity: Identity,
    /// The certificate, in PEM.
    pub certificate: String,
    /// Its serial number.
    pub serial: Serial,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

/// Why an authority cannot be, or does not issue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The certificate is no certificate in PEM.
    #[error(
        "the authority's certificate is none: PEM that begins with -----BEGIN CERTIFICATE----- is expected"
    )]
    NoCertificate,
    /// The certificate may not sign others.
    #[error("this certificate is not an authority's: it lacks `CA:TRUE` or the key usage `keyCertSign`")]
    NotAnAuthority,
    /// The certificate does not say which trust domain it vouches for.
    #[error(
        "the authority's certificate names no trust domain: its alternative names must hold one URI such as spiffe://kinetic.local"
    )]
    NoTrustDomain,
    /// The key cannot be used.
    #[error("the authority's key: {0}")]
    Key(#[from] KeyError),
    /// The key belongs to another certificate.
    #[error(
        "the authority's key does not belong to its certificate: put the pair back that was made together"
    )]
    KeyMismatch,
    /// It has run out, or is not valid yet.
    #[error("the authority is valid from {not_before} until {not_after}, not now: make a new one")]
    NotValid {
        /// Valid from.
        not_before: Timestamp,
        /// Valid until.
        not_after: Timestamp,
    },
    /// Names were asked for something that is no server.
    #[error("DNS names and addresses are for the redirector only, not for {0}")]
    NotAServer(Subject),
    /// A lifetime below a second.
    #[error("a certificate must live a second at least")]
    NoLifetime,
    /// The cryptography below refused.
    #[error("the certificate cannot be made: {0}")]
    Sign(String),
}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> Self {
        Self::Sign(error.to_string())
    }
}

impl Authority {
    /// A new authority with a new key, valid for `lifetime` from a minute before `now`.
    pub fn generate(
        trust_domain: &TrustDomain,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let key = PrivateKey::generate()?;
        let (not_before, not_after) = validity(lifetime, BACKDATE, now)?;
        let mut params = CertificateParams::default();
        set_validity(&mut params, not_before, not_after);
        params.serial_number = Some(random_serial());
        params.subject_alt_names = vec![uri(&trust_domain.id())?];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // Two authorities of one trust domain, as there are during a rotation, can be told apart by eye.
        let digits = &hex::encode(key.public().fingerprint().as_bytes())[..8];
        params.distinguished_name = name(&format!("Kinetic CA {digits}"), trust_domain);
        let certificate = params.self_signed(&key.pair)?.pem();
        Self::from_pem(&certificate, &key.pem())
    }

    /// Reads an authority's certificate and key.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| AuthorityError::NoCertificate)?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| AuthorityError::NoCertificate)?;
        if !may_sign(&parsed) {
            return Err(AuthorityError::NotAnAuthority);
        }
        let trust_domain = trust_domain(&parsed).ok_or(AuthorityError::NoTrustDomain)?;
        let key = PrivateKey::from_pem(key)?;
        if PublicKey::from_spki(parsed.public_key().raw).as_ref() != Some(key.public()) {
            return Err(AuthorityError::KeyMismatch);
        }
        Ok(Self {
            certificate: certificate.to_owned(),
            trust_domain,
            fingerprint: Fingerprint::of(&der),
            not_before: timestamp(parsed.validity().not_before),
            not_after: timestamp(parsed.validity().not_after),
            issuer: Issuer::from_ca_cert_der(&der, key.pair)?,
        })
    }

    /// Issues a certificate for this key: for clients, and for servers where the subject is the redirector.
    pub fn issue(&self, leaf: &Leaf, key: &PublicKey, now: Timestamp) -> Result<Issued, AuthorityError> {
        let Self { not_before, not_after, .. } = *self;
        if now < not_before || now >= not_after {
            return Err(AuthorityError::NotValid { not_before, not_after });
        }
        let server = leaf.subject == Subject::Redirector;
        if !server && (!leaf.dns.is_empty() || !leaf.addresses.is_empty()) {
            return Err(AuthorityError::NotAServer(leaf.subject.clone()));
        }
        let (from, until) = validity(leaf.lifetime, leaf.backdate, now)?;
        // rustls does not look at a trust anchor's own dates: a leaf that outlived it would go on being accepted.
        let (from, until) = (from.max(not_before), until.min(not_after));
        let identity = leaf.subject.clone().within(self.trust_domain.clone());
        let serial = random_serial();

        let mut params = CertificateParams::default();
        set_validity(&mut params, from, until);
        params.serial_number = Some(serial.clone());
        params.distinguished_name = leaf_name(&leaf.subject, &self.trust_domain);
        params.subject_alt_names = vec![uri(&identity.to_string())?];
        for dns in &leaf.dns {
            params.subject_alt_names.push(SanType::DnsName(dns.as_ref().to_owned().try_into()?));
        }
        params.subject_alt_names.extend(leaf.addresses.iter().copied().map(SanType::IpAddress));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if server {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.use_authority_key_identifier_extension = true;
        Ok(Issued {
            identity,
            certificate: params.signed_by(key, &self.issuer)?.pem(),
            serial: Serial::from_bytes(serial.as_ref()),
            not_before: from,
            not_after: until,
        })
    }

    /// Its certificate, in PEM: what others trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its key, in PEM: the secret of the whole trust domain.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Whose identities it vouches for.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Its certificate's fingerprint.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Valid from.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Valid until.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({}, {})", self.trust_domain, self.fingerprint)
    }
}

fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let usage = certificate.key_usage().ok().flatten();
    certificate.is_ca() && usage.is_some_and(|usage| usage.value.key_cert_sign())
}

/// The trust domain that an authority's certificate names (X.509-SVID, section 3.1: a SPIFFE ID without a path).
pub(crate) fn trust_domain(certificate: &X509Certificate<'_>) -> Option<TrustDomain> {
    let names = &certificate.subject_alternative_name().ok()??.value.general_names;
    let mut ids = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let id = ids.next().filter(|_| ids.next().is_none())?;
    id.strip_prefix("spiffe://")?.parse().ok()
}

/// From and until, in the whole seconds that X.509 knows.
fn validity(
    lifetime: Duration,
    backdate: Duration,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), AuthorityError> {
    if lifetime < Duration::from_secs(1) {
        return Err(AuthorityError::NoLifetime);
    }
    let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time);
    let from = now.checked_sub(backdate).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH);
    let until = now.checked_add(lifetime).unwrap_or(Timestamp::MAX);
    Ok((whole(from), whole(until)))
}

/// Neither time is before 1970.
fn set_validity(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let date_time = |time: Timestamp| {
        date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0))
    };
    params.not_before = date_time(from);
    params.not_after = date_time(until);
}

/// 128 random bits (RFC 5280, section 4.1.2.2, wants a positive number of at most 20 bytes).
fn random_serial() -> SerialNumber {
    SerialNumber::from_slice(&rand::random::<u128>().max(1).to_be_bytes())
}

fn uri(text: &str) -> Result<SanType, AuthorityError> {
    Ok(SanType::URI(text.try_into()?))
}

/// For people who look at certificates; nobody is recognised by it.
fn leaf_name(subject: &Subject, trust_domain: &TrustDomain) -> DistinguishedName {
    let path = subject.to_string();
    let path = path.trim_start_matches('/');
    name(if path.len() <= MAX_NAME { path } else { subject.kind() }, trust_domain)
}

/// The longest common name and organization (X.520's `ub-common-name`).
const MAX_NAME: usize = 64;

fn name(common_name: &str, trust_domain: &TrustDomain) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if trust_domain.len() <= MAX_NAME {
        name.push(DnType::OrganizationName, trust_domain.to_string());
    }
    name.push(DnType::CommonName, common_name);
    name
}

#[cfg(test)]
mod tests;
