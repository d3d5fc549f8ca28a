//! A queue in memory: bounded, each message delivered until it is acknowledged.

use crate::{BusError, Message};
use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The queue. Publishing waits while it is full: what `reject-publish` and a retry come to on a broker.
#[derive(Debug)]
pub(crate) struct Queue {
    max_length: u64,
    state: Mutex<State>,
    arrived: Notify,
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of their sequence numbers.
    ready: VecDeque<Ready>,
    next_sequence: u64,
    closed: bool,
}

#[derive(Debug)]
struct Ready {
    sequence: u64,
    redelivered: bool,
    message: Message,
}

impl Queue {
    pub(super) fn new(max_length: u64) -> Self {
        Self { max_length, state: Mutex::default(), arrived: Notify::new(), room: Notify::new() }
    }

    pub(super) fn max_length(&self) -> u64 {
        self.max_length
    }

    pub(super) async fn push(&self, message: Message) -> Result<(), BusError> {
        loop {
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            {
                let mut state = self.lock();
                if state.closed {
                    return Err(BusError::Closed);
                }
                if (state.ready.len() as u64) < self.max_length {
                    let sequence = state.next_sequence;
                    state.next_sequence += 1;
                    state.ready.push_back(Ready { sequence, redelivered: false, message });
                    drop(state);
                    self.arrived.notify_waiters();
                    return Ok(());
                }
            }
            room.await;
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_waiters();
        self.room.notify_waiters();
    }

    async fn pop(&self) -> Result<Ready, BusError> {
        loop {
            let mut arrived = pin!(self.arrived.notified());
            arrived.as_mut().enable();
            {
                let mut state = self.lock();
                if state.closed {
                    return Err(BusError::Closed);
                }
                if let Some(ready) = state.ready.pop_front() {
                    drop(state);
                    self.room.notify_waiters();
                    return Ok(ready);
                }
            }
            arrived.await;
        }
    }

    /// Puts a message back where it was.
    fn requeue(&self, ready: Ready) {
        {
            let mut state = self.lock();
            let place = state.ready.partition_point(|other| other.sequence < ready.sequence);
            state.ready.insert(place, Ready { redelivered: true, ..ready });
        }
        self.arrived.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes messages, `prefetch` at most before the first is acknowledged.
#[derive(Debug)]
pub(crate) struct QueueConsumer {
    queue: Arc<Queue>,
    credit: Arc<Semaphore>,
}

impl QueueConsumer {
    pub(super) fn new(queue: Arc<Queue>, prefetch: u16) -> Self {
        Self { queue, credit: Arc::new(Semaphore::new(usize::from(prefetch))) }
    }

    pub(crate) async fn next(&mut self) -> Result<(Message, bool, Receipt), BusError> {
        let credit = Arc::clone(&self.credit)
            .acquire_owned()
            .await
            .expect("a consumer's own semaphore is never closed");
        let ready = self.queue.pop().await?;
        let (message, redelivered) = (ready.message.clone(), ready.redelivered);
        let receipt = Receipt { queue: Arc::clone(&self.queue), unacked: Some(ready), _credit: credit };
        Ok((message, redelivered, receipt))
    }
}

/// The duty to acknowledge a delivery; dropped, it puts the message back.
#[derive(Debug)]
pub(crate) struct Receipt {
    queue: Arc<Queue>,
    unacked: Option<Ready>,
    _credit: OwnedSemaphorePermit,
}

impl Receipt {
    pub(crate) fn ack(mut self) {
        self.unacked = None;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(ready) = self.unacked.take() {
            self.queue.requeue(ready);
        }
    }
}
