//! statsd in datagrams, from UDP or a Unix socket. The reader never waits for the bus: what it cannot hand over it drops and counts.
//!
//! Datagrams are read in bursts without waking between them, and appended to their sender's batch in place; the clock is read once a burst.
//! After a burst the reader rests for a moment, so that a busy socket costs a few hundred wakings a second however many packets come. Only
//! when a burst finds nothing it waits for the socket, so that an idle one costs nothing: while a runtime watches a socket, each packet
//! wakes a thread of its, whether anybody waits for it or not. All batches are closed together, when the first is old enough.

use std::{io, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    IntakeMetrics,
    batch::{Batch, Gathering, Senders},
    datagrams::{Datagrams, Socket},
    hand_over::{Full, HandOver},
    now_ms,
};

/// Datagrams read before timers and cancellation get their turn.
const BURST: usize = 1024;
/// Between bursts, at most: waking is dear beside reading a packet. And at least: a timer is no finer.
const LONGEST_REST: Duration = Duration::from_millis(8);
const SHORTEST_REST: Duration = Duration::from_millis(1);
/// A shorter queue bridges no rest.
const SHORTEST_QUEUE: usize = 64;
/// After an error of the socket.
const PAUSE: Duration = Duration::from_millis(100);
/// Drops are logged once in this time.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Reads until cancelled, then hands over what it took.
pub(super) async fn serve(
    socket: Socket,
    gathering: Gathering,
    hand_over: HandOver,
    metrics: IntakeMetrics,
    cancel: CancellationToken,
) {
    let mut reader = Reader {
        rest: Rest::new(socket.queue()),
        socket,
        again: None,
        datagrams: Datagrams::new(),
        senders: Senders::new(gathering.clone()),
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
            ready = reader.ready() => {
                if let Err(error) = ready.and_then(|()| reader.burst()) {
                    tracing::warn!(%error, "cannot read statsd datagrams; trying again");
                    reader.again = Some(Instant::now() + PAUSE);
                }
                if due.is_none() && !reader.senders.is_empty() {
                    due = Some(Instant::now() + gathering.max_age);
                }
                // The bursts of a socket that is never empty must not keep others waiting.
                tokio::task::yield_now().await;
            }
        }
    }
    reader.close_all();
}

struct Reader {
    rest: Rest,
    socket: Socket,
    /// When to look at the socket again; None: when there is something.
    again: Option<Instant>,
    datagrams: Datagrams,
    senders: Senders,
    out: Out,
}

/// How long the reader rests after a burst: as long as what comes meanwhile takes no more than a quarter of the socket's queue, so that the
/// rest is for pauses that others make.
#[derive(Debug)]
struct Rest {
    length: Duration,
    /// So many packets take a quarter of the queue. None: it is too short to rest at all.
    quarter: Option<u64>,
}

impl Rest {
    /// For a queue of so many packets.
    fn new(queue: usize) -> Self {
        let quarter = (queue >= SHORTEST_QUEUE).then_some((queue / 4) as u64);
        Self { length: quarter.map_or(Duration::ZERO, |_| SHORTEST_REST), quarter }
    }

    /// After a burst of so many packets, which came during the rest before.
    fn adapt(&mut self, packets: u64) {
        let Some(quarter) = self.quarter else { return };
        if packets > quarter {
            self.length = (self.length / 2).max(SHORTEST_REST);
        } else if packets < quarter / 2 {
            self.length = (self.length * 2).min(LONGEST_REST);
        }
    }
}

/// Where closed batches go.
struct Out {
    hand_over: HandOver,
    metrics: IntakeMetrics,
    last_log: Option<Instant>,
}

impl Reader {
    /// Waits until it is time to read. Cancel-safe.
    async fn ready(&self) -> io::Result<()> {
        if let Some(at) = self.again {
            sleep_until(at).await;
            return Ok(());
        }
        self.socket.readable().await
    }

    /// Reads what is there, up to [`BURST`] datagrams, and says when to look again.
    fn burst(&mut self) -> io::Result<()> {
        let Self { rest, socket, again, datagrams, senders, out } = self;
        let now = now_ms();
        let (mut packets, mut bytes) = (0, 0);
        *again = None;
        let received = datagrams.receive(socket, BURST, |sender, datagram| {
            packets += 1;
            bytes += datagram.len() as u64;
            senders.push(sender.to_canonical(), datagram, now, |batch| out.put(batch));
        });
        out.metrics.packets.inc_by(packets);
        out.metrics.bytes(socket.transport()).inc_by(bytes);
        rest.adapt(packets);
        let emptied = received?;
        if packets > 0 && !(emptied && rest.length.is_zero()) {
            let pause = if emptied { rest.length } else { Duration::ZERO };
            *again = Some(Instant::now() + pause);
        }
        Ok(())
    }

    fn close_all(&mut self) {
        self.senders.close_all(|batch| self.out.put(batch));
    }
}

impl Out {
    fn put(&mut self, batch: Batch) {
        let pieces = batch.pieces;
        let Err(Full) = self.hand_over.try_put(batch) else { return };
        self.metrics.dropped_packets.inc_by(pieces);
        if self.last_log.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            self.last_log = Some(Instant::now());
            let dropped = self.metrics.dropped_packets.get();
            tracing::warn!(dropped, "statsd datagrams dropped: the bus does not keep up");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_rests_as_long_as_the_buffer_allows() {
        let mut rest = Rest::new(400);
        for _ in 0..10 {
            rest.adapt(3);
        }
        assert_eq!(rest.length, LONGEST_REST);
        rest.adapt(80);
        assert_eq!(rest.length, LONGEST_REST, "less than the quarter, but not by much");
        rest.adapt(101);
        assert_eq!(rest.length, LONGEST_REST / 2);
        for _ in 0..10 {
            rest.adapt(1_000);
        }
        assert_eq!(rest.length, SHORTEST_REST);
        let mut none = Rest::new(10);
        none.adapt(0);
        assert_eq!(none.length, Duration::ZERO, "ten packets may come in any moment");
    }
}
