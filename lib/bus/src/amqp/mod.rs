//! A vhost on a broker, by AMQP 0-9-1.
//!
//! One connection, supervised: [`supervisor`] makes it and makes it again; publishers, readers and consumers each
//! have channels of their own and rebuild them when they break. lapin's automatic recovery stays off: it would
//! subscribe to streams where they were first subscribed to.

mod backoff;
mod config;
mod convert;
mod declare;
mod failure;
mod lock;
mod publish;
mod publisher;
mod queue;
mod stream;
mod supervisor;
mod tls;

pub use config::{AmqpConfig, TlsSource};
pub(crate) use declare::declare;
pub(crate) use lock::{lock, unlock};
pub(crate) use publisher::Publisher;
pub(crate) use queue::{QueueConsumer, Receipt};
pub(crate) use stream::StreamReader;
pub(crate) use supervisor::Session;
