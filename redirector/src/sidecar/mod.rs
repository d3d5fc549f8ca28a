//! The other end of the front door: plain on this machine, mutual TLS outside.
//!
//! statsd's way: the [intake](crate::intake)'s readers gather lines as they do for `kinetic run`; [`forward`] numbers and sends them, and
//! keeps what the upstream does not take in [`spool`], whose files ([`segment`]) hold [`record`]s. AMQP is [passed](pass) through.

mod config;
mod forward;
mod metrics;
mod pass;
mod record;
mod segment;
mod spool;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use kinetic_bus::{Bus, ConnectionState};
use tokio::{sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::intake::{IntakeError, IntakeMetrics, StatsdIntake, batch::Gathering, pipeline::Pipeline};
use spool::Spool;

pub use config::{InvalidOrigin, Origin, SidecarConfig, upstream};
pub use metrics::SidecarMetrics;
pub use pass::AmqpPass;
#[doc(hidden)]
pub use record::walk;
pub use spool::{SpoolConfig, SpoolError};

/// Why a sidecar could not start, or not end well.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// It cannot listen, or its messages had no end in time.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// It cannot use its spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// A running sidecar's statsd half.
#[derive(Debug)]
pub struct StatsdRelay {
    intake: StatsdIntake,
    state: watch::Receiver<ConnectionState>,
    statsd: Option<SocketAddr>,
}

impl StatsdRelay {
    /// Listens from now on, whether or not the upstream answers. `instance` must be unique to this process: a UUID.
    ///
    /// When `cancel` is cancelled the listeners stop; [`stop`](Self::stop) then waits for what they took.
    pub async fn start(
        config: SidecarConfig,
        upstream: &Bus,
        instance: &str,
        intake: IntakeMetrics,
        metrics: SidecarMetrics,
        cancel: &CancellationToken,
    ) -> Result<Self, SidecarError> {
        let spool = match config.spool {
            Some(config) => Some(open(config, &metrics).await?),
            None => None,
        };
        let sender = forward::Sender { instance: instance.into(), profile: Arc::from(&*config.profile) };
        let (hand_over, publisher) = forward::start(upstream, sender, spool, intake.clone(), metrics);
        let pipeline = Pipeline::before(hand_over, publisher, intake, cancel);
        let gathering = Gathering {
            origin: Some(config.origin.into()),
            max_bytes: config.batch_bytes,
            max_age: config.batch_age,
        };
        let intake = StatsdIntake::over(pipeline, gathering, "--statsd");
        let statsd = match config.statsd {
            Some(address) => Some(intake.listen(address).await?),
            None => None,
        };
        if let Some(path) = &config.statsd_socket {
            intake.listen_unix(path)?;
        }
        if let Some(path) = &config.statsd_stream_socket {
            intake.listen_unix_stream(path)?;
        }
        Ok(Self { intake, state: upstream.state(), statsd })
    }

    /// Where it takes statsd, by UDP and by TCP.
    #[must_use]
    pub fn statsd(&self) -> Option<SocketAddr> {
        self.statsd
    }

    /// Whether the upstream can be reached, now and in future.
    #[must_use]
    pub fn upstream(&self) -> watch::Receiver<ConnectionState> {
        self.state.clone()
    }

    /// Stops listening; what was taken is sent, or put on disk, within `grace`: ten seconds are ample.
    pub async fn stop(self, grace: Duration) -> Result<(), SidecarError> {
        Ok(self.intake.stop(grace).await?)
    }
}

async fn open(config: SpoolConfig, metrics: &SidecarMetrics) -> Result<Spool, SpoolError> {
    let opened = spawn_blocking(move || Spool::open(config)).await;
    let (spool, torn) = opened.unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))?;
    if torn > 0 {
        metrics.torn_bytes.inc_by(torn);
        tracing::warn!(
            bytes = torn,
            "a record that an earlier process had not finished was cut off the spool"
        );
    }
    if spool.bytes() > 0 {
        tracing::info!(bytes = spool.bytes(), "what an earlier process left on disk is sent first");
    }
    Ok(spool)
}

#[cfg(test)]
mod tests;
