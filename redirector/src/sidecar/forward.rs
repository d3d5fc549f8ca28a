//! From the hand-over to the upstream: directly while it takes what comes, else by way of the spool.
//!
//! One task has all in hand, in one order: what is in flight, then what waits on disk, then what waits in memory. Nothing touches the
//! disk while the upstream keeps up. When it is away, stalls, or falls behind by more than [`MEMORY`], all that is not confirmed is written
//! to the spool: what is in flight as well, so that it survives this process, though it goes out again by itself. From then on everything
//! new goes through the spool until it is empty.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use kinetic_api::names::METRICS_EXCHANGE;
use kinetic_bus::{Bus, BusError, ConnectionState, Publisher, Receipt};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    metrics::{Reason, SidecarMetrics},
    record::Record,
    spool::{Loss, Place, Spool, SpoolError},
};
use crate::intake::{
    IntakeMetrics,
    batch::Batch,
    hand_over::{self, HandOver, Parcel},
    now_ms,
    protocol::STATSD,
    stamp::Stamp,
};

/// Bytes between the readers and this task.
const HAND_OVER: usize = 2 * 1024 * 1024;
/// Unconfirmed at most, in bytes and in messages. The client copies what it sends: a byte here is three of memory.
const WINDOW: usize = 512 * 1024;
const WINDOW_MESSAGES: usize = 256;
/// What may wait in memory before it goes to disk, in bytes; twice as much where there is no disk, or no room on it.
const MEMORY: usize = 1024 * 1024;
/// The upstream is away for so long before its absence is one.
const AWAY: Duration = Duration::from_millis(500);
/// A message that is unconfirmed for so long says that the upstream stalls.
const STALLED: Duration = Duration::from_secs(5);
/// How often it is looked whether any of this is so, and what is confirmed is removed from the disk.
const LOOK: Duration = Duration::from_millis(250);
/// A disk that failed is tried again after so long.
const DISK_PAUSE: Duration = Duration::from_secs(1);
/// How long a stop waits for confirms.
const FINISH: Duration = Duration::from_secs(3);
/// Parcels taken at once.
const TOGETHER: usize = 64;
/// Troubles that last are logged once in this time.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// As whose messages go out.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    /// Unique to this process.
    pub(super) instance: Arc<str>,
    pub(super) profile: Arc<str>,
}

/// Starts the task. It ends when every hand-over is dropped, with all confirmed, on disk, or counted as lost.
pub(super) fn start(
    bus: &Bus,
    sender: Sender,
    spool: Option<Spool>,
    intake: IntakeMetrics,
    metrics: SidecarMetrics,
) -> (HandOver, JoinHandle<Result<(), BusError>>) {
    let (hand_over, parcels) = hand_over::new(HAND_OVER);
    let forwarder = Forwarder {
        sender,
        sequence: 0,
        publisher: bus.publisher(WINDOW_MESSAGES),
        state: bus.state(),
        away: Some(Instant::now()),
        flying: VecDeque::new(),
        flying_bytes: 0,
        disk: spool.map_or(Disk::None, |spool| Disk::Ready(Box::new(spool))),
        disk_again: None,
        waiting: VecDeque::new(),
        waiting_bytes: 0,
        stopping: false,
        last_log: None,
        intake,
        metrics,
    };
    (hand_over, tokio::spawn(forwarder.run(parcels)))
}

/// Sent, not confirmed.
struct Flying {
    record: Record,
    receipt: Receipt,
    since: Instant,
    /// Behind its copy on disk, if it has one.
    place: Option<Place>,
}

/// The spool, where there is one.
enum Disk {
    None,
    Ready(Box<Spool>),
}

struct Forwarder {
    sender: Sender,
    /// Of the next batch.
    sequence: u64,
    publisher: Publisher,
    state: watch::Receiver<ConnectionState>,
    /// Since when the upstream is away.
    away: Option<Instant>,
    /// First in order. Those with a place come before those without.
    flying: VecDeque<Flying>,
    flying_bytes: usize,
    /// Second in order, as far as it was not sent.
    disk: Disk,
    /// It failed, and is let alone until then.
    disk_again: Option<Instant>,
    /// Last in order.
    waiting: VecDeque<Record>,
    waiting_bytes: usize,
    /// What is on disk stays there.
    stopping: bool,
    last_log: Option<Instant>,
    intake: IntakeMetrics,
    metrics: SidecarMetrics,
}

impl Forwarder {
    async fn run(mut self, mut parcels: mpsc::UnboundedReceiver<Parcel>) -> Result<(), BusError> {
        let mut fresh = Vec::new();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.send().await;
            tokio::select! {
                biased;
                told = front(&mut self.flying) => self.settle(told),
                taken = parcels.recv_many(&mut fresh, TOGETHER) => {
                    if taken == 0 {
                        break;
                    }
                    fresh.drain(..).for_each(|parcel| self.take(parcel));
                }
                _ = look.tick() => self.look().await,
                Ok(()) = self.state.changed() => {}
            }
            self.note_state();
            if self.must_spill() {
                self.spill().await;
            }
            self.bound_memory();
        }
        self.finish().await;
        Ok(())
    }

    /// Numbers a batch; it waits from now on.
    fn take(&mut self, parcel: Parcel) {
        // Its room is given back: what waits here has a bound of its own. Nobody flushes a sidecar: a flush would end with `Closed`.
        let Parcel::Batch(batch, _room) = parcel else { return };
        let record = self.record(batch);
        self.waiting_bytes += record.weight();
        self.waiting.push_back(record);
    }

    fn record(&mut self, batch: Batch) -> Record {
        let Sender { instance, profile } = &self.sender;
        let record = Record::new(batch, instance, self.sequence, profile);
        self.sequence += 1;
        record
    }

    /// Sends what the window has room for.
    async fn send(&mut self) {
        if !self.state.borrow().is_connected() || self.disk_again.is_some() {
            return;
        }
        while self.has_unsent() {
            // The disk is read in larger pieces: each is a way to another thread and back.
            if self.stopping || self.flying_bytes > WINDOW / 2 || self.flying.len() > WINDOW_MESSAGES / 2 {
                return;
            }
            let (room, messages) = (WINDOW - self.flying_bytes, WINDOW_MESSAGES - self.flying.len());
            let now = now_ms();
            let read = self.with_spool(move |spool| Replay::read(spool, room, messages, now)).await;
            let Some(Replay { records, lost, failure }) = read else { return };
            self.lose(&lost);
            for (record, place) in records {
                self.metrics.replayed_messages.inc();
                self.post(record, Some(place)).await;
            }
            if let Some(error) = failure {
                return self.disk_failed(&error);
            }
        }
        while self.flying_bytes < WINDOW && self.flying.len() < WINDOW_MESSAGES {
            let Some(record) = self.waiting.pop_front() else { return };
            self.waiting_bytes -= record.weight();
            self.post(record, None).await;
        }
    }

    async fn post(&mut self, record: Record, place: Option<Place>) {
        let message = Stamp {
            profile: &record.profile,
            instance: &record.instance,
            sequence: record.sequence,
            origin: record.origin.to_string(),
            arrived_ms: record.arrived_ms,
        }
        .message(&STATSD, record.body.clone());
        match self.publisher.post(METRICS_EXCHANGE, message).await {
            Ok(receipt) => {
                self.flying_bytes += record.weight();
                self.flying.push_back(Flying { record, receipt, since: Instant::now(), place });
            }
            Err(error) => self.refused(&record, place, &error),
        }
    }

    /// The oldest in flight has its answer.
    fn settle(&mut self, told: Result<(), BusError>) {
        let Some(Flying { record, place, .. }) = self.flying.pop_front() else { return };
        self.flying_bytes -= record.weight();
        match told {
            Ok(()) => {
                self.intake.messages.inc();
            }
            Err(BusError::Unroutable { .. }) => {
                self.intake.messages.inc();
                self.intake.unroutable_messages.inc();
                if self.may_log() {
                    let profile = &*record.profile;
                    tracing::warn!(
                        profile,
                        "no source of any Topology takes the statsd messages of this profile"
                    );
                }
            }
            Err(error) => return self.refused(&record, place, &error),
        }
        self.confirm(place);
    }

    fn refused(&mut self, record: &Record, place: Option<Place>, error: &BusError) {
        self.intake.refused_messages.inc();
        self.metrics.dropped(Reason::Refused, record.lines, record.arrived_ms, now_ms());
        if self.may_log() {
            tracing::warn!(%error, profile = &*record.profile, "the upstream refuses statsd messages");
        }
        self.confirm(place);
    }

    fn confirm(&mut self, place: Option<Place>) {
        if let (Disk::Ready(spool), Some(place)) = (&mut self.disk, place) {
            spool.confirm(place);
        }
    }

    fn note_state(&mut self) {
        let connected = matches!(*self.state.borrow_and_update(), ConnectionState::Connected);
        self.metrics.connected.set(connected.into());
        self.away = if connected { None } else { self.away.or_else(|| Some(Instant::now())) };
    }

    /// Whether what is not confirmed belongs on disk.
    fn must_spill(&self) -> bool {
        if matches!(self.disk, Disk::None) || self.disk_again.is_some() {
            return false;
        }
        let away = self.away.is_some_and(|since| since.elapsed() >= AWAY);
        let stalled = self.flying.front().is_some_and(|oldest| oldest.since.elapsed() >= STALLED);
        let behind = self.has_unsent() || self.waiting_bytes > MEMORY;
        let unplaced = self.flying.back().is_some_and(|last| last.place.is_none());
        (away || stalled) && unplaced || (away || stalled || behind) && !self.waiting.is_empty()
    }

    /// Writes what is not confirmed to disk, as far as it is not there, and as far as the disk takes it.
    async fn spill(&mut self) {
        let unplaced =
            self.flying.iter().position(|flying| flying.place.is_none()).unwrap_or(self.flying.len());
        let copies: Vec<Record> = if self.has_unsent() {
            // What is on disk is newer: only after a disk that was full in the middle of this.
            Vec::new()
        } else {
            self.flying.range(unplaced..).map(|flying| flying.record.clone()).collect()
        };
        let waiting = std::mem::take(&mut self.waiting);
        let spilled = self.with_spool(move |spool| Spill::write(spool, &copies, waiting)).await;
        let Some(Spill { places, waiting, written, lost, failure }) = spilled else { return };
        for (flying, place) in self.flying.range_mut(unplaced..).zip(places) {
            flying.place = Some(place);
        }
        self.waiting_bytes = waiting.iter().map(Record::weight).sum();
        self.waiting = waiting;
        self.metrics.spooled_messages.inc_by(written);
        self.lose(&lost);
        if let Some(error) = failure {
            self.disk_failed(&error);
        }
    }

    /// Lets the oldest in memory go while there is too much.
    fn bound_memory(&mut self) {
        let now = now_ms();
        let mut dropped = 0;
        while self.waiting_bytes > 2 * MEMORY {
            let Some(record) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= record.weight();
            self.metrics.dropped(Reason::MemoryFull, record.lines, record.arrived_ms, now);
            dropped += 1;
        }
        if dropped > 0 && self.may_log() {
            tracing::warn!(
                "statsd messages dropped: the upstream does not take them, and neither does a spool"
            );
        }
    }

    /// What is to be done once in a while.
    async fn look(&mut self) {
        if self.disk_again.is_some_and(|at| at <= Instant::now()) {
            self.disk_again = None;
        }
        let all = !self.has_unsent() && self.flying.front().is_none_or(|oldest| oldest.place.is_none());
        self.metrics.memory_bytes.set(i64::try_from(self.waiting_bytes).unwrap_or(i64::MAX));
        self.metrics.unconfirmed_messages.set(i64::try_from(self.flying.len()).unwrap_or(i64::MAX));
        let Disk::Ready(spool) = &self.disk else { return };
        self.metrics.spool_bytes.set(i64::try_from(spool.bytes()).unwrap_or(i64::MAX));
        self.metrics.spool_oldest.set(spool.oldest_ms().unwrap_or_default() / 1000);
        if spool.bytes() == 0 || self.disk_again.is_some() {
            return;
        }
        let tidied = self.with_spool(move |spool| {
            if all {
                spool.confirm_all();
            }
            (spool.tidy(), spool.take_damaged())
        });
        if let Some((tidied, damaged)) = tidied.await {
            if damaged > 0 {
                self.metrics.damaged_bytes.inc_by(damaged);
                tracing::error!(bytes = damaged, "a part of the spool could not be read and is lost");
            }
            if let Err(error) = tidied {
                self.disk_failed(&error);
            }
        }
    }

    /// Waits a moment for confirms, then puts the rest on disk.
    async fn finish(&mut self) {
        self.stopping = true;
        let deadline = Instant::now() + FINISH;
        while !(self.flying.is_empty() && (self.waiting.is_empty() || self.has_unsent())) {
            self.send().await;
            tokio::select! {
                biased;
                told = front(&mut self.flying) => self.settle(told),
                () = sleep_until(deadline) => break,
                Ok(()) = self.state.changed() => {}
            }
            self.note_state();
            if self.away.is_some() {
                break;
            }
        }
        self.disk_again = None;
        if matches!(self.disk, Disk::Ready(_)) {
            self.spill().await;
            self.look().await;
            if let Some(Err(error)) = self.with_spool(|spool| spool.sync()).await {
                self.disk_failed(&error);
            }
        }
        let now = now_ms();
        let unplaced =
            self.flying.iter().filter(|flying| flying.place.is_none()).map(|flying| &flying.record);
        let mut lost = 0;
        for record in unplaced.chain(&self.waiting) {
            self.metrics.dropped(Reason::Stopped, record.lines, record.arrived_ms, now);
            lost += 1;
        }
        if lost > 0 {
            tracing::warn!(
                messages = lost,
                "stopped before the upstream took them: lost; --spool would keep them"
            );
        }
    }

    fn lose(&mut self, lost: &[Loss]) {
        let now = now_ms();
        for Loss { expired, lines, arrived_ms } in lost {
            let reason = if *expired { Reason::Expired } else { Reason::SpoolFull };
            self.metrics.dropped(reason, *lines, *arrived_ms, now);
        }
        if !lost.is_empty() && self.may_log() {
            tracing::warn!(
                messages = lost.len(),
                "the spool is full, or they are too old: the oldest are given up"
            );
        }
    }

    /// Leaves the disk alone for a moment.
    fn disk_failed(&mut self, error: &SpoolError) {
        self.metrics.spool_errors.inc();
        self.disk_again = Some(Instant::now() + DISK_PAUSE);
        if self.may_log() {
            tracing::error!(%error, "the spool's disk fails; going on in memory");
        }
    }

    fn has_unsent(&self) -> bool {
        matches!(&self.disk, Disk::Ready(spool) if spool.has_unsent())
    }

    fn may_log(&mut self) -> bool {
        let may = self.last_log.is_none_or(|at| at.elapsed() >= LOG_EVERY);
        if may {
            self.last_log = Some(Instant::now());
        }
        may
    }

    /// Works with the spool on a thread that may wait for the disk. None without a spool.
    async fn with_spool<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Spool) -> T + Send + 'static,
    ) -> Option<T> {
        let Disk::Ready(mut spool) = std::mem::replace(&mut self.disk, Disk::None) else { return None };
        let lent = spawn_blocking(move || {
            let done = work(&mut spool);
            (spool, done)
        });
        match lent.await {
            Ok((spool, done)) => {
                self.disk = Disk::Ready(spool);
                Some(done)
            }
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and this task with it.
                Err(_) => None,
            },
        }
    }
}

/// What was read from disk.
struct Replay {
    records: Vec<(Record, Place)>,
    lost: Vec<Loss>,
    failure: Option<SpoolError>,
}

impl Replay {
    fn read(spool: &mut Spool, mut room: usize, messages: usize, now_ms: i64) -> Self {
        let mut replay = Self { records: Vec::new(), lost: Vec::new(), failure: None };
        while room > 0 && replay.records.len() < messages {
            match spool.read(now_ms, |loss| replay.lost.push(loss)) {
                Ok(Some((record, place))) => {
                    room = room.saturating_sub(record.weight());
                    replay.records.push((record, place));
                }
                Ok(None) => break,
                Err(error) => {
                    replay.failure = Some(error);
                    break;
                }
            }
        }
        replay
    }
}

/// What was written to disk.
struct Spill {
    /// Of what is in flight.
    places: Vec<Place>,
    /// What the disk did not take.
    waiting: VecDeque<Record>,
    written: u64,
    lost: Vec<Loss>,
    failure: Option<SpoolError>,
}

impl Spill {
    fn write(spool: &mut Spool, copies: &[Record], waiting: VecDeque<Record>) -> Self {
        let mut spill = Self { places: Vec::new(), waiting, written: 0, lost: Vec::new(), failure: None };
        let written = spill.write_all(spool, copies);
        spill.failure = written.err();
        spill
    }

    fn write_all(&mut self, spool: &mut Spool, copies: &[Record]) -> Result<(), SpoolError> {
        for copy in copies {
            self.places.push(spool.append(copy, |loss| self.lost.push(loss))?);
            self.written += 1;
            // It is on its way already.
            spool.skip_to_end();
        }
        while let Some(record) = self.waiting.front() {
            spool.append(record, |loss| self.lost.push(loss))?;
            self.written += 1;
            self.waiting.pop_front();
        }
        Ok(())
    }
}

/// The answer to the oldest in flight; without any, never.
async fn front(flying: &mut VecDeque<Flying>) -> Result<(), BusError> {
    match flying.front_mut() {
        Some(oldest) => (&mut oldest.receipt).await,
        None => std::future::pending().await,
    }
}
