//! What can go wrong on the bus: each variant says what, where, and what to do.

/// Why the bus could not do what was asked. The broker's own text stands in `text`.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BusError {
    /// The address is not one.
    #[error("{uri}: not an AMQP address ({reason}); write amqp://user:password@host:port")]
    InvalidUri {
        /// The address, without its password.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The vhost is missing on the broker.
    #[error(
        "{broker}: {text}; create the vhost with --amqp-admin, or by:\n  rabbitmqctl add_vhost {vhost}\n  \
         rabbitmqctl set_permissions -p {vhost} {user} '.*' '.*' '.*'"
    )]
    VhostNotFound {
        /// Host and port.
        broker: String,
        /// The vhost that was asked for.
        vhost: String,
        /// The user who asked.
        user: String,
        /// The broker's text.
        text: String,
    },

    /// The broker refused the user name or the password.
    #[error(
        "{broker}: {text}; check user {user} and its password: rabbitmqctl authenticate_user {user} PASSWORD"
    )]
    LoginRefused {
        /// Host and port.
        broker: String,
        /// The user.
        user: String,
        /// The broker's text.
        text: String,
    },

    /// The user lacks a permission.
    #[error("{broker}: {text}; grant it: rabbitmqctl set_permissions -p {vhost} {user} '.*' '.*' '.*'")]
    AccessRefused {
        /// Host and port.
        broker: String,
        /// The vhost.
        vhost: String,
        /// The user.
        user: String,
        /// The broker's text.
        text: String,
    },

    /// An exchange or a queue is missing.
    #[error("{broker}: {text}; declare it first")]
    NotFound {
        /// Host and port, or `in process`.
        broker: String,
        /// The broker's text.
        text: String,
    },

    /// An object exists with other arguments than those declared, or cannot do what was asked.
    #[error(
        "{broker}: {text}; if the object was declared with other arguments, delete it or declare it as it is"
    )]
    PreconditionFailed {
        /// Host and port, or `in process`.
        broker: String,
        /// The broker's text.
        text: String,
    },

    /// The broker refused for another reason that retrying does not cure.
    #[error("{broker}: {text}")]
    Refused {
        /// Host and port.
        broker: String,
        /// The broker's text.
        text: String,
    },

    /// No queue is bound to the exchange with a matching key: the message went nowhere.
    #[error("no queue of exchange {exchange:?} takes the routing key {routing_key:?}; bind one that does")]
    Unroutable {
        /// The exchange.
        exchange: String,
        /// The message's key.
        routing_key: String,
    },

    /// AMQP cannot carry the message.
    #[error("{what} has {length} bytes, AMQP's short strings carry 255; shorten it")]
    TooLong {
        /// The property.
        what: &'static str,
        /// Its length.
        length: usize,
    },

    /// The broker did not answer in time; connecting goes on in the background.
    #[error("{broker}: no connection within {seconds} s ({text}); is the broker running there?")]
    Unreachable {
        /// Host and port.
        broker: String,
        /// How long it was waited for.
        seconds: u64,
        /// What the last attempt met.
        text: String,
    },

    /// The stream was lost on the broker and made anew: what follows has new offsets, from its first message.
    #[error("stream {queue} was made anew on the broker; its offsets start again")]
    StreamRecreated {
        /// The stream.
        queue: String,
    },

    /// The queue is a stream, or the stream a queue.
    #[error("{queue} is {is}; {hint}")]
    WrongKind {
        /// The queue.
        queue: String,
        /// What it is.
        is: &'static str,
        /// What to call instead.
        hint: &'static str,
    },

    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,

    /// The broker's HTTP interface did not do what was asked.
    #[error("{action}: {reason}; check --amqp-admin (http://user:password@host:15672, an administrator)")]
    Admin {
        /// What was asked, with the URL.
        action: String,
        /// The broker's answer, or why there was none.
        reason: String,
    },
}
