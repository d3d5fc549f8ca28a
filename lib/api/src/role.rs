//! Who a program is to a broker: one user for each role on a vhost, with the least that the role needs.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::names;

/// What somebody does on a customer's vhost.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A class of machines that send, with the label that their messages carry.
    Client {
        /// The class.
        client: String,
        /// The only profile that it may publish with.
        profile: String,
    },
    /// Reads streams, publishes findings.
    Analyzer,
    /// Reads findings.
    Alert,
    /// Asks and steers analyzers: a person, or a console.
    Control,
}

/// Regular expressions of what a user may touch (RabbitMQ, "Access Control": configure, write, read).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// What it may declare and delete.
    pub configure: String,
    /// What it may publish to, and which queues it may bind.
    pub write: String,
    /// What it may consume from, and which exchanges it may bind to.
    pub read: String,
}

/// Which routing keys a user may use at a topic exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPermission {
    /// The exchange.
    pub exchange: &'static str,
    /// Keys that it may publish with, as a regular expression.
    pub write: String,
    /// Keys that it may bind by, as a regular expression.
    pub read: String,
}

const NOTHING: &str = "^$";
const ALL: &str = ".*";
/// Queues that a broker named for its only user.
const OWN: &str = r"amq\.gen.*";

impl Role {
    /// The name of the role's user: users belong to a whole broker, so the vhost is a part of it.
    #[must_use]
    pub fn user(&self, vhost: &str) -> String {
        format!("{vhost}/{self}")
    }

    /// Its password: HMAC-SHA256 (RFC 2104) of a master key over vhost, role and version, in hexadecimal. Another version is another
    /// password, of the same key.
    #[must_use]
    pub fn password(&self, master_key: &[u8], vhost: &str, version: u32) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(master_key) else {
            unreachable!("HMAC takes a key of any length")
        };
        mac.update(format!("{vhost}\0{self}\0{version}").as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    /// What its user may touch.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        let of = |configure: &str, write: &[&str], read: &[&str]| Permissions {
            configure: configure.to_owned(),
            write: any(write),
            read: any(read),
        };
        let exact = |name: &str| name.replace('.', r"\.");
        let [metrics, anomalies, control, replies, config] = [
            names::METRICS_EXCHANGE,
            names::ANOMALIES_EXCHANGE,
            names::CONTROL_EXCHANGE,
            names::REPLIES_EXCHANGE,
            names::CONFIG_EXCHANGE,
        ]
        .map(exact);
        match self {
            Self::Client { .. } => of(NOTHING, &[&metrics], &[]),
            Self::Analyzer => of(
                &any(&[OWN, r"kinetic\.lock\..*"]),
                &[OWN, &metrics, &anomalies, &replies, &config],
                &[OWN, &format!(r"{metrics}\..*"), &control],
            ),
            Self::Alert => of(NOTHING, &[], &[&exact(names::ANOMALIES_QUEUE)]),
            Self::Control => of(&any(&[OWN]), &[OWN, &control], &[OWN, &replies, &config]),
        }
    }

    /// Which keys its user may use where keys matter. At topic exchanges that are not named here its permissions alone decide.
    #[must_use]
    pub fn topic_permissions(&self) -> Vec<TopicPermission> {
        match self {
            // A tick is none of a client's, whose profile may be called like a topology.
            Self::Client { profile, .. } => vec![TopicPermission {
                exchange: names::METRICS_EXCHANGE,
                write: format!(r"^(?!tick\.)[^.]+\.{profile}\."),
                read: NOTHING.to_owned(),
            }],
            Self::Analyzer => vec![TopicPermission {
                exchange: names::METRICS_EXCHANGE,
                write: r"^tick\.".to_owned(),
                read: ALL.to_owned(),
            }],
            Self::Alert | Self::Control => Vec::new(),
        }
    }
}

/// A whole name that is one of these.
fn any(names: &[&str]) -> String {
    if names.is_empty() { NOTHING.to_owned() } else { format!("^({})$", names.join("|")) }
}

/// `clients/web`, `analyzer`, `alert`, `control`.
impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { client, .. } => write!(formatter, "clients/{client}"),
            Self::Analyzer => formatter.write_str("analyzer"),
            Self::Alert => formatter.write_str("alert"),
            Self::Control => formatter.write_str("control"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Role {
        Role::Client { client: "web".to_owned(), profile: "front".to_owned() }
    }

    #[test]
    fn a_user_is_of_one_vhost() {
        assert_eq!(web().user("us-west.aws.acme"), "us-west.aws.acme/clients/web");
        assert_eq!(Role::Alert.user("us-west.aws.acme"), "us-west.aws.acme/alert");
    }

    /// Independently: `printf 'us-west.aws.acme\0clients/web\0001' | openssl dgst -sha256 -hmac master`.
    #[test]
    fn a_password_follows_from_key_vhost_role_and_version() {
        let password = web().password(b"master", "us-west.aws.acme", 1);
        assert_eq!(password, "808d2675175f79626baffb09e5e91d58f8c60932139247ab5668b7be0b76df13");
        let others = [
            web().password(b"other", "us-west.aws.acme", 1),
            web().password(b"master", "us-east.aws.acme", 1),
            web().password(b"master", "us-west.aws.acme", 2),
            Role::Analyzer.password(b"master", "us-west.aws.acme", 1),
        ];
        assert!(!others.contains(&password));
    }

    #[test]
    fn the_least_that_a_role_needs() {
        assert_eq!(
            web().permissions(),
            Permissions { configure: "^$".into(), write: r"^(kinetic\.metrics)$".into(), read: "^$".into() }
        );
        assert_eq!(web().topic_permissions()[0].write, r"^(?!tick\.)[^.]+\.front\.");
        assert_eq!(Role::Alert.permissions().read, r"^(kinetic\.anomalies\.alert)$");
        assert_eq!(Role::Alert.permissions().write, "^$");
    }
}
