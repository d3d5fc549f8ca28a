//! statsd lines from sockets and standard input, batched by sender, onto `kinetic.metrics`.
//!
//! A line's way: [`udp`], [`tcp`] or [`stdin`] reads it, [`batch`] gathers what one sender sent within 100 ms,
//! [`publish`] stamps the batch and publishes it. Between reader and publisher lies a bounded hand-over, so that a
//! slow broker never stops a socket from being read: a full one makes UDP drop (counted) and TCP wait.
//! Lines are not looked into here; the analyzer decodes them.

mod batch;
mod error;
mod framing;
mod lines;
mod metrics;
mod publish;
mod stdin;
mod tcp;
mod udp;

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kinetic_bus::{Bus, BusError};
use tokio::{io::AsyncRead, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use publish::HandOver;

pub use error::IntakeError;
pub use metrics::IntakeMetrics;
pub use stdin::ORIGIN as STDIN_ORIGIN;

/// Where the intake's messages go, and as whose.
#[derive(Clone, Debug)]
pub struct IntakeTarget {
    /// The customer's vhost; `kinetic.metrics` must exist on it.
    pub bus: Bus,
    /// The profile that the messages carry in their routing key, `statsd.{profile}.{origin}`.
    pub profile: String,
    /// Unique to this process: the first half of every `message_id`, `{instance}-{sequence}`.
    pub instance: String,
}

/// The running intake of one target: any number of listeners, one publisher.
#[derive(Debug)]
pub struct StatsdIntake {
    hand_over: HandOver,
    metrics: IntakeMetrics,
    cancel: CancellationToken,
    listeners: TaskTracker,
    publisher: JoinHandle<Result<(), BusError>>,
}

impl StatsdIntake {
    /// Starts the publisher; listeners are opened on what this returns. Must be called within a tokio runtime.
    ///
    /// When `cancel` is cancelled the listeners stop reading and hand over what they took; [`stop`](Self::stop) then
    /// waits for its way to the bus.
    #[must_use]
    pub fn start(target: IntakeTarget, metrics: IntakeMetrics, cancel: &CancellationToken) -> Self {
        let (hand_over, publisher) = publish::start(target, metrics.clone());
        Self { hand_over, metrics, cancel: cancel.child_token(), listeners: TaskTracker::new(), publisher }
    }

    /// Takes statsd datagrams on `addr` from now on; port 0 stands for any free one. Gives the address bound.
    pub fn listen_udp(&self, addr: SocketAddr) -> Result<SocketAddr, IntakeError> {
        let (socket, bound) = udp::bind(addr)?;
        let reader = udp::serve(socket, self.hand_over.clone(), self.metrics.clone(), self.cancel.clone());
        self.listeners.spawn(reader);
        Ok(bound)
    }

    /// Takes newline-separated statsd lines over TCP on `addr` from now on; port 0 stands for any free one.
    /// Gives the address bound.
    pub async fn listen_tcp(&self, addr: SocketAddr) -> Result<SocketAddr, IntakeError> {
        let (listener, bound) = tcp::bind(addr).await?;
        let server = tcp::serve(listener, self.hand_over.clone(), self.metrics.clone(), self.cancel.clone());
        self.listeners.spawn(server);
        Ok(bound)
    }

    /// Takes lines from standard input from now on, until it ends.
    pub fn follow_stdin(&self) {
        let (hand_over, metrics, cancel) =
            (self.hand_over.clone(), self.metrics.clone(), self.cancel.clone());
        self.listeners.spawn(async move {
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
        stdin::read(input, &self.hand_over, &self.metrics, &self.cancel).await
    }

    /// Stops listening, publishes what was taken, and waits up to `grace` for the confirms.
    pub async fn stop(self, grace: Duration) -> Result<(), IntakeError> {
        let Self { hand_over, cancel, listeners, mut publisher, .. } = self;
        cancel.cancel();
        listeners.close();
        drop(hand_over);
        let finished = timeout(grace, async {
            listeners.wait().await;
            (&mut publisher).await
        });
        match finished.await {
            Ok(Ok(result)) => result.map_err(IntakeError::Bus),
            Ok(Err(ended)) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(IntakeError::Bus(BusError::Closed)),
            },
            Err(_) => {
                publisher.abort();
                Err(IntakeError::Unconfirmed { grace })
            }
        }
    }
}

/// The wall clock, in milliseconds since the epoch.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
