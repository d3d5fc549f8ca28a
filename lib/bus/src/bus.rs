//! The handle to a vhost, whichever way it is reached.

use crate::{
    AmqpConfig, BusError, Declaration, Declared, Lock, Message, OwnQueue, Publisher, QueueConsumer,
    StreamOffset, StreamReader, amqp, local,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// One vhost, in process or on a broker. Cheap to clone: clones share the connection.
#[derive(Clone, Debug)]
pub struct Bus(Way);

#[derive(Clone, Debug)]
enum Way {
    Local(Arc<local::Broker>),
    Amqp(Arc<amqp::Session>),
}

/// Whether the vhost can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Messages move.
    Connected,
    /// Connected, but the broker takes no messages (`connection.blocked`): publishing waits.
    Blocked {
        /// The broker's reason, e.g. `low on memory`.
        reason: String,
    },
    /// Not connected; an attempt is under way or waits for its time.
    Connecting {
        /// How many attempts failed since the last connection.
        attempt: u32,
        /// What the last one met: the broker's own text where it gave one.
        error: Option<String>,
    },
    /// Closed by [`Bus::close`]; for good.
    Closed,
}

impl Bus {
    /// A broker of one vhost in this process: bounded, in memory, gone with the last handle.
    ///
    /// Publishing to a stream waits while a reader of it lags too far behind: who reads a stream and publishes to it
    /// must do so in two tasks.
    #[must_use]
    pub fn local() -> Self {
        Self(Way::Local(Arc::default()))
    }

    /// A vhost on a broker. Returns at once; connects in the background, for ever, with exponential back-off.
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn amqp(config: AmqpConfig) -> Self {
        Self(Way::Amqp(amqp::Session::start(config)))
    }

    /// Waits until the vhost is reached.
    ///
    /// Fails at once where waiting cannot help (missing vhost, refused login), else after `timeout`; connecting
    /// goes on in both cases.
    pub async fn connected(&self, timeout: Duration) -> Result<(), BusError> {
        match &self.0 {
            Way::Local(broker) => broker.check_open(),
            Way::Amqp(session) => session.connected(timeout).await,
        }
    }

    /// Declares exchanges, queues and bindings; what exists already with the same arguments stays as it is.
    /// They are remembered, and declared again after each reconnection.
    pub async fn declare(&self, declaration: &Declaration) -> Result<Declared, BusError> {
        match &self.0 {
            Way::Local(broker) => broker.declare(declaration),
            Way::Amqp(session) => amqp::declare(session, declaration).await,
        }
    }

    /// Takes a name that one holder has at a time; None while another has it. Waits for the connection.
    pub async fn lock(&self, name: &str) -> Result<Option<Lock>, BusError> {
        match &self.0 {
            Way::Local(broker) => {
                broker.check_open()?;
                Ok(broker.lock(name).then(|| Lock::local(Arc::clone(broker), name)))
            }
            Way::Amqp(session) => amqp::lock(session, name).await,
        }
    }

    /// Whether a stream outlives the process: those of a broker do.
    #[must_use]
    pub fn keeps_streams(&self) -> bool {
        matches!(self.0, Way::Amqp(_))
    }

    /// Publishes one message; returns when the broker has confirmed it. Waits through outages and while queues are full.
    ///
    /// When the future is dropped early the message may or may not have arrived.
    pub async fn publish(&self, exchange: &str, message: Message) -> Result<(), BusError> {
        match &self.0 {
            Way::Local(broker) => broker.publish(exchange, message).await,
            Way::Amqp(session) => session.publish(exchange, message).await,
        }
    }

    /// A pipelined publisher that has at most `window` messages unconfirmed (at least one).
    #[must_use]
    pub fn publisher(&self, window: usize) -> Publisher {
        match &self.0 {
            Way::Local(broker) => Publisher::local(Arc::clone(broker)),
            Way::Amqp(session) => Publisher::amqp(Arc::clone(session), window.max(1)),
        }
    }

    /// Reads a stream from `from` on.
    pub async fn read_stream(&self, queue: &str, from: StreamOffset) -> Result<StreamReader, BusError> {
        match &self.0 {
            Way::Local(broker) => Ok(StreamReader::local(broker.read_stream(queue, from)?)),
            Way::Amqp(session) => {
                Ok(StreamReader::amqp(amqp::StreamReader::open(Arc::clone(session), queue, from).await?))
            }
        }
    }

    /// Consumes a queue with at most `prefetch` (at least one) unacknowledged deliveries in hand.
    pub async fn consume(&self, queue: &str, prefetch: u16) -> Result<QueueConsumer, BusError> {
        let prefetch = prefetch.max(1);
        match &self.0 {
            Way::Local(broker) => Ok(QueueConsumer::local(broker.consume(queue, prefetch)?)),
            Way::Amqp(session) => Ok(QueueConsumer::amqp(
                amqp::QueueConsumer::open(Arc::clone(session), queue, prefetch).await?,
            )),
        }
    }

    /// Makes a queue of the caller's own and consumes it; it goes with the consumer.
    ///
    /// [`BusError::Refused`] or [`BusError::AccessRefused`] says that somebody else holds the name.
    pub async fn consume_own(&self, queue: &OwnQueue, prefetch: u16) -> Result<QueueConsumer, BusError> {
        let prefetch = prefetch.max(1);
        match &self.0 {
            Way::Local(broker) => Ok(QueueConsumer::local(broker.consume_own(queue, prefetch)?)),
            Way::Amqp(session) => Ok(QueueConsumer::amqp(
                amqp::QueueConsumer::open_own(Arc::clone(session), queue, prefetch).await?,
            )),
        }
    }

    /// Whether the vhost can be reached, now and in future.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        match &self.0 {
            Way::Local(broker) => broker.state(),
            Way::Amqp(session) => session.state(),
        }
    }

    /// Closes the connection in AMQP's way; readers and consumers end with [`BusError::Closed`].
    pub async fn close(&self) {
        match &self.0 {
            Way::Local(broker) => broker.close(),
            Way::Amqp(session) => session.close().await,
        }
    }
}

impl ConnectionState {
    /// Is there a connection, blocked or not?
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected | Self::Blocked { .. })
    }
}
