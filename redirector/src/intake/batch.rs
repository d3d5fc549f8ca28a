//! Gathers lines of one sender into bodies worth a message. Pure: time is told by the caller.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use bytes::Bytes;

/// A batch is closed before it grows beyond this many bytes; a single datagram may be larger.
pub(super) const MAX_BYTES: usize = 32 * 1024;
/// A batch is closed when its first line is this old.
pub(super) const MAX_AGE: Duration = Duration::from_millis(100);
/// So many senders have open batches at most; one more closes them all. Bounds memory where addresses are forged.
const MAX_SENDERS: usize = 4096;
/// So many buffers are kept for the next batches.
const MAX_SPARE: usize = 64;

/// Lines of one sender, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Who sent them.
    pub(super) origin: String,
    /// When the first of them arrived, in milliseconds since the epoch.
    pub(super) arrived_ms: i64,
    /// How many datagrams (or lines of a byte stream) they came in.
    pub(super) pieces: u64,
    /// The lines, divided by newlines. Of exactly its size: streams in memory keep it for long.
    pub(super) body: Bytes,
}

/// A body under construction.
#[derive(Debug, Default)]
pub(super) struct OpenBatch {
    lines: Vec<u8>,
    arrived_ms: i64,
    pieces: u64,
}

impl OpenBatch {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Appends one line or several. What was there before is given back as a batch of `origin`'s when both do not fit.
    pub(super) fn push(&mut self, lines: &[u8], now_ms: i64, origin: impl Fn() -> String) -> Option<Batch> {
        let lines = lines.trim_ascii_end();
        if lines.is_empty() {
            return None;
        }
        let full = (!self.is_empty() && self.lines.len() + 1 + lines.len() > MAX_BYTES)
            .then(|| self.close(origin()))
            .flatten();
        if self.is_empty() {
            self.arrived_ms = now_ms;
        } else {
            self.lines.push(b'\n');
        }
        self.lines.extend_from_slice(lines);
        self.pieces += 1;
        full
    }

    /// Takes the body out, if there is one; the buffer stays for the next.
    pub(super) fn close(&mut self, origin: String) -> Option<Batch> {
        let body = (!self.is_empty()).then(|| Bytes::copy_from_slice(&self.lines))?;
        self.lines.clear();
        let pieces = std::mem::take(&mut self.pieces);
        Some(Batch { origin, arrived_ms: self.arrived_ms, pieces, body })
    }
}

/// The open batches of all senders to one socket.
#[derive(Debug, Default)]
pub(super) struct Senders {
    open: HashMap<IpAddr, OpenBatch>,
    spare: Vec<OpenBatch>,
}

impl Senders {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes a datagram; `closed` gets every batch that it closes.
    pub(super) fn push(
        &mut self,
        sender: IpAddr,
        datagram: &[u8],
        now_ms: i64,
        mut closed: impl FnMut(Batch),
    ) {
        if self.open.len() == MAX_SENDERS && !self.open.contains_key(&sender) {
            self.close_all(&mut closed);
        }
        let Self { open, spare } = self;
        let batch = open.entry(sender).or_insert_with(|| spare.pop().unwrap_or_default());
        if let Some(full) = batch.push(datagram, now_ms, || sender.to_string()) {
            closed(full);
        }
    }

    /// Closes every batch.
    pub(super) fn close_all(&mut self, mut closed: impl FnMut(Batch)) {
        for (sender, mut batch) in self.open.drain() {
            if let Some(batch) = batch.close(sender.to_string()) {
                closed(batch);
            }
            if self.spare.len() < MAX_SPARE {
                self.spare.push(batch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn gathers_by_sender_and_keeps_the_first_arrival() {
        let mut senders = Senders::default();
        let none = |batch| panic!("closed too early: {batch:?}");
        senders.push(address(1), b"a:1|c\n", 10, none);
        senders.push(address(2), b"b:1|c", 11, none);
        senders.push(address(1), b"c:1|c\nd:1|c\n\n", 12, none);
        senders.push(address(2), b"\n", 13, none);
        let mut batches = Vec::new();
        senders.close_all(|batch| batches.push(batch));
        batches.sort_by_key(|batch| batch.arrived_ms);
        let batch = |origin: &str, arrived_ms, pieces, body: &'static str| Batch {
            origin: origin.into(),
            arrived_ms,
            pieces,
            body: Bytes::from_static(body.as_bytes()),
        };
        assert_eq!(
            batches,
            [batch("0.0.0.1", 10, 2, "a:1|c\nc:1|c\nd:1|c"), batch("0.0.0.2", 11, 1, "b:1|c")]
        );
        assert!(senders.is_empty());
        senders.close_all(none);
    }

    #[test]
    fn no_batch_outgrows_its_bound_and_nothing_is_lost() {
        let mut senders = Senders::default();
        let line = [b'x'; 999];
        let (mut batches, mut sent) = (Vec::new(), 0);
        for now in 0..100 {
            senders.push(address(7), &line, now, |batch| batches.push(batch));
            sent += 1;
        }
        senders.push(address(7), &vec![b'y'; 60_000], 100, |batch| batches.push(batch));
        senders.push(address(7), b"z:1|c", 101, |batch| batches.push(batch));
        senders.close_all(|batch| batches.push(batch));
        assert!(batches.iter().all(|batch| batch.body.len() <= MAX_BYTES || batch.pieces == 1));
        assert_eq!(batches.iter().map(|batch| batch.pieces).sum::<u64>(), sent + 2);
        assert_eq!(batches[1].arrived_ms, 32, "the first line that did not fit the batch before");
    }

    #[test]
    fn forged_addresses_do_not_grow_it_without_bound() {
        let mut senders = Senders::default();
        let mut closed = 0;
        for n in 0..20_000 {
            senders.push(address(n), b"a:1|c", 0, |_| closed += 1);
            assert!(senders.open.len() <= MAX_SENDERS);
        }
        senders.close_all(|_| closed += 1);
        assert_eq!(closed, 20_000);
        assert!(senders.spare.len() <= MAX_SPARE);
    }
}
