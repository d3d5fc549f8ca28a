//! A queue in memory: bounded, each message delivered until it is acknowledged.

use super::Broker;
use crate::{BusError, Message};
use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    max_length: u64,
    when_full: WhenFull,
    state: Mutex<State>,
    arrived: Notify,
    room: Notify,
}

/// What a message meets that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// Its publisher waits: what `reject-publish` and a retry come to on a broker.
    Wait,
    /// The oldest message goes: `drop-head`.
    DropOldest,
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
    pub(super) fn new(max_length: u64, when_full: WhenFull) -> Self {
        Self { max_length, when_full, state: Mutex::default(), arrived: Notify::new(), room: Notify::new() }
    }

    pub(super) fn is_like(&self, max_length: u64, when_full: WhenFull) -> bool {
        self.max_length == max_length && self.when_full == when_full
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
                let full = state.ready.len() as u64 >= self.max_length;
                if full && self.when_full == WhenFull::DropOldest {
                    state.ready.pop_front();
                }
                if !full || self.when_full == WhenFull::DropOldest {
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
    _owned: Option<Owned>,
}

/// A queue that goes with its consumer.
#[derive(Debug)]
struct Owned {
    broker: Arc<Broker>,
    name: String,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.broker.delete_queue(&self.name);
    }
}

impl QueueConsumer {
    pub(super) fn new(queue: Arc<Queue>, prefetch: u16) -> Self {
        Self { queue, credit: Arc::new(Semaphore::new(usize::from(prefetch))), _owned: None }
    }

    /// The queue goes with this consumer.
    pub(super) fn that_owns(self, broker: Arc<Broker>, name: String) -> Self {
        Self { _owned: Some(Owned { broker, name }), ..self }
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
