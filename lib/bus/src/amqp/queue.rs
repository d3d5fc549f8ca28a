//! Consumes a queue by `basic.consume`, each delivery acknowledged by its receiver.

use super::{
    backoff::Backoff,
    config::short,
    convert,
    failure::Failure,
    supervisor::{Session, Up},
};
use crate::{BusError, Message};
use futures_util::{FutureExt, StreamExt};
use lapin::{
    Acker, Channel, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions},
    types::{FieldTable, ShortString},
};
use std::sync::Arc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A queue being consumed, subscribed to anew whenever the channel breaks; the broker then delivers again.
#[derive(Debug)]
pub(crate) struct QueueConsumer {
    session: Arc<Session>,
    queue: ShortString,
    prefetch: u16,
    subscription: Option<Subscription>,
    backoff: Backoff,
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
        let queue = short("the queue's name", queue)?;
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
        let consumer = channel
            .basic_consume(
                self.queue.clone(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(Subscription { channel: Arc::new(channel), consumer, ended: up.ended.clone() })
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
