//! What a front door tells of its own connections over HTTP. Whoever reads it (operator, console, command line) merges those of all.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer of `GET /v1/registry`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    /// When it was asked.
    pub time: Timestamp,
    /// The connections that are open, the oldest first.
    pub connections: Vec<Connection>,
    /// Everybody who has been seen lately, by name.
    pub identities: Vec<Seen>,
    /// The customers that have connected, by name.
    pub customers: Vec<CustomerUse>,
}

/// An open connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// A SPIFFE ID; `CUSTOMER/CLIENT` of one that came by an API key.
    pub identity: String,
    /// Whose vhost it is in.
    pub customer: String,
    /// `clients/web`, `analyzer`, `alert`, `control`.
    pub role: String,
    /// Where it comes from.
    pub address: String,
    /// Since when.
    pub since: Timestamp,
    /// What it says to be: product and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What its people call it (`connection_name`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What an analyzer reads (`kinetic.sources`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<String>,
    /// The certificate's serial number, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// When the certificate runs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// Messages that it has sent.
    pub messages: u64,
    /// Bytes that it has sent.
    pub bytes: u64,
    /// Messages that it was sent.
    pub delivered_messages: u64,
    /// Bytes that it was sent.
    pub delivered_bytes: u64,
}

/// Somebody who is, or was, connected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// As in [`Connection::identity`].
    pub identity: String,
    /// Whose.
    pub customer: String,
    /// How it stands.
    pub presence: Presence,
    /// How many connections it has.
    pub connections: usize,
    /// When it was last heard of.
    pub last_seen: Timestamp,
}

/// What somebody's connections say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Presence {
    /// It is connected, and sends.
    Online,
    /// It is connected, and has sent nothing for five minutes.
    Idle,
    /// It is not connected.
    Offline,
    /// One machine has connected five times or more within ten minutes.
    Flapping,
    /// One machine's certificate is in use at two addresses.
    Duplicate,
}

/// What a customer uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomerUse {
    /// The customer.
    pub customer: String,
    /// How many connections it has.
    pub connections: u32,
    /// Messages that its clients have sent since the front door's start.
    pub messages: u64,
    /// Bytes that its clients have sent since then.
    pub bytes: u64,
    /// Whether an operator holds it up.
    pub hold: Hold,
}

/// Whether an operator holds a customer up. The body of `PUT /v1/customers/{customer}/hold`, as a JSON string.
/// The strictest is the greatest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hold {
    /// No.
    #[default]
    No,
    /// Nothing is read from its clients; connections stay.
    Paused,
    /// Its connections are closed, and none is taken.
    Disconnected,
}

impl Hold {
    /// What people call it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "resumed",
            Self::Paused => "paused",
            Self::Disconnected => "disconnected",
        }
    }
}
