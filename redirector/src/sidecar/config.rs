//! What a sidecar is told to do.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

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
    /// The profile in the routing key, `statsd.{profile}.{origin}`.
    pub profile: Name,
    /// Whose all of it is: the machine's name.
    pub origin: String,
    /// A message is closed before it grows beyond this many bytes …
    pub batch_bytes: usize,
    /// … or when its first line is this old.
    pub batch_age: Duration,
    /// Where messages wait while the upstream is away; None: in a little memory only.
    pub spool: Option<SpoolConfig>,
}

/// How to reach the customer's vhost at a front door: `address` is `HOST:PORT`, and the server's certificate must name the host.
pub fn upstream(address: &str, vhost: &str, tls: TlsSource) -> Result<AmqpConfig, BusError> {
    Ok(AmqpConfig::new(&format!("amqps://{address}"), vhost)?
        .with_identity(tls)
        .with_frame_max(FRAME_MAX)
        .with_connection_name("kinetic sidecar")
        .with_client_property("kinetic.version", env!("CARGO_PKG_VERSION")))
}
