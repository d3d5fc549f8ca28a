//! What requests are called: so that the same request has the same name, and nobody else can guess it.

use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use kinetic_api::resources::Name;
use kinetic_pki::{Fingerprint, MachineName, Serial};
use sha2::Sha256;

/// A request's name: 128 bits in hexadecimal. Whoever knows it may ask what became of the request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnrollmentId(String);

/// A text that is no request's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no enrolment's id: it has 32 hexadecimal digits; `kinetic enrollments` lists them")]
pub struct InvalidEnrollmentId(String);

impl EnrollmentId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnrollmentId {
    type Err = InvalidEnrollmentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if text.len() == 32 && text.bytes().all(digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidEnrollmentId(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for EnrollmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asks for what: what makes two requests the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whose machine.
    pub customer: Name,
    /// Of which class.
    pub client: Name,
    /// Its name.
    pub machine: MachineName,
    /// The key's fingerprint.
    pub key: Fingerprint,
    /// The certificate that is renewed; none where a token was shown.
    pub renews: Option<Serial>,
}

/// The secret that ids are made with: every replica of the front door has the same.
#[derive(Clone)]
pub struct IdKey([u8; 32]);

impl IdKey {
    /// A key from its bytes.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// A key that follows from a secret which every replica of the front door has: its master key.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    #[must_use]
    pub fn derived(secret: &[u8]) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
        mac.update(b"kinetic enrolment ids");
        Self(mac.finalize().into_bytes().into())
    }

    /// What a request is called. The same machine with the same key may ask anew once a request has run out: `attempt` counts these.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    #[must_use]
    pub fn id(&self, wanted: &Wanted, attempt: u32) -> EnrollmentId {
        let Wanted { customer, client, machine, key, renews } = wanted;
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        // None of the parts can hold a line's end.
        let renews = renews.as_ref().map_or("", Serial::as_str);
        mac.update(format!("{customer}\n{client}\n{}\n{key}\n{renews}\n{attempt}", &**machine).as_bytes());
        EnrollmentId(hex::encode(&mac.finalize().into_bytes()[..16]))
    }
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_and_the_key_make_the_id() {
        let wanted = Wanted {
            customer: "acme".parse().unwrap(),
            client: "web".parse().unwrap(),
            machine: "web-1".parse().unwrap(),
            key: Fingerprint::of(b"key"),
            renews: None,
        };
        let key = IdKey::new([1; 32]);
        let others = [
            Wanted { customer: "beta".parse().unwrap(), ..wanted.clone() },
            Wanted { client: "db".parse().unwrap(), ..wanted.clone() },
            Wanted { machine: "web-2".parse().unwrap(), ..wanted.clone() },
            Wanted { key: Fingerprint::of(b"other"), ..wanted.clone() },
            Wanted { renews: Some(Serial::from_bytes(b"1")), ..wanted.clone() },
        ];
        let mut ids: Vec<_> = others.iter().map(|other| key.id(other, 0)).collect();
        ids.extend([key.id(&wanted, 0), key.id(&wanted, 1), IdKey::new([2; 32]).id(&wanted, 0)]);
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all);
        assert_eq!(key.id(&wanted, 0), key.id(&wanted.clone(), 0));
        assert_eq!(ids[0].as_str().parse(), Ok(ids[0].clone()));
    }

    #[test]
    fn what_is_no_id_is_no_path_either() {
        for text in
            ["", "../../etc/passwd", &"A".repeat(32), &"0".repeat(31), "0123456789abcdef0123456789abcde/"]
        {
            assert!(text.parse::<EnrollmentId>().is_err(), "{text}");
        }
    }
}
