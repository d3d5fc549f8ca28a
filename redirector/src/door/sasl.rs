//! Who somebody says to be (SASL), beside what the certificate says. Pure.

use kinetic_pki::{Identity, Subject};

use super::refusal::Refusal;

/// What is offered to somebody with a certificate: libraries take the first that they know.
pub const WITH_CERTIFICATE: &[u8] = b"EXTERNAL PLAIN";
/// What is offered to somebody without.
pub const WITHOUT: &[u8] = b"PLAIN";

/// A user and a password (RFC 4616).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain<'a> {
    /// Who.
    pub user: &'a str,
    /// The password.
    pub password: &'a [u8],
}

impl<'a> Plain<'a> {
    /// Reads PLAIN's message: authorization identity, NUL, user, NUL, password.
    #[must_use]
    pub fn read(response: &'a [u8]) -> Option<Self> {
        let mut parts = response.splitn(3, |byte| *byte == 0);
        let (_authorization, user, password) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { user: std::str::from_utf8(user).ok()?, password })
    }
}

/// Writes PLAIN's message.
#[must_use]
pub fn plain(user: &str, password: &str) -> Vec<u8> {
    format!("\0{user}\0{password}").into_bytes()
}

/// Whether what SASL says agrees with the certificate: it names the same, or nobody.
///
/// EXTERNAL's response is the identity to act as, and empty where libraries have none (RFC 4422, appendix A). PLAIN is for programs
/// that know nothing else; their password is not looked at, as the certificate has proved who they are.
pub fn agrees(identity: &Identity, mechanism: &str, response: &[u8]) -> Result<(), Refusal> {
    let user = match mechanism {
        "EXTERNAL" => std::str::from_utf8(response).ok(),
        "PLAIN" => Plain::read(response).map(|plain| plain.user),
        other => return Err(Refusal::Mechanism(other.chars().take(40).collect())),
    };
    match user {
        Some(user) if user.is_empty() || names(identity, user) => Ok(()),
        other => Err(Refusal::OtherUser {
            identity: identity.to_string(),
            user: other.unwrap_or("(unreadable)").chars().take(100).collect(),
        }),
    }
}

/// Whether a user's name means this identity: its SPIFFE ID, or in short what it is called at its customer.
fn names(identity: &Identity, user: &str) -> bool {
    let short = match &identity.subject {
        Subject::Client { client, .. } => user == &**client,
        Subject::Machine { client, machine, .. } => user == &**client || user == &**machine,
        Subject::Analyzer { topology, .. } => user == &**topology,
        Subject::Control { name, .. } => user == &**name,
        Subject::Redirector | Subject::Alert | Subject::Operator | Subject::Console => {
            user == identity.subject.kind()
        }
    };
    short || user == identity.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identity(path: &str) -> Identity {
        format!("spiffe://kinetic.local{path}").parse().unwrap()
    }

    #[test]
    fn the_same_or_nobody() {
        let web = identity("/customers/acme/clients/web");
        let machine = identity("/customers/acme/clients/web/machines/web-1.acme.example");
        for (identity, mechanism, response, agreed) in [
            (&web, "EXTERNAL", &b""[..], true),
            (&web, "EXTERNAL", b"web", true),
            (&web, "EXTERNAL", b"spiffe://kinetic.local/customers/acme/clients/web", true),
            (&web, "EXTERNAL", b"db", false),
            (&web, "PLAIN", b"\0web\0anything", true),
            (&web, "PLAIN", b"\0\0", true),
            (&web, "PLAIN", b"\0guest\0guest", false),
            (&web, "PLAIN", b"", false),
            (&machine, "PLAIN", b"\0web\0", true),
            (&machine, "EXTERNAL", b"web-1.acme.example", true),
            (&machine, "EXTERNAL", b"web-2.acme.example", false),
            (&identity("/alert"), "EXTERNAL", b"alert", true),
        ] {
            assert_eq!(agrees(identity, mechanism, response).is_ok(), agreed, "{mechanism} {response:?}");
        }
        assert!(matches!(agrees(&web, "AMQPLAIN", b""), Err(Refusal::Mechanism(_))));
    }

    #[test]
    fn what_is_written_is_read() {
        let written = plain("us-west.aws.acme/clients/web", "p\u{e4}ss");
        let read = Plain::read(&written).unwrap();
        assert_eq!((read.user, read.password), ("us-west.aws.acme/clients/web", "p\u{e4}ss".as_bytes()));
    }

    proptest! {
        #[test]
        fn any_response_is_plain_or_not(response in prop::collection::vec(any::<u8>(), 0..60)) {
            let nuls = memchr::memchr_iter(0, &response).count();
            prop_assert!(Plain::read(&response).is_none() || nuls >= 2);
        }
    }
}
