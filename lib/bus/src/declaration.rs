//! The objects of a vhost: exchanges, queues, bindings.

use std::time::Duration;

/// Objects to declare, in AMQP's words. Everything is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declaration {
    /// Exchanges, declared first.
    pub exchanges: Vec<Exchange>,
    /// Queues and streams, declared second.
    pub queues: Vec<Queue>,
    /// Bindings, made last.
    pub bindings: Vec<Binding>,
}

/// Where messages are published to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its name in the vhost.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
}

/// How an exchange routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    /// By patterns of words: `*` stands for one word, `#` for any number.
    Topic,
    /// By the equal key.
    Direct,
    /// To every queue bound.
    Fanout,
}

/// Where messages wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name in the vhost.
    pub name: String,
    /// What it is.
    pub kind: QueueKind,
}

/// A log to read again and again, or a queue to consume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// A stream: reading does not consume it.
    Stream {
        /// Size of a segment; a stream is trimmed by whole segments (`x-stream-max-segment-size-bytes`).
        segment_bytes: u64,
        /// How much stays readable: on a broker by policy (see [`Admin`](crate::Admin)), in process by this, of which
        /// no more than 8 MiB.
        retention: Retention,
    },
    /// A replicated queue without a delivery limit that refuses messages when it is full (`reject-publish`).
    Quorum {
        /// How many messages it holds (`x-max-length`).
        max_length: u64,
    },
}

/// A queue's argument (`x-…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A word.
    Text(&'static str),
    /// A number.
    Integer(i64),
}

/// Deliveries without end: RabbitMQ 4 drops a message after 20 unless told otherwise. Its -1 for «no limit» will not
/// do: 3.10 takes that as given and drops a message the first time it is put back.
const DELIVERY_LIMIT: i64 = i32::MAX as i64;

impl QueueKind {
    /// What it is declared with. Of a stream type and segment size only: age and size come by policy, which can be changed.
    #[must_use]
    pub fn arguments(self) -> Vec<(&'static str, Argument)> {
        let integer = |value: u64| Argument::Integer(i64::try_from(value).unwrap_or(i64::MAX));
        match self {
            Self::Stream { segment_bytes, .. } => vec![
                ("x-queue-type", Argument::Text("stream")),
                ("x-stream-max-segment-size-bytes", integer(segment_bytes)),
            ],
            Self::Quorum { max_length } => vec![
                ("x-queue-type", Argument::Text("quorum")),
                ("x-max-length", integer(max_length)),
                ("x-delivery-limit", Argument::Integer(DELIVERY_LIMIT)),
                ("x-overflow", Argument::Text("reject-publish")),
            ],
        }
    }
}

/// How much of a stream stays readable: what exceeds either bound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Older messages go.
    pub age: Duration,
    /// Beyond this size the oldest messages go.
    pub bytes: u64,
}

/// A queue's interest in an exchange's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The exchange.
    pub exchange: String,
    /// The queue.
    pub queue: String,
    /// The pattern (topic), the key (direct); without meaning for fanout.
    pub routing_key: String,
}

/// A queue of its consumer's own, for messages that only matter now: exclusive to the connection, gone with the consumer, and made again,
/// empty, with its bindings after a reconnection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnQueue {
    /// Its name; one that nobody else has where absent. A name that somebody holds is refused: such a queue is a lock, too.
    pub name: Option<String>,
    /// What it takes: exchanges, which must have been declared, and routing keys.
    pub bindings: Vec<(String, String)>,
    /// So many messages wait at most (on a broker 64 MiB of them); of more, the oldest go.
    pub max_length: u64,
}

/// What a declaration changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// The streams that did not exist before: they have no identity yet.
    pub created_streams: Vec<String>,
}

impl Declaration {
    /// Takes over what `other` has; of objects with the same name, the other's.
    pub(crate) fn merge(&mut self, other: &Self) {
        for exchange in &other.exchanges {
            self.exchanges.retain(|known| known.name != exchange.name);
            self.exchanges.push(exchange.clone());
        }
        for queue in &other.queues {
            self.queues.retain(|known| known.name != queue.name);
            self.queues.push(queue.clone());
        }
        for binding in &other.bindings {
            if !self.bindings.contains(binding) {
                self.bindings.push(binding.clone());
            }
        }
    }
}
