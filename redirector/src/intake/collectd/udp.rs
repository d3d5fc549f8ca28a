//! Reads packets from a socket. Like the statsd reader it never waits for the bus: what it cannot hand over it drops and counts.

use std::{io, net::IpAddr, time::Duration};

use bytes::Bytes;
use tokio::{
    net::UdpSocket,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{CollectdMetrics, guard::Guard, metrics::Refusal, open::open, parts};
use crate::intake::{IntakeMetrics, batch::Batch, hand_over::HandOver, now_ms};

/// The largest UDP payload there is.
const MAX_DATAGRAM: usize = 65_535;
/// Packets read before timers and cancellation get their turn.
const BURST: usize = 256;
/// How often it is looked whether the file of users has changed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Refusals and drops are logged once in this time.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// How long reading rests after an error of the socket.
const PAUSE: Duration = Duration::from_millis(100);

/// Reads until cancelled.
pub(super) async fn serve(
    socket: UdpSocket,
    mut guard: Guard,
    hand_over: HandOver,
    metrics: IntakeMetrics,
    cancel: CancellationToken,
) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut out = Out { hand_over, metrics: metrics.collectd, log: Log::default() };
    let mut look = interval(LOOK_AGAIN);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            _ = look.tick() => {
                guard.refresh().await;
                out.log.write();
            }
            ready = socket.readable() => {
                if let Err(error) = ready {
                    tracing::warn!(%error, "cannot wait for collectd packets");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                burst(&socket, &mut buffer, &guard, &mut out);
            }
        }
    }
}

/// Reads what is there, up to [`BURST`] packets.
fn burst(socket: &UdpSocket, buffer: &mut [u8], guard: &Guard, out: &mut Out) {
    let now = now_ms();
    let users = guard.users();
    for _ in 0..BURST {
        match socket.try_recv_from(buffer) {
            Ok((length, sender)) => {
                let sender = sender.ip().to_canonical();
                out.metrics.packets.inc();
                out.metrics.bytes.inc_by(length as u64);
                let mut refused = None;
                open(
                    &buffer[..length],
                    guard.security,
                    users,
                    |parts| out.put(parts, sender, now),
                    |reason| refused = Some(reason),
                );
                if let Some(reason) = refused {
                    out.refuse(reason, sender);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // Errors of earlier packets (ICMP), told here: none of the reader's business.
            Err(error) => tracing::debug!(%error, "collectd socket"),
        }
    }
}

/// Where packets go.
struct Out {
    hand_over: HandOver,
    metrics: CollectdMetrics,
    log: Log,
}

impl Out {
    fn put(&mut self, parts: &[u8], sender: IpAddr, arrived_ms: i64) {
        let origin = parts::host(parts).map_or_else(|| sender.to_string(), str::to_owned);
        let batch = Batch { origin, arrived_ms, pieces: 1, body: Bytes::copy_from_slice(parts) };
        if self.hand_over.try_put(batch).is_err() {
            self.metrics.dropped_packets.inc();
            self.log.dropped += 1;
        }
    }

    fn refuse(&mut self, reason: Refusal, sender: IpAddr) {
        self.metrics.refused(reason).inc();
        self.log.refused += 1;
        self.log.last_refused = Some((reason, sender));
    }
}

/// What is to be told, once in a while.
#[derive(Default)]
struct Log {
    written: Option<Instant>,
    dropped: u64,
    refused: u64,
    last_refused: Option<(Refusal, IpAddr)>,
}

impl Log {
    /// Writes what has come together, unless it was just now.
    fn write(&mut self) {
        if self.written.is_some_and(|at| at.elapsed() < LOG_EVERY) {
            return;
        }
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            tracing::warn!(dropped, "collectd packets dropped: the bus does not keep up");
        }
        let refused = std::mem::take(&mut self.refused);
        if let Some((reason, sender)) = self.last_refused.take() {
            tracing::warn!(refused, reason = reason.as_str(), %sender, "collectd packets refused (the last one's reason and sender are shown)");
        }
        if dropped + refused > 0 {
            self.written = Some(Instant::now());
        }
    }
}
