//! Publishing many messages without waiting for each confirm.

use crate::{BusError, Message, amqp, local};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};
use tokio::sync::oneshot;

/// A pipelined publisher: messages go out in the order of [`send`](Self::send), confirms come later.
///
/// Unconfirmed messages are published again after a reconnection, in order; so are those that a full queue refused,
/// after a pause in which nothing new goes out. Of a broker that has just come back, messages that went nowhere are tried again for
/// 15 seconds, too: its streams may not be up yet. Dropping the publisher lets what was sent go on in the background.
#[derive(Debug)]
pub struct Publisher(Way);

#[derive(Debug)]
enum Way {
    Local { broker: Arc<local::Broker>, unroutable: AtomicU64 },
    Amqp(amqp::Publisher),
}

impl Publisher {
    pub(crate) fn local(broker: Arc<local::Broker>) -> Self {
        Self(Way::Local { broker, unroutable: AtomicU64::new(0) })
    }

    pub(crate) fn amqp(session: Arc<amqp::Session>, window: usize) -> Self {
        Self(Way::Amqp(amqp::Publisher::start(session, window)))
    }

    /// Sends one message; waits only while the window is full of unconfirmed ones.
    ///
    /// [`BusError::TooLong`] and [`BusError::Closed`] are this message's, which then is not sent. Any other error tells,
    /// once, that the broker refused an earlier message for good; this one is sent all the same.
    pub async fn send(&self, exchange: &str, message: Message) -> Result<(), BusError> {
        match &self.0 {
            Way::Local { broker, unroutable } => match broker.publish(exchange, message).await {
                Err(BusError::Unroutable { .. }) => {
                    unroutable.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
                other => other,
            },
            Way::Amqp(publisher) => publisher.send(exchange, message).await,
        }
    }

    /// Sends one message as [`send`](Self::send) does, and gives what tells what became of it: its refusal is told there, and only there.
    ///
    /// Errors are this message's, which then is not sent.
    pub async fn post(&self, exchange: &str, message: Message) -> Result<Receipt, BusError> {
        let (told, receipt) = oneshot::channel();
        match &self.0 {
            Way::Local { broker, .. } => {
                // Who posted has the receiver in hand.
                let _ = told.send(broker.publish(exchange, message).await);
            }
            Way::Amqp(publisher) => publisher.post(exchange, message, told).await?,
        }
        Ok(Receipt(receipt))
    }

    /// Waits until everything sent so far is confirmed, or refused for good: then with that error, one a call.
    pub async fn flush(&self) -> Result<(), BusError> {
        match &self.0 {
            Way::Local { broker, .. } => broker.check_open(),
            Way::Amqp(publisher) => publisher.flush().await,
        }
    }

    /// How many messages went nowhere, because no queue was bound for them.
    #[must_use]
    pub fn unroutable(&self) -> u64 {
        match &self.0 {
            Way::Local { unroutable, .. } => unroutable.load(Ordering::Relaxed),
            Way::Amqp(publisher) => publisher.unroutable(),
        }
    }
}

/// What became of a message, once that is known: confirmed, or refused for good, or [`BusError::Unroutable`]. An outage only delays it.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<(), BusError>>);

impl Future for Receipt {
    type Output = Result<(), BusError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|told| told.unwrap_or(Err(BusError::Closed)))
    }
}
