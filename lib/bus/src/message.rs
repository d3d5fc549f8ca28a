//! What is published and what is read: AMQP's basic class, as far as Kinetic uses it.

use bytes::Bytes;

/// One message: properties of AMQP 0-9-1's basic class, and the body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// The key by which the exchange routes it; at most 255 bytes.
    pub routing_key: String,
    /// Application headers, flat scalars only: a stream drops tables, and a decimal closes the connection.
    pub headers: Vec<(String, HeaderValue)>,
    /// MIME type of the body, e.g. `text/x-statsd`.
    pub content_type: Option<String>,
    /// The sender's own identifier of the message.
    pub message_id: Option<String>,
    /// AMQP's `timestamp` property: seconds since the epoch.
    pub timestamp: Option<u64>,
    /// Ties an answer to its question.
    pub correlation_id: Option<String>,
    /// Where the answer goes.
    pub reply_to: Option<String>,
    /// The payload.
    pub body: Bytes,
}

/// The value of a header.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderValue {
    /// A long string.
    Text(String),
    /// Any of AMQP's integers, or a timestamp.
    Int(i64),
    /// A float or double.
    Float(f64),
    /// A boolean.
    Bool(bool),
}

impl Message {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        self.headers.iter().find_map(|(key, value)| (key == name).then_some(value))
    }
}

impl HeaderValue {
    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Int(_) | Self::Float(_) | Self::Bool(_) => None,
        }
    }

    /// The integer, if it is one.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Text(_) | Self::Float(_) | Self::Bool(_) => None,
        }
    }
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for HeaderValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for HeaderValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
