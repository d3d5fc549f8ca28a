//! statsd lines and collectd packets from sockets and standard input onto `kinetic.metrics`.
//!
//! A statsd line's way: [`reader`] (UDP, Unix datagrams), [`tcp`], [`unix_stream`] or [`stdin`] reads it, [`batch`] gathers what one sender sent within 20 ms,
//! [`publish`] stamps the batch and publishes it. Between reader and publisher lies a bounded [`hand_over`], so that a
//! slow broker never stops a socket from being read: a full one makes UDP drop (counted) and TCP wait.
//! Lines are not looked into here; the analyzer decodes them. Packets of collectd's network plugin ([`collectd`]) are
//! checked and decrypted here, where the passwords are, and decoded there.

pub(crate) mod batch;
mod clients;
mod collectd;
mod datagrams;
mod error;
mod framing;
pub(crate) mod hand_over;
mod lines;
mod metrics;
mod packets;
pub(crate) mod pipeline;
pub(crate) mod protocol;
mod publish;
mod reader;
pub(crate) mod stamp;
mod stdin;
mod tcp;
mod udp;
mod unix;
mod unix_stream;

use std::{
    io,
    net::SocketAddr,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kinetic_bus::Bus;
use tokio::{
    io::AsyncRead,
    net::{TcpListener, UnixListener},
};
use tokio_util::sync::CancellationToken;

use batch::Gathering;
use datagrams::Socket;
use pipeline::Pipeline;

pub use collectd::{AuthFile, AuthFileError, CollectdIntake, Guard, Security};
pub use error::IntakeError;
pub use metrics::IntakeMetrics;
pub use stdin::ORIGIN as STDIN_ORIGIN;

/// The origin of what comes by a Unix socket, unless another is set: its senders have no address.
const UNIX_ORIGIN: &str = "unix";

/// So many ports are tried where any will do.
const TRIES: usize = 16;

/// Where the intake's messages go, and as whose.
#[derive(Clone, Debug)]
pub struct IntakeTarget {
    /// The customer's vhost; `kinetic.metrics` must exist on it.
    pub bus: Bus,
    /// The profile that the messages carry in their routing key, `{statsd|collectd}.{profile}.{origin}`.
    pub profile: String,
    /// Unique to this process: the first half of every `message_id`, `{instance}-{sequence}`.
    pub instance: String,
}

/// The running statsd intake of one target: any number of listeners, one publisher.
#[derive(Debug)]
pub struct StatsdIntake {
    pipeline: Pipeline,
    gathering: Gathering,
    /// The flag that sets the address for TCP.
    tcp_flag: &'static str,
}

impl StatsdIntake {
    /// Starts the publisher; listeners are opened on what this returns. Must be called within a tokio runtime.
    ///
    /// When `cancel` is cancelled the listeners stop reading and hand over what they took; [`stop`](Self::stop) then
    /// waits for its way to the bus.
    #[must_use]
    pub fn start(target: IntakeTarget, metrics: IntakeMetrics, cancel: &CancellationToken) -> Self {
        let pipeline = Pipeline::start(&protocol::STATSD, target, metrics, cancel);
        Self { pipeline, gathering: Gathering::default(), tcp_flag: "--statsd-tcp" }
    }

    /// Gathers lines in its own way, for a publisher that runs already.
    pub(crate) fn over(pipeline: Pipeline, gathering: Gathering, tcp_flag: &'static str) -> Self {
        Self { pipeline, gathering, tcp_flag }
    }

    /// Takes statsd datagrams on `addr` from now on; port 0 stands for any free one. Gives the address bound.
    pub fn listen_udp(&self, addr: SocketAddr) -> Result<SocketAddr, IntakeError> {
        let (socket, bound) = udp::bind(addr, protocol::STATSD.name, "--statsd", Ok)?;
        self.take_datagrams(Socket::Udp(socket), self.gathering.clone());
        Ok(bound)
    }

    /// Takes statsd at one address by UDP and by TCP from now on; port 0 stands for any that is free for both. Gives the address bound.
    pub(crate) async fn listen(&self, addr: SocketAddr) -> Result<SocketAddr, IntakeError> {
        let mut tries = TRIES;
        loop {
            let (socket, bound) = udp::bind(addr, protocol::STATSD.name, "--statsd", Ok)?;
            match tcp::bind(bound, self.tcp_flag).await {
                // The system chose it for UDP; somebody else may have it for TCP.
                Err(IntakeError::Listen { reason, .. })
                    if addr.port() == 0 && tries > 0 && reason.kind() == io::ErrorKind::AddrInUse =>
                {
                    tries -= 1;
                }
                Err(error) => return Err(error),
                Ok((listener, _)) => {
                    self.take_datagrams(Socket::Udp(socket), self.gathering.clone());
                    self.take_connections(listener);
                    return Ok(bound);
                }
            }
        }
    }

    fn take_datagrams(&self, socket: Socket, gathering: Gathering) {
        self.pipeline
            .spawn(|hand_over, metrics, cancel| reader::serve(socket, gathering, hand_over, metrics, cancel));
    }

    fn take_connections(&self, listener: TcpListener) {
        let gathering = self.gathering.clone();
        self.pipeline
            .spawn(|hand_over, metrics, cancel| tcp::serve(listener, gathering, hand_over, metrics, cancel));
    }

    /// Takes statsd datagrams from a Unix socket at `path` from now on; its file goes when listening ends.
    pub fn listen_unix(&self, path: &Path) -> Result<(), IntakeError> {
        let (socket, file) = unix::bind(path)?;
        let socket = Socket::Unix(socket);
        let gathering = self.unix_gathering();
        self.pipeline.spawn(|hand_over, metrics, cancel| async move {
            reader::serve(socket, gathering, hand_over, metrics, cancel).await;
            drop(file);
        });
        Ok(())
    }

    /// Takes statsd from a Unix stream socket at `path` from now on, each packet behind its length; its file goes when listening ends.
    pub fn listen_unix_stream(&self, path: &Path) -> Result<(), IntakeError> {
        let (listener, file) = unix::bind_stream(path)?;
        let listener = UnixListener::from_std(listener).map_err(|reason| IntakeError::ListenUnix {
            path: path.to_owned(),
            flag: "--statsd-stream-socket",
            reason,
        })?;
        let gathering = self.unix_gathering();
        self.pipeline.spawn(|hand_over, metrics, cancel| async move {
            unix_stream::serve(listener, gathering, hand_over, metrics, cancel).await;
            drop(file);
        });
        Ok(())
    }

    fn unix_gathering(&self) -> Gathering {
        let mut gathering = self.gathering.clone();
        gathering.origin.get_or_insert_with(|| UNIX_ORIGIN.into());
        gathering
    }

    /// Takes newline-separated statsd lines over TCP on `addr` from now on; port 0 stands for any free one.
    /// Gives the address bound.
    pub async fn listen_tcp(&self, addr: SocketAddr) -> Result<SocketAddr, IntakeError> {
        let (listener, bound) = tcp::bind(addr, self.tcp_flag).await?;
        self.take_connections(listener);
        Ok(bound)
    }

    /// Takes lines from standard input from now on, until it ends.
    pub fn follow_stdin(&self) {
        self.pipeline.spawn(|hand_over, metrics, cancel| async move {
            match stdin::read(tokio::io::stdin(), &hand_over, &metrics, &cancel).await {
                Ok(()) => tracing::info!("standard input has ended"),
                Err(error) => tracing::error!(%error, "standard input is no longer read"),
            }
        });
    }

    /// Reads standard input to its end and returns when the bus has confirmed all of it.
    pub async fn read_stdin(&self) -> Result<(), IntakeError> {
        self.read(tokio::io::stdin()).await
    }

    /// Reads any source of newline-separated lines to its end, as [`read_stdin`](Self::read_stdin) does.
    pub async fn read(&self, input: impl AsyncRead + Unpin) -> Result<(), IntakeError> {
        let Pipeline { hand_over, metrics, cancel, .. } = &self.pipeline;
        stdin::read(input, hand_over, metrics, cancel).await
    }

    /// Stops listening, publishes what was taken, and waits up to `grace` for the confirms.
    pub async fn stop(self, grace: Duration) -> Result<(), IntakeError> {
        self.pipeline.stop(grace).await
    }
}

/// The wall clock, in milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
