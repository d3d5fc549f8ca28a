//! A connection as others see it, while it lives.

use std::net::SocketAddr;

use jiff::Timestamp;
use kinetic_api::role::Role;

use super::{account::Traffic, properties::Announced, routes::Who};

/// A connection that is open.
#[derive(Debug)]
pub struct Live {
    /// Counted since the start of the front door.
    pub number: u64,
    /// Who it is.
    pub who: Who,
    /// Whose vhost it is in.
    pub customer: String,
    /// As what.
    pub role: Role,
    /// Where it comes from.
    pub address: SocketAddr,
    /// Since when.
    pub since: Timestamp,
    /// What it tells of itself.
    pub announced: Announced,
    /// What it has sent.
    pub received: Traffic,
    /// What it was sent.
    pub sent: Traffic,
}
