//! statsd over UDP. The reader never waits for the bus: what it cannot hand over it drops and counts.
//!
//! Datagrams are read in bursts without waking between them, and appended to their sender's batch in place; the
//! clock is read once a burst, and all batches are closed together, 100 ms after the first was opened.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    IntakeError, IntakeMetrics,
    batch::{Batch, MAX_AGE, Senders},
    metrics::Transport,
    now_ms,
    publish::HandOver,
};

/// What the socket should hold while the reader is busy; the system may grant less (`net.core.rmem_max`).
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;
/// The largest UDP payload there is.
const MAX_DATAGRAM: usize = 65_535;
/// Datagrams read before timers and cancellation get their turn.
const BURST: usize = 256;
/// Drops are logged once in this time.
const LOG_EVERY: Duration = Duration::from_secs(10);

pub(super) fn bind(addr: SocketAddr) -> Result<(UdpSocket, SocketAddr), IntakeError> {
    let open = || -> io::Result<_> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        // Best effort: a smaller buffer works, it only bridges shorter pauses.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let bound = socket.local_addr()?;
        Ok((socket, bound))
    };
    open().map_err(|reason| IntakeError::Listen { transport: "UDP", addr, flag: "--statsd", reason })
}

/// Reads until cancelled, then hands over what it took.
pub(super) async fn serve(
    socket: UdpSocket,
    hand_over: HandOver,
    metrics: IntakeMetrics,
    cancel: CancellationToken,
) {
    let mut reader = Reader {
        socket,
        buffer: vec![0; MAX_DATAGRAM],
        senders: Senders::default(),
        out: Out { hand_over, metrics, last_log: None },
    };
    // When all batches are closed: set with the first that is opened.
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                reader.close_all();
                due = None;
            }
            ready = reader.socket.readable() => {
                if let Err(error) = ready {
                    tracing::warn!(%error, "cannot wait for statsd datagrams");
                    tokio::time::sleep(MAX_AGE).await;
                    continue;
                }
                reader.burst();
                if due.is_none() && !reader.senders.is_empty() {
                    due = Some(Instant::now() + MAX_AGE);
                }
            }
        }
    }
    reader.close_all();
}

struct Reader {
    socket: UdpSocket,
    buffer: Vec<u8>,
    senders: Senders,
    out: Out,
}

/// Where closed batches go.
struct Out {
    hand_over: HandOver,
    metrics: IntakeMetrics,
    last_log: Option<Instant>,
}

impl Reader {
    /// Reads what is there, up to [`BURST`] datagrams.
    fn burst(&mut self) {
        let now = now_ms();
        let (mut packets, mut bytes) = (0, 0);
        for _ in 0..BURST {
            match self.socket.try_recv_from(&mut self.buffer) {
                Ok((length, sender)) => {
                    packets += 1;
                    bytes += length as u64;
                    let sender = sender.ip().to_canonical();
                    self.senders.push(sender, &self.buffer[..length], now, |batch| self.out.put(batch));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Errors of earlier datagrams (ICMP), told here: none of the reader's business.
                Err(error) => tracing::debug!(%error, "statsd socket"),
            }
        }
        self.out.metrics.packets.inc_by(packets);
        self.out.metrics.bytes(Transport::Udp).inc_by(bytes);
    }

    fn close_all(&mut self) {
        self.senders.close_all(|batch| self.out.put(batch));
    }
}

impl Out {
    fn put(&mut self, batch: Batch) {
        let Err(batch) = self.hand_over.try_put(batch) else { return };
        self.metrics.dropped_packets.inc_by(batch.pieces);
        if self.last_log.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            self.last_log = Some(Instant::now());
            let dropped = self.metrics.dropped_packets.get();
            tracing::warn!(dropped, "statsd datagrams dropped: the bus does not keep up");
        }
    }
}
