//! From the hand-over onto the bus: one task that numbers, stamps and publishes.

use kinetic_api::names;
use kinetic_bus::{BusError, Message, Publisher};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    IntakeMetrics, IntakeTarget,
    batch::Batch,
    hand_over::{self, HandOver, Parcel},
    protocol::Protocol,
    stamp::Stamp,
};

/// Bytes between the readers and the bus.
const HAND_OVER: usize = 8 * 1024 * 1024;
/// Messages on the wire before the first is confirmed.
const WINDOW: usize = 1024;

/// Starts the task. It ends, all confirmed, when every hand-over is dropped.
pub(super) fn start(
    protocol: &'static Protocol,
    target: IntakeTarget,
    metrics: IntakeMetrics,
) -> (HandOver, JoinHandle<Result<(), BusError>>) {
    let (hand_over, parcels) = hand_over::new(HAND_OVER);
    let publisher = target.bus.publisher(WINDOW);
    let task = Task { protocol, target, metrics, publisher, sequence: 0, unroutable: 0, refusal: None };
    (hand_over, tokio::spawn(task.run(parcels)))
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

/// A batch of a target's as a message, numbered.
fn message(protocol: &Protocol, target: &IntakeTarget, sequence: u64, batch: Batch) -> Message {
    let Batch { origin, arrived_ms, body, .. } = batch;
    Stamp { profile: &target.profile, instance: &target.instance, sequence, origin, arrived_ms }
        .message(protocol, body)
}
