//! Packets of collectd's network plugin over UDP.
//!
//! A packet's way: [`udp`] reads it, [`open`] checks its signature or decrypts it with the passwords of an [`AuthFile`], and what was
//! inside (parts as the plugin writes them, without signature) becomes one message: packets stand for themselves, since the plugin begins
//! each with host and time anew. The analyzer decodes the values.
//!
//! The layout is that of collectd's [binary protocol](https://github.com/collectd/collectd/wiki/Binary-protocol).

mod auth_file;
mod crypto;
#[cfg(test)]
mod encoder;
mod guard;
mod metrics;
mod open;
mod parts;
mod udp;
mod users;

use std::{net::SocketAddr, time::Duration};

use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

pub(super) use self::metrics::CollectdMetrics;
pub use self::{
    auth_file::{AuthFile, AuthFileError},
    guard::{Guard, Security},
};
use super::{IntakeError, IntakeMetrics, IntakeTarget, pipeline::Pipeline, protocol, udp::bind as bind_udp};

/// The running collectd intake of one target: any number of listeners, one publisher.
#[derive(Debug)]
pub struct CollectdIntake {
    pipeline: Pipeline,
}

impl CollectdIntake {
    /// Starts the publisher, as [`StatsdIntake::start`](super::StatsdIntake::start) does. `target.instance` must be another than that of
    /// any other intake.
    #[must_use]
    pub fn start(target: IntakeTarget, metrics: IntakeMetrics, cancel: &CancellationToken) -> Self {
        Self { pipeline: Pipeline::start(&protocol::COLLECTD, target, metrics, cancel) }
    }

    /// Takes packets on `addr` from now on, as far as `guard` lets them in; port 0 stands for any free one. Gives the address bound.
    pub fn listen(&self, addr: SocketAddr, guard: Guard) -> Result<SocketAddr, IntakeError> {
        let (socket, bound) = bind_udp(addr, protocol::COLLECTD.name, "--collectd", UdpSocket::from_std)?;
        self.pipeline
            .spawn(|hand_over, metrics, cancel| udp::serve(socket, guard, hand_over, metrics, cancel));
        Ok(bound)
    }

    /// Stops listening, publishes what was taken, and waits up to `grace` for the confirms.
    pub async fn stop(self, grace: Duration) -> Result<(), IntakeError> {
        self.pipeline.stop(grace).await
    }
}

#[cfg(test)]
mod tests;
