//! How messages move: one interface to a vhost, in process ([`Bus::local`]) or on a broker by AMQP 0-9-1 ([`Bus::amqp`]).
//!
//! The promises are the same both ways: a publish that returned is kept, a stream is read in order by offset,
//! what was not acknowledged is delivered again, and whoever is too fast waits.

mod admin;
mod amqp;
mod bus;
mod consumer;
mod declaration;
mod error;
mod local;
mod lock;
mod message;
pub mod needs;
mod publisher;
mod topic;

pub use admin::Admin;
pub use amqp::{AmqpConfig, TlsSource};
pub use bus::{Bus, ConnectionState};
pub use consumer::{Delivery, QueueConsumer, StreamDelivery, StreamOffset, StreamReader};
pub use declaration::{
    Argument, Binding, Declaration, Declared, Exchange, ExchangeKind, OwnQueue, Queue, QueueKind, Retention,
};
pub use error::BusError;
pub use lock::Lock;
pub use message::{HeaderValue, Message};
pub use publisher::{Publisher, Receipt};
pub use topic::matches as topic_matches;
