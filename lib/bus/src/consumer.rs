//! Reading streams and consuming queues.

use crate::{BusError, Message, amqp, local};

/// Where to begin to read a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOffset {
    /// At the oldest message retained.
    First,
    /// After the newest message.
    Next,
    /// At the newest message, or some before it: a broker begins with the last chunk that it wrote.
    Last,
    /// At the first message that came at this time (seconds since the epoch) or later, or some before it: a broker
    /// begins with a chunk.
    Since(u64),
    /// At this offset; at the oldest message retained if that one is gone.
    Offset(u64),
}

/// A message of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamDelivery {
    /// Its place in the stream; rises by one from message to message.
    pub offset: u64,
    /// The message.
    pub message: Message,
}

/// Reads a stream in order, each offset once, across reconnections. Acknowledgements are credit only and made within.
#[derive(Debug)]
pub struct StreamReader(Reader);

#[derive(Debug)]
enum Reader {
    Local(local::StreamReader),
    Amqp(Box<amqp::StreamReader>),
}

impl StreamReader {
    pub(crate) fn local(reader: local::StreamReader) -> Self {
        Self(Reader::Local(reader))
    }

    pub(crate) fn amqp(reader: amqp::StreamReader) -> Self {
        Self(Reader::Amqp(Box::new(reader)))
    }

    /// The next message; waits for it, through outages too. Cancel-safe: a dropped future loses nothing.
    ///
    /// After an error it may be called again: it then subscribes anew, except after [`BusError::Closed`].
    pub async fn next(&mut self) -> Result<StreamDelivery, BusError> {
        match &mut self.0 {
            Reader::Local(reader) => reader.next().await,
            Reader::Amqp(reader) => reader.next().await,
        }
    }

    /// The next message if it is here already: saves a busy reader the waiting machinery.
    pub fn try_next(&mut self) -> Option<StreamDelivery> {
        match &mut self.0 {
            Reader::Local(reader) => reader.try_next(),
            Reader::Amqp(reader) => reader.try_next(),
        }
    }
}

/// Consumes a queue. Dropping it ends the subscription; deliveries in hand can still be acknowledged.
#[derive(Debug)]
pub struct QueueConsumer(Consumer);

#[derive(Debug)]
enum Consumer {
    Local(local::QueueConsumer),
    Amqp(Box<amqp::QueueConsumer>),
}

impl QueueConsumer {
    pub(crate) fn local(consumer: local::QueueConsumer) -> Self {
        Self(Consumer::Local(consumer))
    }

    pub(crate) fn amqp(consumer: amqp::QueueConsumer) -> Self {
        Self(Consumer::Amqp(Box::new(consumer)))
    }

    /// The next message; waits for it, through outages too. Cancel-safe: a dropped future loses nothing.
    ///
    /// After an error it may be called again: it then subscribes anew, except after [`BusError::Closed`].
    pub async fn next(&mut self) -> Result<Delivery, BusError> {
        match &mut self.0 {
            Consumer::Local(consumer) => {
                let (message, redelivered, receipt) = consumer.next().await?;
                Ok(Delivery { message, redelivered, receipt: Receipt::Local(receipt) })
            }
            Consumer::Amqp(consumer) => {
                let (message, redelivered, receipt) = consumer.next().await?;
                Ok(Delivery { message, redelivered, receipt: Receipt::Amqp(receipt) })
            }
        }
    }
}

/// A message of a queue, to be acknowledged. Dropped without that it goes back to the queue.
#[derive(Debug)]
#[must_use = "a dropped delivery goes back to the queue"]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Whether it was delivered before, to anyone.
    pub redelivered: bool,
    receipt: Receipt,
}

#[derive(Debug)]
enum Receipt {
    Local(local::Receipt),
    Amqp(amqp::Receipt),
}

impl Delivery {
    /// Done with: takes it from the queue.
    ///
    /// When the connection was lost since the delivery, nothing happens: the broker delivers it again.
    pub async fn ack(self) {
        match self.receipt {
            Receipt::Local(receipt) => receipt.ack(),
            Receipt::Amqp(receipt) => receipt.ack().await,
        }
    }

    /// Refused: takes it from the queue without being done, or puts it back (`requeue`).
    pub async fn reject(self, requeue: bool) {
        match self.receipt {
            Receipt::Local(receipt) if requeue => drop(receipt),
            Receipt::Local(receipt) => receipt.ack(),
            Receipt::Amqp(receipt) => receipt.reject(requeue).await,
        }
    }
}
