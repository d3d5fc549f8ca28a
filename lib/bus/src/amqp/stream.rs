//! Reads a stream by `basic.consume` with `x-stream-offset`; acknowledgements are credit.

use super::{
    backoff::Backoff,
    config::short,
    convert,
    failure::Failure,
    supervisor::{Session, Up},
};
use crate::{BusError, Message, StreamDelivery, StreamOffset};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How many deliveries the broker sends ahead of acknowledgements.
const PREFETCH: u16 = 1000;
/// Acknowledged together, to give credit back: small against the prefetch, so that the broker never runs dry.
const ACK_EVERY: u16 = PREFETCH / 2;

/// A stream being read, subscribed to anew at the last offset seen whenever the channel breaks.
#[derive(Debug)]
pub(crate) struct StreamReader {
    session: Arc<Session>,
    queue: ShortString,
    from: StreamOffset,
    /// The last offset handed out.
    last: Option<u64>,
    /// What was there: a new subscription begins at it, and must find the same.
    seen: Option<Seen>,
    /// When the first subscription stood, in seconds since the epoch.
    since: Option<u64>,
    /// How often the stream had been made anew when it was last subscribed to.
    recreated: u64,
    subscription: Option<Subscription>,
    /// A refusal that `try_next` met and `next` hands out.
    refused: Option<BusError>,
    backoff: Backoff,
}

/// What tells a message from others at the same offset of another stream.
#[derive(Debug, PartialEq)]
struct Seen {
    message_id: Option<String>,
    body: Bytes,
}

impl Seen {
    fn of(message: &Message) -> Self {
        Self { message_id: message.message_id.clone(), body: message.body.clone() }
    }
}

#[derive(Debug)]
struct Subscription {
    channel: Channel,
    consumer: Consumer,
    unacknowledged: u16,
    /// Nothing has been delivered yet.
    fresh: bool,
    /// The connection's end.
    ended: CancellationToken,
}

impl StreamReader {
    pub(crate) async fn open(
        session: Arc<Session>,
        queue: &str,
        from: StreamOffset,
    ) -> Result<Self, BusError> {
        let queue = short("the stream's name", queue)?;
        let recreated = session.times_recreated(queue.as_str());
        let mut reader = Self {
            session,
            queue,
            from,
            last: None,
            seen: None,
            since: None,
            recreated,
            subscription: None,
            refused: None,
            backoff: Backoff::retrying(),
        };
        loop {
            let up = reader.session.up_or_refused().await?;
            if reader.subscribe(&up).await? {
                return Ok(reader);
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Result<StreamDelivery, BusError> {
        loop {
            if let Some(error) = self.refused.take() {
                return Err(error);
            }
            let Some(subscription) = &mut self.subscription else {
                let up = self.session.up().await?;
                self.subscribe(&up).await?;
                continue;
            };
            let delivered = subscription.next().await;
            if let Some(delivery) = self.take(delivered) {
                return Ok(delivery);
            }
        }
    }

    pub(crate) fn try_next(&mut self) -> Option<StreamDelivery> {
        loop {
            let delivered = self.subscription.as_mut()?.consumer.next().now_or_never()?;
            if let Some(delivery) = self.take(delivered) {
                return Some(delivery);
            }
        }
    }

    /// What the consumer yielded; none when it was seen before, or when the subscription ended.
    fn take(&mut self, delivered: Option<lapin::Result<Delivery>>) -> Option<StreamDelivery> {
        match delivered {
            Some(Ok(delivery)) => self.accept(delivery),
            Some(Err(error)) => {
                self.subscription = None;
                match self.session.failure(&error) {
                    Failure::Lost(error) => {
                        tracing::debug!(stream = %self.queue, error, "reading was cut short");
                    }
                    Failure::Refused(error) => self.refused = Some(error),
                }
                None
            }
            None => {
                tracing::debug!(stream = %self.queue, "the consumer ended");
                self.subscription = None;
                None
            }
        }
    }

    fn accept(&mut self, delivery: Delivery) -> Option<StreamDelivery> {
        let tag = delivery.delivery_tag;
        let (message, offset) = convert::message(delivery);
        let fresh = self.subscription.as_mut().is_some_and(|subscription| subscription.acknowledge(tag));
        let Some(offset) = offset else {
            self.subscription = None;
            self.refused = Some(BusError::WrongKind {
                queue: self.queue.to_string(),
                is: "a queue",
                hint: "consume it instead of reading it",
            });
            return None;
        };
        if fresh && self.last == Some(offset) && self.seen.as_ref() != Some(&Seen::of(&message)) {
            (self.subscription, self.last, self.from) = (None, None, StreamOffset::First);
            self.refused = Some(BusError::StreamRecreated { queue: self.queue.to_string() });
            return None;
        }
        let wanted = match (self.last, self.from) {
            (Some(last), _) => offset > last,
            (None, StreamOffset::Offset(first)) => offset >= first,
            (
                None,
                StreamOffset::First | StreamOffset::Next | StreamOffset::Last | StreamOffset::Since(_),
            ) => true,
        };
        wanted.then(|| {
            self.last = Some(offset);
            self.seen = Some(Seen::of(&message));
            self.backoff.reset();
            StreamDelivery { offset, message }
        })
    }

    /// One attempt, after a pause if the one before failed; false if it is to be tried again.
    async fn subscribe(&mut self, up: &Up) -> Result<bool, BusError> {
        let recreated = self.session.times_recreated(self.queue.as_str());
        if recreated != self.recreated {
            self.recreated = recreated;
            self.from = StreamOffset::First;
            if self.last.take().is_some() {
                return Err(BusError::StreamRecreated { queue: self.queue.to_string() });
            }
        }
        let error = match self.consume(up).await {
            Ok((channel, consumer)) => {
                self.since.get_or_insert_with(|| {
                    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
                });
                self.subscription = Some(Subscription {
                    channel,
                    consumer,
                    unacknowledged: 0,
                    fresh: true,
                    ended: up.ended.clone(),
                });
                return Ok(true);
            }
            Err(error) => self.session.failure(&error),
        };
        sleep(self.backoff.pause()).await;
        match error {
            Failure::Refused(error) => Err(error),
            Failure::Lost(error) => {
                tracing::debug!(stream = %self.queue, error, "cannot subscribe; trying again");
                Ok(false)
            }
        }
    }

    async fn consume(&self, up: &Up) -> lapin::Result<(Channel, Consumer)> {
        let channel = up.connection.create_channel().await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-stream-offset".into(), self.offset());
        let consumer = channel
            .basic_consume(self.queue.clone(), "".into(), BasicConsumeOptions::default(), arguments)
            .await?;
        Ok((channel, consumer))
    }

    fn offset(&self) -> AMQPValue {
        let at = |offset: u64| AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX));
        match (self.last, self.from, self.since) {
            // The last one itself, not the one after it: an offset beyond the end would wait unseen for ever.
            (Some(last), ..) => at(last),
            (None, StreamOffset::Offset(first), _) => at(first),
            (None, StreamOffset::First, _) => AMQPValue::LongString("first".into()),
            (None, StreamOffset::Last, _) => AMQPValue::LongString("last".into()),
            (None, StreamOffset::Since(seconds), _) => AMQPValue::Timestamp(seconds),
            (None, StreamOffset::Next, None) => AMQPValue::LongString("next".into()),
            // Nothing was seen since the subscription, but something may have come during the outage.
            (None, StreamOffset::Next, Some(since)) => AMQPValue::Timestamp(since),
        }
    }
}

impl Subscription {
    async fn next(&mut self) -> Option<lapin::Result<Delivery>> {
        // A busy reader is spared the second look.
        if let Some(delivered) = self.consumer.next().now_or_never() {
            return delivered;
        }
        tokio::select! {
            delivered = self.consumer.next() => delivered,
            () = self.ended.cancelled() => None,
        }
    }

    /// Whether it is the subscription's first delivery.
    fn acknowledge(&mut self, tag: u64) -> bool {
        self.unacknowledged += 1;
        if self.unacknowledged == ACK_EVERY {
            self.unacknowledged = 0;
            // The first poll queues the frame; whether it gets out the next delivery, or its absence, tells.
            let _ = self.channel.basic_ack(tag, BasicAckOptions { multiple: true }).now_or_never();
        }
        std::mem::take(&mut self.fresh)
    }
}
