//! Consumes a queue by `basic.consume`, each delivery acknowledged by its receiver.

use super::{
    backoff::Backoff,
    config::short,
    convert,
    failure::Failure,
    supervisor::{Session, Up},
};
use crate::{BusError, Message, OwnQueue};
use futures_util::{FutureExt, StreamExt};
use lapin::{
    Acker, Channel, Consumer,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions,
        QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use std::{fmt, sync::Arc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// What waits in a queue of one's own takes so many bytes at most: who may publish to it can send long messages.
const OWN_BYTES: i64 = 64 << 20;

/// A queue being consumed, subscribed to anew whenever the channel breaks; the broker then delivers again.
#[derive(Debug)]
pub(crate) struct QueueConsumer {
    session: Arc<Session>,
    queue: Wanted,
    prefetch: u16,
    subscription: Option<Subscription>,
    backoff: Backoff,
}

/// The queue that is consumed.
#[derive(Debug)]
enum Wanted {
    /// One that was declared.
    Declared(ShortString),
    /// One that is made with each subscription and goes with it.
    Own(Box<Own>),
}

/// A queue of the consumer's own in AMQP's types.
#[derive(Debug)]
struct Own {
    /// Empty where the broker is to choose.
    name: ShortString,
    bindings: Vec<(ShortString, ShortString)>,
    max_length: i64,
}

#[derive(Debug)]
struct Subscription {
    /// Kept open by its deliveries too, so that they can be acknowledged after the consumer has gone.
    channel: Arc<Channel>,
    consumer: Consumer,
    /// The connection's end.
    ended: CancellationToken,
}

/// The duty to acknowledge a delivery; dropped, it puts the message back.
#[derive(Debug)]
pub(crate) struct Receipt {
    acker: Option<Acker>,
    _channel: Arc<Channel>,
}

impl QueueConsumer {
    pub(crate) async fn open(session: Arc<Session>, queue: &str, prefetch: u16) -> Result<Self, BusError> {
        let queue = Wanted::Declared(short("the queue's name", queue)?);
        Self::start(session, queue, prefetch).await
    }

    pub(crate) async fn open_own(
        session: Arc<Session>,
        queue: &OwnQueue,
        prefetch: u16,
    ) -> Result<Self, BusError> {
        let queue = Wanted::Own(Box::new(Own::new(queue)?));
        Self::start(session, queue, prefetch).await
    }

    async fn start(session: Arc<Session>, queue: Wanted, prefetch: u16) -> Result<Self, BusError> {
        let mut consumer =
            Self { session, queue, prefetch, subscription: None, backoff: Backoff::retrying() };
        loop {
            let up = consumer.session.up_or_refused().await?;
            if consumer.subscribe(&up).await? {
                return Ok(consumer);
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Result<(Message, bool, Receipt), BusError> {
        loop {
            let Some(subscription) = &mut self.subscription else {
                let up = self.session.up().await?;
                self.subscribe(&up).await?;
                continue;
            };
            match subscription.next().await {
                Some(Ok(delivery)) => {
                    self.backoff.reset();
                    let redelivered = delivery.redelivered;
                    let receipt = Receipt {
                        acker: Some(delivery.acker.clone()),
                        _channel: Arc::clone(&subscription.channel),
                    };
                    let (message, _) = convert::message(delivery);
                    return Ok((message, redelivered, receipt));
                }
                Some(Err(error)) => {
                    self.subscription = None;
                    match self.session.failure(&error) {
                        Failure::Refused(error) => return Err(error),
                        Failure::Lost(error) => {
                            tracing::debug!(queue = %self.queue, error, "consuming was cut short");
                        }
                    }
                }
                None => {
                    tracing::debug!(queue = %self.queue, "the consumer ended");
                    self.subscription = None;
                }
            }
        }
    }

    /// One attempt; false, after a pause, if it is to be tried again.
    async fn subscribe(&mut self, up: &Up) -> Result<bool, BusError> {
        let failure = match self.attach(up).await {
            Ok(subscription) => {
                self.subscription = Some(subscription);
                return Ok(true);
            }
            Err(error) => self.session.failure(&error),
        };
        sleep(self.backoff.pause()).await;
        match failure {
            Failure::Refused(error) => Err(error),
            Failure::Lost(error) => {
                tracing::debug!(queue = %self.queue, error, "cannot subscribe; trying again");
                Ok(false)
            }
        }
    }

    async fn attach(&self, up: &Up) -> lapin::Result<Subscription> {
        let channel = up.connection.create_channel().await?;
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let (queue, exclusive) = match &self.queue {
            Wanted::Declared(name) => (name.clone(), false),
            Wanted::Own(own) => (own.make(&channel).await?, true),
        };
        let options = BasicConsumeOptions { exclusive, ..BasicConsumeOptions::default() };
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
        Ok(Subscription { channel: Arc::new(channel), consumer, ended: up.ended.clone() })
    }
}

impl Own {
    fn new(queue: &OwnQueue) -> Result<Self, BusError> {
        let bindings = queue.bindings.iter().map(|(exchange, key)| {
            Ok((short("an exchange's name", exchange.as_str())?, short("a binding's key", key.as_str())?))
        });
        Ok(Self {
            name: short("a queue's name", queue.name.as_deref().unwrap_or_default())?,
            bindings: bindings.collect::<Result<_, BusError>>()?,
            max_length: i64::try_from(queue.max_length).unwrap_or(i64::MAX),
        })
    }

    /// Makes the queue on the connection of this channel, and binds it; returns its name.
    async fn make(&self, channel: &Channel) -> lapin::Result<ShortString> {
        let options =
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(self.max_length));
        arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(OWN_BYTES));
        let made = channel.queue_declare(self.name.clone(), options, arguments).await?;
        for (exchange, key) in &self.bindings {
            channel
                .queue_bind(
                    made.name().clone(),
                    exchange.clone(),
                    key.clone(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await?;
        }
        Ok(made.name().clone())
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(own) if own.name.as_str().is_empty() => f.write_str("(a queue of our own)"),
            Self::Own(own) => own.name.fmt(f),
            Self::Declared(name) => name.fmt(f),
        }
    }
}

impl Subscription {
    async fn next(&mut self) -> Option<lapin::Result<Delivery>> {
        tokio::select! {
            biased;
            delivered = self.consumer.next() => delivered,
            () = self.ended.cancelled() => None,
        }
    }
}

impl Drop for QueueConsumer {
    fn drop(&mut self) {
        // What waits here unseen goes back at once: deliveries in hand may keep the channel open for long.
        if let Some(Subscription { consumer, .. }) = &mut self.subscription {
            while let Some(Some(Ok(delivery))) = consumer.next().now_or_never() {
                put_back(&delivery.acker);
            }
        }
    }
}

impl Receipt {
    pub(crate) async fn ack(mut self) {
        if let Some(acker) = self.acker.take()
            && let Err(error) = acker.ack(BasicAckOptions::default()).await
        {
            tracing::debug!(%error, "an acknowledgement was lost; the broker will deliver again");
        }
    }

    pub(crate) async fn reject(mut self, requeue: bool) {
        if let Some(acker) = self.acker.take()
            && let Err(error) = acker.reject(BasicRejectOptions { requeue }).await
        {
            tracing::debug!(%error, "a rejection was lost; the broker will deliver again");
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(acker) = self.acker.take() {
            put_back(&acker);
        }
    }
}

fn put_back(acker: &Acker) {
    // The first poll hands it to the connection; if that is gone, the broker puts it back by itself.
    let _ = acker.nack(BasicNackOptions { multiple: false, requeue: true }).now_or_never();
}
