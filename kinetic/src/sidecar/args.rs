//! The command line of `kinetic sidecar`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use kinetic_api::{duration::Duration, quantity::Bytes, resources::Name};
use kinetic_redirector::sidecar::Origin;

use crate::listen::Listen;

/// Takes statsd and AMQP in plain on this machine, and carries them to a customer's vhost at the front door by mutual TLS.
#[derive(Clone, Debug, Default, Args)]
#[command(
    after_help = "Examples:\n  kinetic sidecar --upstream kinetic.acme.example:5671 --vhost us-west.aws.acme \\\n      \
    --cert tls.crt --key tls.key --ca ca.crt --spool /var/spool/kinetic\n  \
    kinetic sidecar --config sidecar.yaml\n\n\
    Example configuration:\n  upstream: {address: kinetic.acme.example:5671, vhost: us-west.aws.acme, cert: tls.crt, key: tls.key, ca: ca.crt}\n  \
    amqp: 127.0.0.1:5672        # plain, any credentials; off\n  statsd: 127.0.0.1:8125      # UDP and TCP; off\n  \
    statsdSocket: /run/kinetic/statsd.socket              # unix://, datagrams\n  \
    statsdStreamSocket: /run/kinetic/statsd-stream.socket  # unixstream://\n  \
    profile: web                # where absent, the client's name in the certificate\n  \
    origin: web-1.acme.example  # where absent, the machine's name in the certificate, or its own\n  \
    batch: {size: 32Ki, age: 100ms}\n  \
    spool: {directory: /var/spool/kinetic, size: 256Mi, maxAge: 24h}\n  \
    admin: 127.0.0.1:8184"
)]
pub(crate) struct SidecarArgs {
    /// The configuration, a YAML file; flags win over it.
    #[arg(long, value_name = "FILE", env = "KINETIC_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// The front door: its certificate must name HOST, and by its SPIFFE ID, if it has one of our trust domain, be the redirector's.
    #[arg(long, value_name = "HOST:PORT", env = "KINETIC_UPSTREAM")]
    pub(super) upstream: Option<String>,
    /// The customer's vhost, `{region}.{provider}.{customer}`.
    #[arg(long, value_name = "NAME", env = "KINETIC_VHOST")]
    pub(super) vhost: Option<String>,
    /// The certificate to show there, in PEM; the files are followed, a new one is used from the next connection on.
    #[arg(long, value_name = "FILE", env = "KINETIC_CERT")]
    pub(super) cert: Option<PathBuf>,
    /// Its private key, in PEM.
    #[arg(long, value_name = "FILE", env = "KINETIC_KEY")]
    pub(super) key: Option<PathBuf>,
    /// The authorities to trust, in PEM.
    #[arg(long, value_name = "FILE", env = "KINETIC_CA")]
    pub(super) ca: Option<PathBuf>,
    /// Where AMQP is taken, plain and with any credentials, and passed on to the vhost; for this machine's own programs.
    /// [default: 127.0.0.1:5672]
    #[arg(long, value_name = "ADDR|off", env = "KINETIC_AMQP_LISTEN")]
    pub(super) amqp: Option<Listen>,
    /// Where statsd is taken, by UDP and TCP.  [default: 127.0.0.1:8125]
    #[arg(long, value_name = "ADDR|off", env = "KINETIC_STATSD")]
    pub(super) statsd: Option<Listen>,
    /// Where statsd datagrams are taken by a Unix socket, as DogStatsD clients send them to `unix://PATH`.
    #[arg(long, value_name = "PATH", env = "KINETIC_STATSD_SOCKET")]
    pub(super) statsd_socket: Option<PathBuf>,
    /// Where statsd packets are taken by a Unix stream socket, each behind its length, as DogStatsD clients send them to `unixstream://PATH`.
    #[arg(long, value_name = "PATH", env = "KINETIC_STATSD_STREAM_SOCKET")]
    pub(super) statsd_stream_socket: Option<PathBuf>,
    /// The profile that the metrics carry.  [default: the client's name in the certificate]
    #[arg(long, value_name = "NAME", env = "KINETIC_STATSD_PROFILE")]
    pub(super) profile: Option<Name>,
    /// Whose metrics they are.  [default: the machine's name in the certificate, or this machine's own]
    #[arg(long, value_name = "NAME", env = "KINETIC_ORIGIN")]
    pub(super) origin: Option<Origin>,
    /// A message is sent before it grows beyond this.  [default: 32Ki]
    #[arg(long, value_name = "SIZE", env = "KINETIC_BATCH_SIZE")]
    pub(super) batch_size: Option<Bytes>,
    /// A message is sent when its first line is this old.  [default: 100ms]
    #[arg(long, value_name = "DURATION", env = "KINETIC_BATCH_AGE")]
    pub(super) batch_age: Option<Duration>,
    /// Where metrics wait while the front door is away: a folder for this sidecar alone. Where absent, they wait in a little memory.
    #[arg(long, value_name = "DIR", env = "KINETIC_SPOOL")]
    pub(super) spool: Option<PathBuf>,
    /// What the spool may hold; then the oldest go.  [default: 256Mi]
    #[arg(long, value_name = "SIZE", env = "KINETIC_SPOOL_SIZE")]
    pub(super) spool_size: Option<Bytes>,
    /// What waited for longer is not sent any more.  [default: 24h]
    #[arg(long, value_name = "DURATION", env = "KINETIC_SPOOL_MAX_AGE")]
    pub(super) spool_max_age: Option<Duration>,
    /// Where /healthz, /readyz and /metrics are served.  [default: off]
    #[arg(long, value_name = "ADDR|off", env = "KINETIC_ADMIN")]
    pub(super) admin: Option<Listen>,
}

/// The address, if it is one.
pub(super) fn address(listen: Listen) -> Option<SocketAddr> {
    match listen {
        Listen::At(address) => Some(address),
        Listen::Off => None,
    }
}
