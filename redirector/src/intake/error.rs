//! What can go wrong at the intake. Each text says all, so no variant has a `source` that would say it again.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use kinetic_bus::BusError;

/// Why the intake could not listen, read or publish.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The address could not be listened on.
    #[error("cannot listen for {protocol} on {transport} {addr}: {reason}; {}", hint(reason, protocol, flag))]
    Listen {
        /// `statsd` or `collectd`.
        protocol: &'static str,
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// The address.
        addr: SocketAddr,
        /// The flag of `kinetic run` that sets the address.
        flag: &'static str,
        /// What the system said.
        reason: io::Error,
    },

    /// The Unix socket could not be made.
    #[error("cannot listen for statsd on the Unix socket {}: {reason}; {}", path.display(), unix_hint(reason, flag))]
    ListenUnix {
        /// The socket's file.
        path: PathBuf,
        /// The flag that sets it.
        flag: &'static str,
        /// What the system said.
        reason: io::Error,
    },

    /// Standard input could not be read.
    #[error("cannot read statsd lines from standard input: {0}")]
    Read(io::Error),

    /// The bus refused messages for good; others may have arrived.
    #[error(transparent)]
    Bus(#[from] BusError),

    /// The bus did not confirm all messages in time.
    #[error("intake: messages still unconfirmed after {} s; they are lost", grace.as_secs_f64())]
    Unconfirmed {
        /// How long it was waited for.
        grace: Duration,
    },
}

fn hint(reason: &io::Error, protocol: &str, flag: &str) -> String {
    match reason.kind() {
        io::ErrorKind::AddrInUse => {
            format!("is another {protocol} running there? stop it, or choose another address by {flag}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need a privilege; choose a higher one by {flag}")
        }
        io::ErrorKind::AddrNotAvailable => format!("this machine has no such address; correct {flag}"),
        _ => format!("choose another address by {flag}, or turn it off by `{flag} off`"),
    }
}

fn unix_hint(reason: &io::Error, flag: &str) -> String {
    let hint = match reason.kind() {
        io::ErrorKind::AddrInUse => "another process listens there, or the file is no socket",
        io::ErrorKind::NotFound => "make its folder",
        io::ErrorKind::InvalidInput => "the system takes 107 bytes",
        _ => "give this user the right to make files there",
    };
    format!("{hint}, or choose another path by {flag}")
}
