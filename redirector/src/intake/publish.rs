//! From the hand-over onto the bus: one task that numbers, stamps and publishes.

use std::sync::Arc;

use kinetic_api::names;
use kinetic_bus::{BusError, HeaderValue, Message, Publisher};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
};

use super::{IntakeMetrics, IntakeTarget, batch::Batch, protocol::Protocol};

/// Bytes between the readers and the bus.
const HAND_OVER: usize = 8 * 1024 * 1024;
/// What a parcel weighs beside its lines.
const PARCEL: usize = 256;
/// Messages on the wire before the first is confirmed.
const WINDOW: usize = 1024;

/// What goes through the hand-over.
#[derive(Debug)]
enum Parcel {
    /// A batch, and the room that it takes until it is on the bus.
    Batch(Batch, OwnedSemaphorePermit),
    /// Answered when everything before it is confirmed.
    Flush(oneshot::Sender<Result<(), BusError>>),
}

/// The readers' end of the hand-over: bounded by its bytes, so that many small batches outlast a broker's pause.
#[derive(Clone, Debug)]
pub(super) struct HandOver {
    parcels: mpsc::UnboundedSender<Parcel>,
    room: Arc<Semaphore>,
}

/// There is no room, since the bus is slower than the readers; or the intake was stopped.
#[derive(Debug)]
pub(super) struct Full;

/// The publisher is gone: the intake was stopped.
#[derive(Debug)]
pub(super) struct Stopped;

impl HandOver {
    /// Hands a batch over if there is room; else it is lost.
    pub(super) fn try_put(&self, batch: Batch) -> Result<(), Full> {
        let room = Arc::clone(&self.room).try_acquire_many_owned(weight(&batch)).map_err(|_| Full)?;
        self.parcels.send(Parcel::Batch(batch, room)).map_err(|_| Full)
    }

    /// Hands a batch over; waits for room.
    pub(super) async fn put(&self, batch: Batch) -> Result<(), Stopped> {
        let room = Arc::clone(&self.room).acquire_many_owned(weight(&batch)).await.map_err(|_| Stopped)?;
        self.parcels.send(Parcel::Batch(batch, room)).map_err(|_| Stopped)
    }

    /// Waits until all that was handed over is confirmed; tells the first refusal since the last flush.
    pub(super) async fn flush(&self) -> Result<(), BusError> {
        let (done, confirmed) = oneshot::channel();
        self.parcels.send(Parcel::Flush(done)).map_err(|_| BusError::Closed)?;
        confirmed.await.map_err(|_| BusError::Closed)?
    }
}

/// The room that a batch takes.
fn weight(batch: &Batch) -> u32 {
    u32::try_from(batch.body.len() + PARCEL).unwrap_or(u32::MAX)
}

/// Starts the task. It ends, all confirmed, when every hand-over is dropped.
pub(super) fn start(
    protocol: &'static Protocol,
    target: IntakeTarget,
    metrics: IntakeMetrics,
) -> (HandOver, JoinHandle<Result<(), BusError>>) {
    // Unbounded, but its room bounds it.
    let (sender, parcels) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(HAND_OVER));
    let publisher = target.bus.publisher(WINDOW);
    let task = Task { protocol, target, metrics, publisher, sequence: 0, unroutable: 0, refusal: None };
    (HandOver { parcels: sender, room }, tokio::spawn(task.run(parcels)))
}

struct Task {
    protocol: &'static Protocol,
    target: IntakeTarget,
    metrics: IntakeMetrics,
    publisher: Publisher,
    sequence: u64,
    /// How many unroutable messages are counted already.
    unroutable: u64,
    /// The first refusal since the last flush.
    refusal: Option<BusError>,
}

impl Task {
    async fn run(mut self, mut parcels: mpsc::UnboundedReceiver<Parcel>) -> Result<(), BusError> {
        while let Some(parcel) = parcels.recv().await {
            match parcel {
                Parcel::Batch(batch, room) => {
                    self.publish(batch).await;
                    drop(room);
                }
                Parcel::Flush(done) => {
                    let result = self.flush().await;
                    // Who asked may have gone; the batches are confirmed all the same.
                    let _ = done.send(result);
                }
            }
        }
        self.flush().await
    }

    async fn publish(&mut self, batch: Batch) {
        let message = message(self.protocol, &self.target, self.sequence, batch);
        self.sequence += 1;
        match self.publisher.send(names::METRICS_EXCHANGE, message).await {
            Ok(()) => {
                self.metrics.messages.inc();
            }
            Err(error) => self.refused(error),
        }
        self.count_unroutable();
    }

    async fn flush(&mut self) -> Result<(), BusError> {
        // One refused message must not hide whether the others are confirmed: flush until all is told.
        while let Err(error) = self.publisher.flush().await {
            let closed = error == BusError::Closed;
            self.refused(error);
            if closed {
                break;
            }
        }
        self.count_unroutable();
        self.refusal.take().map_or(Ok(()), Err)
    }

    fn refused(&mut self, error: BusError) {
        self.metrics.refused_messages.inc();
        if self.refusal.is_none() {
            let Protocol { name, .. } = self.protocol;
            tracing::warn!(%error, profile = self.target.profile, "the bus refuses {name} messages");
            self.refusal = Some(error);
        }
    }

    fn count_unroutable(&mut self) {
        let unroutable = self.publisher.unroutable();
        if unroutable > self.unroutable {
            if self.unroutable == 0 {
                let (profile, Protocol { name, .. }) = (&self.target.profile, self.protocol);
                tracing::warn!(
                    profile,
                    "no source of any Topology takes the {name} messages of this profile"
                );
            }
            self.metrics.unroutable_messages.inc_by(unroutable - self.unroutable);
            self.unroutable = unroutable;
        }
    }
}

/// A batch as DESIGN.md's "Messages" wants it, stamped by its rule 8.
fn message(protocol: &Protocol, target: &IntakeTarget, sequence: u64, batch: Batch) -> Message {
    Message {
        routing_key: names::metrics(protocol.name, &target.profile, &batch.origin),
        headers: vec![
            (names::ORIGIN_HEADER.to_owned(), HeaderValue::Text(batch.origin)),
            (names::TIMESTAMP_HEADER.to_owned(), HeaderValue::Int(batch.arrived_ms)),
        ],
        content_type: Some(protocol.content_type.to_owned()),
        message_id: Some(format!("{}-{sequence}", target.instance)),
        body: batch.body,
        ..Message::default()
    }
}
