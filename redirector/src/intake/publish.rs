//! From the hand-over onto the bus: one task that numbers, stamps and publishes.

use kinetic_api::names;
use kinetic_bus::{BusError, HeaderValue, Message, Publisher};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{IntakeMetrics, IntakeTarget, batch::Batch};

/// Batches between the readers and the bus: at 32 KiB each, 16 MiB.
const HAND_OVER: usize = 512;
/// Messages on the wire before the first is confirmed.
const WINDOW: usize = 1024;

/// What goes through the hand-over.
#[derive(Debug)]
enum Parcel {
    Batch(Batch),
    /// Answered when everything before it is confirmed.
    Flush(oneshot::Sender<Result<(), BusError>>),
}

/// The readers' end of the hand-over.
#[derive(Clone, Debug)]
pub(super) struct HandOver(mpsc::Sender<Parcel>);

/// The publisher is gone: the intake was stopped.
#[derive(Debug)]
pub(super) struct Stopped;

impl HandOver {
    /// Hands a batch over if there is room; else it comes back.
    pub(super) fn try_put(&self, batch: Batch) -> Result<(), Batch> {
        match self.0.try_reserve() {
            Ok(place) => {
                place.send(Parcel::Batch(batch));
                Ok(())
            }
            Err(_) => Err(batch),
        }
    }

    /// Hands a batch over; waits for room.
    pub(super) async fn put(&self, batch: Batch) -> Result<(), Stopped> {
        self.0.send(Parcel::Batch(batch)).await.map_err(|_| Stopped)
    }

    /// Waits until all that was handed over is confirmed; tells the first refusal since the last flush.
    pub(super) async fn flush(&self) -> Result<(), BusError> {
        let (done, confirmed) = oneshot::channel();
        self.0.send(Parcel::Flush(done)).await.map_err(|_| BusError::Closed)?;
        confirmed.await.map_err(|_| BusError::Closed)?
    }
}

/// Starts the task. It ends, all confirmed, when every hand-over is dropped.
pub(super) fn start(
    target: IntakeTarget,
    metrics: IntakeMetrics,
) -> (HandOver, JoinHandle<Result<(), BusError>>) {
    let (sender, parcels) = mpsc::channel(HAND_OVER);
    let publisher = target.bus.publisher(WINDOW);
    let task = Task { target, metrics, publisher, sequence: 0, unroutable: 0, refusal: None };
    (HandOver(sender), tokio::spawn(task.run(parcels)))
}

struct Task {
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
    async fn run(mut self, mut parcels: mpsc::Receiver<Parcel>) -> Result<(), BusError> {
        while let Some(parcel) = parcels.recv().await {
            match parcel {
                Parcel::Batch(batch) => self.publish(batch).await,
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
        let message = message(&self.target, self.sequence, batch);
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
            tracing::warn!(%error, profile = self.target.profile, "the bus refuses statsd messages");
            self.refusal = Some(error);
        }
    }

    fn count_unroutable(&mut self) {
        let unroutable = self.publisher.unroutable();
        if unroutable > self.unroutable {
            if self.unroutable == 0 {
                let profile = &self.target.profile;
                tracing::warn!(
                    profile,
                    "no source of any Topology takes the statsd messages of this profile"
                );
            }
            self.metrics.unroutable_messages.inc_by(unroutable - self.unroutable);
            self.unroutable = unroutable;
        }
    }
}

/// A batch as DESIGN.md's "Messages" wants it, stamped by its rule 8.
fn message(target: &IntakeTarget, sequence: u64, batch: Batch) -> Message {
    Message {
        routing_key: names::metrics("statsd", &target.profile, &batch.origin),
        headers: vec![
            (names::ORIGIN_HEADER.to_owned(), HeaderValue::Text(batch.origin)),
            (names::TIMESTAMP_HEADER.to_owned(), HeaderValue::Int(batch.arrived_ms)),
        ],
        content_type: Some(names::STATSD_CONTENT_TYPE.to_owned()),
        message_id: Some(format!("{}-{sequence}", target.instance)),
        body: batch.body,
        ..Message::default()
    }
}
