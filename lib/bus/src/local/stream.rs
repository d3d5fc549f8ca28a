//! A stream in memory: a log bounded by age and size, each message at an offset.
//!
//! What a live reader has not read yet is never trimmed; instead publishing waits while the slowest reader lags by
//! more than [`MAX_LAG_MESSAGES`] or [`MAX_LAG_BYTES`], until it is down to half of that. What has been read is memory that others need
//! more: of it no more than [`MAX_BYTES`] is kept, whatever the retention allows.

use super::record::Record;
use crate::{BusError, Message, Retention, StreamDelivery, StreamOffset};
use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::Notify;

/// Publishing waits while a reader is this many messages behind.
const MAX_LAG_MESSAGES: u64 = 50_000;
/// Publishing waits while a reader is this many bytes behind.
const MAX_LAG_BYTES: u64 = 8 * 1024 * 1024;
/// A log keeps this many bytes at most, unless a reader has not read them.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// How many messages a reader takes under one lock.
const BATCH: usize = 256;

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    state: Mutex<State>,
    appended: Notify,
    drained: Notify,
}

#[derive(Debug)]
struct State {
    retention: Retention,
    entries: VecDeque<Entry>,
    /// Offset of the oldest entry; of the next one, when there is none.
    first: u64,
    /// Size of the entries.
    bytes: u64,
    /// Size of all that was ever appended.
    appended_bytes: u64,
    readers: Vec<Position>,
    next_reader: u64,
    /// The slowest reader is too far behind.
    full: bool,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    record: Record,
    appended: Instant,
}

impl Entry {
    /// In memory, in bytes.
    fn size(&self) -> u64 {
        size_of::<Instant>() as u64 + self.record.weight()
    }
}

/// How far a reader is.
#[derive(Debug)]
struct Position {
    reader: u64,
    next: u64,
    /// Size of all that was appended before `next`.
    bytes: u64,
}

impl Log {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            state: Mutex::new(State {
                retention,
                entries: VecDeque::new(),
                first: 0,
                bytes: 0,
                appended_bytes: 0,
                readers: Vec::new(),
                next_reader: 0,
                full: false,
                closed: false,
            }),
            appended: Notify::new(),
            drained: Notify::new(),
        }
    }

    pub(super) fn retain(&self, retention: Retention) {
        let mut state = self.lock();
        state.retention = retention;
        state.trim(Instant::now());
    }

    pub(super) async fn append(&self, message: Message) -> Result<(), BusError> {
        let record = Record::new(message);
        loop {
            let mut drained = pin!(self.drained.notified());
            drained.as_mut().enable();
            {
                let mut state = self.lock();
                if state.closed {
                    return Err(BusError::Closed);
                }
                if !state.full {
                    state.append(record, Instant::now());
                    drop(state);
                    self.appended.notify_waiters();
                    return Ok(());
                }
            }
            drained.await;
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.appended.notify_waiters();
        self.drained.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, record: Record, now: Instant) {
        let entry = Entry { record, appended: now };
        let size = entry.size();
        let offset = self.end();
        // Who waits for a later offset is not behind by what comes before it.
        for reader in self.readers.iter_mut().filter(|reader| reader.next > offset) {
            reader.bytes += size;
        }
        self.entries.push_back(entry);
        self.bytes += size;
        self.appended_bytes += size;
        self.trim(now);
        self.full = self.lags(1);
    }

    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Is a reader further behind than the bounds, divided by `divisor`?
    fn lags(&self, divisor: u64) -> bool {
        self.readers.iter().any(|reader| {
            self.end().saturating_sub(reader.next) > MAX_LAG_MESSAGES / divisor
                || self.appended_bytes - reader.bytes > MAX_LAG_BYTES / divisor
        })
    }

    fn trim(&mut self, now: Instant) {
        let unread = self.readers.iter().map(|reader| reader.next).min().unwrap_or(u64::MAX);
        let bytes = self.retention.bytes.min(MAX_BYTES);
        while let Some(oldest) = self.entries.front()
            && self.first < unread
            && (self.bytes > bytes || now.saturating_duration_since(oldest.appended) > self.retention.age)
        {
            self.bytes -= oldest.size();
            self.first += 1;
            self.entries.pop_front();
        }
    }

    /// How many entries came before this time, in seconds since the epoch.
    fn older_than(&self, seconds: u64) -> u64 {
        let age =
            SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap_or_default();
        // Beyond the clock's own beginning everything is younger.
        let bound = Instant::now().checked_sub(age);
        bound.map_or(0, |bound| self.entries.partition_point(|entry| entry.appended < bound) as u64)
    }

    fn register(&mut self, from: StreamOffset) -> u64 {
        let next = match from {
            StreamOffset::First => self.first,
            StreamOffset::Next => self.end(),
            StreamOffset::Last => self.end().saturating_sub(1).max(self.first),
            StreamOffset::Since(seconds) => self.first + self.older_than(seconds),
            // Beyond the end, too, the reader gets exactly what it asked for: once it is there.
            StreamOffset::Offset(offset) => offset.max(self.first),
        };
        let reader = self.next_reader;
        self.next_reader += 1;
        let skipped = usize::try_from(next.min(self.end()) - self.first).unwrap_or(usize::MAX);
        let unread: u64 = self.entries.iter().skip(skipped).map(Entry::size).sum();
        self.readers.push(Position { reader, next, bytes: self.appended_bytes - unread });
        reader
    }

    /// Moves up to a batch of what the reader has not read yet to `out`.
    fn read(&mut self, reader: u64, out: &mut VecDeque<StreamDelivery>) {
        let (first, end) = (self.first, self.end());
        let Some(position) = self.readers.iter_mut().find(|position| position.reader == reader) else {
            return;
        };
        if position.next >= end {
            return;
        }
        let skip = usize::try_from(position.next - first).unwrap_or(usize::MAX);
        for entry in self.entries.iter().skip(skip).take(BATCH) {
            out.push_back(StreamDelivery { offset: position.next, message: entry.record.message() });
            position.next += 1;
            position.bytes += entry.size();
        }
    }

    fn unregister(&mut self, reader: u64) {
        self.readers.retain(|position| position.reader != reader);
    }

    /// Opens the log to publishers again, once the readers have caught up.
    fn reopen(&mut self) -> bool {
        let reopened = self.full && !self.lags(2);
        self.full &= !reopened;
        reopened
    }
}

/// A place in a log, moving on.
#[derive(Debug)]
pub(crate) struct StreamReader {
    log: Arc<Log>,
    reader: u64,
    batch: VecDeque<StreamDelivery>,
}

impl StreamReader {
    pub(super) fn new(log: Arc<Log>, from: StreamOffset) -> Self {
        let reader = log.lock().register(from);
        Self { log, reader, batch: VecDeque::new() }
    }

    pub(crate) async fn next(&mut self) -> Result<StreamDelivery, BusError> {
        loop {
            if let Some(delivery) = self.batch.pop_front() {
                return Ok(delivery);
            }
            let log = Arc::clone(&self.log);
            let mut appended = pin!(log.appended.notified());
            appended.as_mut().enable();
            self.fill();
            if self.batch.is_empty() {
                if log.lock().closed {
                    return Err(BusError::Closed);
                }
                appended.await;
            }
        }
    }

    pub(crate) fn try_next(&mut self) -> Option<StreamDelivery> {
        if self.batch.is_empty() {
            self.fill();
        }
        self.batch.pop_front()
    }

    fn fill(&mut self) {
        let reopened = {
            let mut state = self.log.lock();
            state.read(self.reader, &mut self.batch);
            state.reopen()
        };
        if reopened {
            self.log.drained.notify_waiters();
        }
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        let reopened = {
            let mut state = self.log.lock();
            state.unregister(self.reader);
            state.reopen()
        };
        if reopened {
            self.log.drained.notify_waiters();
        }
    }
}
