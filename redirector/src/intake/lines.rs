//! Pumps one byte stream's lines, or packets of them, into the hand-over, at the pace that the bus keeps.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    IntakeMetrics,
    batch::{Gathering, OpenBatch},
    framing::Framer,
    hand_over::HandOver,
    metrics::Transport,
    now_ms,
    packets::Packets,
};

/// What a stream is cut into.
pub(super) enum Cut {
    /// Lines, each before a newline.
    Lines(Framer),
    /// Packets, each behind its length.
    Packets(Packets),
}

/// Where lines come from, and where they go.
pub(super) struct Pump<'a> {
    pub(super) origin: &'a str,
    pub(super) gathering: &'a Gathering,
    pub(super) transport: Transport,
    /// Silence of this length ends the stream.
    pub(super) idle: Option<Duration>,
    /// How many bytes are read at once.
    pub(super) chunk: usize,
    pub(super) hand_over: &'a HandOver,
    pub(super) metrics: &'a IntakeMetrics,
    pub(super) cancel: &'a CancellationToken,
}

/// How a stream came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The other side closed it.
    Eof,
    /// Nothing came for too long.
    Idle,
    /// The intake stops.
    Stopped,
}

impl Pump<'_> {
    /// Reads to the end. All lines taken are handed over by then, also when it fails.
    pub(super) async fn run(self, mut input: impl AsyncRead + Unpin, mut cut: Cut) -> io::Result<End> {
        let mut chunk = vec![0; self.chunk];
        let mut batch = OpenBatch::new(self.gathering.max_bytes);
        let bytes = self.metrics.bytes(self.transport);
        let mut closed = Vec::new();
        let mut last_read = Instant::now();
        // When the batch was opened; reset with each that is handed over.
        let mut opened = None;
        let origin = || self.origin.to_owned();
        let end = loop {
            let due = opened.map(|at: Instant| at + self.gathering.max_age);
            let silent = self.idle.map(|idle| last_read + idle);
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => break Ok(End::Stopped),
                () = at(due) => {
                    closed.extend(batch.close(origin()));
                    opened = None;
                }
                read = input.read(&mut chunk) => match read {
                    Ok(0) => {
                        let now = now_ms();
                        break self.finish(cut, |line| closed.extend(batch.push(line, now, origin)));
                    }
                    Ok(length) => {
                        bytes.inc_by(length as u64);
                        last_read = Instant::now();
                        let now = now_ms();
                        let take = |line: &[u8]| closed.extend(batch.push(line, now, origin));
                        if let Err(error) = self.feed(&mut cut, &chunk[..length], take) {
                            break Err(error);
                        }
                        if batch.is_empty() {
                            opened = None;
                        } else if opened.is_none() || !closed.is_empty() {
                            opened = Some(last_read);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => break Err(error),
                },
                () = at(silent) => break Ok(End::Idle),
            }
            for batch in closed.drain(..) {
                if self.hand_over.put(batch).await.is_err() {
                    return Ok(End::Stopped);
                }
            }
        };
        closed.extend(batch.close(origin()));
        for batch in closed {
            if self.hand_over.put(batch).await.is_err() {
                return Ok(End::Stopped);
            }
        }
        end
    }
}

impl Pump<'_> {
    fn feed(&self, cut: &mut Cut, chunk: &[u8], take: impl FnMut(&[u8])) -> io::Result<()> {
        match cut {
            Cut::Lines(framer) => {
                self.metrics.oversized_lines.inc_by(framer.feed(chunk, take));
                Ok(())
            }
            Cut::Packets(packets) => packets.feed(chunk, take).map_err(|error| {
                self.metrics.broken_streams.inc();
                io::Error::new(io::ErrorKind::InvalidData, error)
            }),
        }
    }

    /// The other side has closed the stream: a last line needs no newline; half a packet is none.
    fn finish(&self, cut: Cut, take: impl FnMut(&[u8])) -> io::Result<End> {
        match cut {
            Cut::Lines(framer) => framer.finish(take),
            Cut::Packets(packets) if packets.is_torn() => {
                self.metrics.broken_streams.inc();
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it broke off within a packet"));
            }
            Cut::Packets(_) => {}
        }
        Ok(End::Eof)
    }
}

/// Waits until then; for ever without a time.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
