//! The servers that statsd is sent to: ours, and those it is compared with.

pub mod brubeck;
mod callgrind;
mod kinetic;
pub mod netdata;

use std::{
    net::UdpSocket,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::ensure;
use kinetic_tests::process::Kinetic as Process;
use tempfile::TempDir;

pub use self::{brubeck::Brubeck, callgrind::Callgrind, kinetic::Kinetic, netdata::Netdata};

/// Far above what any of them takes to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A statsd server on a UDP port of this machine; ended when dropped.
#[derive(Debug)]
pub struct Server {
    /// Its process; of several threads.
    pub process: Process,
    /// Where it takes statsd.
    pub port: u16,
    /// What it writes goes there.
    _folder: TempDir,
}

impl Server {
    /// Waits until it listens.
    fn listening(mut self) -> anyhow::Result<Self> {
        let start = Instant::now();
        while UdpSocket::bind(("127.0.0.1", self.port)).is_ok() {
            ensure!(self.process.is_running(), "it ended before it listened:\n{}", self.process.printed());
            ensure!(start.elapsed() < PATIENCE, "it does not listen:\n{}", self.process.printed());
            sleep(Duration::from_millis(10));
        }
        Ok(self)
    }
}
