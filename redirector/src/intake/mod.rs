//! statsd lines and collectd packets from sockets and standard input onto `kinetic.metrics`.
//!
//! A statsd line's way: [`udp`], [`tcp`] or [`stdin`] reads it, [`batch`] gathers what one sender sent within 20 ms,
//! [`publish`] stamps the batch and publishes it. Between reader and publisher lies a bounded hand-over, so that a
//! slow broker never stops a socket from being read: a full one makes UDP drop (counted) and TCP wait.
//! Lines are not looked into here; the analyzer decodes them. Packets of collectd's network plugin ([`collectd`]) are
//! checked and decrypted here, where the passwords are, and decoded there.

mod batch;
mod collectd;
mod datagrams;
mod error;
mod framing;
mod lines;
mod metrics;
mod pipeline;
mod protocol;
mod publish;
mod stdin;
mod tcp;
mod udp;

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kinetic_bus::Bus;
use tokio::io::AsyncRead;
use tokio_util::sync::CancellationToken;

use pipeline::Pipeline;

pub use collectd::{AuthFile, AuthFileError, CollectdIntake, Guard, Security};
pub use error::IntakeError;
pub use metrics::IntakeMetrics;
pub use stdin::ORIGIN as STDIN_ORIGIN;

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
}

impl StatsdIntake {
    /// Starts the publisher; listeners are opened on what this returns. Must be called within a tokio runtime.
    ///
    /// When `cancel` is cancelled the listeners stop reading and hand over what they took; [`stop`](Self::stop) then
    /// waits for its way to the bus.
    #[must_use]
    pub fn start(target: IntakeTarget, metrics: IntakeMetrics, cancel: &CancellationToken) -> Self {
        Self { pipeline: Pipeline::start(&protocol::STATSD, target, metrics, cancel) }
    }

    /// Takes statsd datagrams on `addr` from now on; port 0 stands for any free one. Gives the address bound.
    pub fn listen_udp(&self, addr: SocketAddr) -> Result<SocketAddr, IntakeError> {
        let (socket, bound) = udp::bind(addr, protocol::STATSD.name, "--statsd", Ok)?;
        self.pipeline.spawn(|hand_over, metrics, cancel| udp::serve(socket, hand_over, metrics, cancel));
        Ok(bound)
    }

    /// Takes newline-separated statsd lines over TCP on `addr` from now on; port 0 stands for any free one.
    /// Gives the address bound.
    pub async fn listen_tcp(&self, addr: SocketAddr) -> Result<SocketAddr, IntakeError> {
        let (listener, bound) = tcp::bind(addr).await?;
        self.pipeline.spawn(|hand_over, metrics, cancel| tcp::serve(listener, hand_over, metrics, cancel));
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
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
