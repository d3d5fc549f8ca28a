//! Between the readers, which must not wait, and what takes their batches on: bounded by bytes.

use std::sync::Arc;

use kinetic_bus::BusError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::batch::Batch;

/// What a parcel weighs beside its lines.
const PARCEL: usize = 256;

/// A hand-over with room for so many bytes, and where its parcels come out.
pub(crate) fn new(room: usize) -> (HandOver, mpsc::UnboundedReceiver<Parcel>) {
    // Unbounded, but its room bounds it.
    let (parcels, taken) = mpsc::unbounded_channel();
    (HandOver { parcels, room: Arc::new(Semaphore::new(room)) }, taken)
}

/// What goes through the hand-over.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// A batch, and the room that it takes until it is on the bus.
    Batch(Batch, OwnedSemaphorePermit),
    /// Answered when everything before it is confirmed.
    Flush(oneshot::Sender<Result<(), BusError>>),
}

/// The readers' end of the hand-over: bounded by its bytes, so that many small batches outlast a broker's pause.
#[derive(Clone, Debug)]
pub(crate) struct HandOver {
    parcels: mpsc::UnboundedSender<Parcel>,
    room: Arc<Semaphore>,
}

/// There is no room, since the bus is slower than the readers; or the intake was stopped.
#[derive(Debug)]
pub(crate) struct Full;

/// The publisher is gone: the intake was stopped.
#[derive(Debug)]
pub(crate) struct Stopped;

impl HandOver {
    /// Hands a batch over if there is room; else it is lost.
    pub(crate) fn try_put(&self, batch: Batch) -> Result<(), Full> {
        let room = Arc::clone(&self.room).try_acquire_many_owned(weight(&batch)).map_err(|_| Full)?;
        self.parcels.send(Parcel::Batch(batch, room)).map_err(|_| Full)
    }

    /// Hands a batch over; waits for room.
    pub(crate) async fn put(&self, batch: Batch) -> Result<(), Stopped> {
        let room = Arc::clone(&self.room).acquire_many_owned(weight(&batch)).await.map_err(|_| Stopped)?;
        self.parcels.send(Parcel::Batch(batch, room)).map_err(|_| Stopped)
    }

    /// Waits until all that was handed over is confirmed; tells the first refusal since the last flush.
    pub(crate) async fn flush(&self) -> Result<(), BusError> {
        let (done, confirmed) = oneshot::channel();
        self.parcels.send(Parcel::Flush(done)).map_err(|_| BusError::Closed)?;
        confirmed.await.map_err(|_| BusError::Closed)?
    }
}

/// The room that a batch takes.
fn weight(batch: &Batch) -> u32 {
    u32::try_from(batch.body.len() + PARCEL).unwrap_or(u32::MAX)
}
