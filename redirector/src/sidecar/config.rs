//! What a sidecar is told to do.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use kinetic_api::resources::Name;
use kinetic_bus::{AmqpConfig, BusError, TlsSource};

use super::spool::SpoolConfig;

/// The client keeps 32 frames for each direction: with RabbitMQ's 128 KiB they would take 8 MiB.
const FRAME_MAX: u32 = 16 * 1024;

/// What a sidecar is told to do, checked.
#[derive(Clone, Debug)]
pub struct SidecarConfig {
    /// Where statsd is taken by UDP and TCP.
    pub statsd: Option<SocketAddr>,
    /// Where statsd datagrams are taken by a Unix socket.
    pub statsd_socket: Option<PathBuf>,
    /// Where statsd packets are taken by a Unix stream socket.
    pub statsd_stream_socket: Option<PathBuf>,
    /// The profile in the routing key, `statsd.{profile}.{origin}`.
    pub profile: Name,
    /// Whose all of it is: the machine's name.
    pub origin: Origin,
    /// A message is closed before it grows beyond this many bytes …
    pub batch_bytes: usize,
    /// … or when its first line is this old.
    pub batch_age: Duration,
    /// Where messages wait while the upstream is away; None: in a little memory only.
    pub spool: Option<SpoolConfig>,
}

/// Who sent a metric, as the end of a routing key: `statsd.{profile}.{origin}` has 255 bytes at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Arc<str>);

/// The longest origin, in bytes.
const MAX_ORIGIN: usize = 200;

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no origin: 1 to {MAX_ORIGIN} bytes without spaces are one, such as web-1.acme.example")]
pub struct InvalidOrigin(String);

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = (1..=MAX_ORIGIN).contains(&text.len())
            && !text.contains(|c: char| c.is_control() || c.is_whitespace());
        if valid { Ok(Self(text.into())) } else { Err(InvalidOrigin(text.chars().take(80).collect())) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Origin> for Arc<str> {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

/// How to reach the customer's vhost at a front door: `address` is `HOST:PORT`.
pub fn upstream(address: &str, vhost: &str, tls: TlsSource) -> Result<AmqpConfig, BusError> {
    Ok(AmqpConfig::new(&format!("amqps://{address}"), vhost)?
        .with_identity(tls)
        .with_frame_max(FRAME_MAX)
        .settling_at_first()
        .with_connection_name("kinetic sidecar")
        .with_client_property("kinetic.version", env!("CARGO_PKG_VERSION")))
}
