//! Gathers lines of one sender into bodies worth a message. Pure: time is told by the caller.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

/// A batch is closed before it grows beyond this many bytes; a single datagram may be larger.
pub(super) const MAX_BYTES: usize = 64 * 1024;
/// A batch is closed when its first line is this old.
pub(super) const MAX_AGE: Duration = Duration::from_millis(20);
/// So many senders have open batches at most; one more closes them all. Bounds memory where addresses are forged.
const MAX_SENDERS: usize = 4096;
/// Stands for all senders where they have one origin, and for a sender without an address.
pub(super) const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// So many buffers are kept for the next batches.
const MAX_SPARE: usize = 64;

/// How lines are gathered into batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gathering {
    /// Who is said to have sent them; None: each sender's address.
    pub(crate) origin: Option<Arc<str>>,
    /// A batch is closed before it grows beyond this many bytes.
    pub(crate) max_bytes: usize,
    /// A batch is closed when its first line is this old.
    pub(crate) max_age: Duration,
}

impl Gathering {
    /// The origin of what an address sent.
    pub(super) fn origin_of(&self, sender: IpAddr) -> String {
        self.origin.as_deref().map_or_else(|| sender.to_string(), str::to_owned)
    }
}

impl Default for Gathering {
    fn default() -> Self {
        Self { origin: None, max_bytes: MAX_BYTES, max_age: MAX_AGE }
    }
}

/// Lines of one sender, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Who sent them.
    pub(crate) origin: String,
    /// When the first of them arrived, in milliseconds since the epoch.
    pub(crate) arrived_ms: i64,
    /// How many datagrams (or lines of a byte stream) they came in.
    pub(crate) pieces: u64,
    /// The lines, divided by newlines. Hardly larger in memory than its length: streams in memory keep it for long.
    pub(crate) body: Bytes,
}

/// A body under construction.
#[derive(Debug)]
pub(super) struct OpenBatch {
    max_bytes: usize,
    lines: Vec<u8>,
    arrived_ms: i64,
    pieces: u64,
}

impl OpenBatch {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, lines: Vec::new(), arrived_ms: 0, pieces: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Appends one line or several. What was there before is given back as a batch of `origin`'s when both do not fit.
    pub(super) fn push(&mut self, lines: &[u8], now_ms: i64, origin: impl Fn() -> String) -> Option<Batch> {
        let lines = lines.trim_ascii_end();
        if lines.is_empty() {
            return None;
        }
        let full = (!self.is_empty() && self.lines.len() + 1 + lines.len() > self.max_bytes)
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

    /// Takes the body out, if there is one. Of a full one the buffer itself, without a copy; else the buffer stays for the next.
    pub(super) fn close(&mut self, origin: String) -> Option<Batch> {
        if self.is_empty() {
            return None;
        }
        // It fills its buffer.
        let full = self.lines.len() >= self.max_bytes - self.max_bytes / 8;
        let body = if full {
            Bytes::from(std::mem::replace(&mut self.lines, Vec::with_capacity(self.max_bytes)))
        } else {
            let body = Bytes::copy_from_slice(&self.lines);
            self.lines.clear();
            body
        };
        let pieces = std::mem::take(&mut self.pieces);
        Some(Batch { origin, arrived_ms: self.arrived_ms, pieces, body })
    }
}

/// The open batches of all senders to one socket.
#[derive(Debug)]
pub(super) struct Senders {
    gathering: Gathering,
    open: HashMap<IpAddr, OpenBatch>,
    spare: Vec<OpenBatch>,
}

impl Senders {
    pub(super) fn new(gathering: Gathering) -> Self {
        Self { gathering, open: HashMap::new(), spare: Vec::new() }
    }

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
        // Whoever sent it, where all have one origin.
        let sender = if self.gathering.origin.is_some() { NOBODY } else { sender };
        if self.open.len() == MAX_SENDERS && !self.open.contains_key(&sender) {
            self.close_all(&mut closed);
        }
        let Self { gathering, open, spare } = self;
        let new = || OpenBatch::new(gathering.max_bytes);
        let batch = open.entry(sender).or_insert_with(|| spare.pop().unwrap_or_else(new));
        if let Some(full) = batch.push(datagram, now_ms, || gathering.origin_of(sender)) {
            closed(full);
        }
    }

    /// Closes every batch.
    pub(super) fn close_all(&mut self, mut closed: impl FnMut(Batch)) {
        for (sender, mut batch) in self.open.drain() {
            if let Some(batch) = batch.close(self.gathering.origin_of(sender)) {
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
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn gathers_by_sender_and_keeps_the_first_arrival() {
        let mut senders = Senders::new(Gathering::default());
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
        let mut senders = Senders::new(Gathering::default());
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
        assert_eq!(batches[1].arrived_ms, 65, "the first line that did not fit the batch before");
    }

    #[test]
    fn forged_addresses_do_not_grow_it_without_bound() {
        let mut senders = Senders::new(Gathering::default());
        let mut closed = 0;
        for n in 0..20_000 {
            senders.push(address(n), b"a:1|c", 0, |_| closed += 1);
            assert!(senders.open.len() <= MAX_SENDERS);
        }
        senders.close_all(|_| closed += 1);
        assert_eq!(closed, 20_000);
        assert!(senders.spare.len() <= MAX_SPARE);
    }

    proptest! {
        /// Datagrams end in a newline, in CRLF, or in neither; several lines may come in one, of any length, or none.
        #[test]
        fn lines_come_out_as_they_came_in(
            datagrams in vec((0_u32..3, vec(("[a-z:|]{1,40}", 1_usize..1_000), 0..5), prop_oneof![Just(""), Just("\n"), Just("\r\n")]), 0..60),
        ) {
            let (mut senders, mut batches, mut sent) = (Senders::new(Gathering::default()), Vec::new(), HashMap::<String, Vec<u8>>::new());
            let mut pieces = 0;
            for (sender, lines, end) in datagrams {
                let lines: Vec<String> = lines.into_iter().map(|(line, times)| line.repeat(times)).collect();
                let datagram = lines.join("\n") + end;
                senders.push(address(sender), datagram.as_bytes(), 0, |batch| batches.push(batch));
                let all = sent.entry(address(sender).to_string()).or_default();
                for line in &lines {
                    all.extend_from_slice(line.as_bytes());
                    all.push(b'\n');
                }
                pieces += u64::from(!lines.is_empty());
            }
            senders.close_all(|batch| batches.push(batch));
            prop_assert_eq!(batches.iter().map(|batch| batch.pieces).sum::<u64>(), pieces);
            let mut taken = HashMap::<String, Vec<u8>>::new();
            for batch in batches {
                prop_assert!(batch.body.len() <= MAX_BYTES || batch.pieces == 1);
                let all = taken.entry(batch.origin).or_default();
                all.extend_from_slice(&batch.body);
                all.push(b'\n');
            }
            sent.retain(|_, lines| !lines.is_empty());
            prop_assert!(taken == sent);
        }
    }
}
