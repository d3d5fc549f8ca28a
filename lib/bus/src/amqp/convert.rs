//! Between AMQP's properties and [`Message`].

use super::config::short;
use crate::{BusError, HeaderValue, Message};
use bytes::Bytes;
use lapin::{
    BasicProperties, Channel, Confirmation,
    message::Delivery,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable, ShortString},
};

/// The header in which RabbitMQ tells a stream message's offset.
pub(super) const OFFSET_HEADER: &str = "x-stream-offset";
/// Survives a broker's restart wherever it lies.
const PERSISTENT: u8 = 2;

/// A message in AMQP's types: what can be sent, as often as needed.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

impl Wire {
    /// Fails with [`BusError::TooLong`] for what AMQP cannot carry.
    pub(super) fn new(exchange: &str, message: Message) -> Result<Self, BusError> {
        let mut properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        if !message.headers.is_empty() {
            let mut table = FieldTable::default();
            for (name, value) in message.headers {
                table.insert(short("a header's name", name)?, amqp_value(value));
            }
            properties = properties.with_headers(table);
        }
        if let Some(text) = message.content_type {
            properties = properties.with_content_type(short("the content-type", text)?);
        }
        if let Some(text) = message.message_id {
            properties = properties.with_message_id(short("the message-id", text)?);
        }
        if let Some(text) = message.correlation_id {
            properties = properties.with_correlation_id(short("the correlation-id", text)?);
        }
        if let Some(text) = message.reply_to {
            properties = properties.with_reply_to(short("the reply-to", text)?);
        }
        if let Some(seconds) = message.timestamp {
            properties = properties.with_timestamp(seconds);
        }
        Ok(Self {
            exchange: short("the exchange's name", exchange)?,
            routing_key: short("the routing key", message.routing_key)?,
            properties,
            body: message.body,
        })
    }

    /// Publishes it on a channel in confirm mode, to be returned when nothing is bound for it; waits for the confirm.
    pub(super) async fn publish(self, channel: &Channel) -> lapin::Result<Confirmation> {
        let mandatory = BasicPublishOptions { mandatory: true, immediate: false };
        channel
            .basic_publish(self.exchange, self.routing_key, mandatory, &self.body, self.properties)
            .await?
            .await
    }
}

/// The message delivered, and its offset where it comes from a stream. The body is moved, not copied.
pub(super) fn message(delivery: Delivery) -> (Message, Option<u64>) {
    let Delivery { routing_key, properties, data, .. } = delivery;
    let mut offset = None;
    let mut headers = Vec::new();
    if let Some(table) = properties.headers() {
        headers.reserve_exact(table.inner().len());
        for (name, value) in table.inner() {
            if name.as_str() == OFFSET_HEADER {
                offset = unsigned(value);
            } else if let Some(value) = header_value(value) {
                headers.push((name.as_str().to_owned(), value));
            }
        }
    }
    let text = |property: &Option<ShortString>| property.as_ref().map(|text| text.as_str().to_owned());
    let message = Message {
        routing_key: routing_key.into(),
        headers,
        content_type: text(properties.content_type()),
        message_id: text(properties.message_id()),
        timestamp: *properties.timestamp(),
        correlation_id: text(properties.correlation_id()),
        reply_to: text(properties.reply_to()),
        body: data.into(),
    };
    (message, offset)
}

fn amqp_value(value: HeaderValue) -> AMQPValue {
    match value {
        HeaderValue::Text(text) => AMQPValue::LongString(text.into()),
        HeaderValue::Int(value) => AMQPValue::LongLongInt(value),
        HeaderValue::Float(value) => AMQPValue::Double(value),
        HeaderValue::Bool(value) => AMQPValue::Boolean(value),
    }
}

/// A scalar; tables, arrays, decimals and void are no headers of ours.
fn header_value(value: &AMQPValue) -> Option<HeaderValue> {
    Some(match value {
        AMQPValue::LongString(text) => HeaderValue::Text(lossy(text.as_bytes())),
        AMQPValue::ShortString(text) => HeaderValue::Text(text.as_str().to_owned()),
        AMQPValue::ByteArray(bytes) => HeaderValue::Text(lossy(bytes.as_slice())),
        AMQPValue::Boolean(value) => HeaderValue::Bool(*value),
        AMQPValue::Float(value) => HeaderValue::Float(f64::from(*value)),
        AMQPValue::Double(value) => HeaderValue::Float(*value),
        AMQPValue::ShortShortInt(value) => HeaderValue::Int(i64::from(*value)),
        AMQPValue::ShortShortUInt(value) => HeaderValue::Int(i64::from(*value)),
        AMQPValue::ShortInt(value) => HeaderValue::Int(i64::from(*value)),
        AMQPValue::ShortUInt(value) => HeaderValue::Int(i64::from(*value)),
        AMQPValue::LongInt(value) => HeaderValue::Int(i64::from(*value)),
        AMQPValue::LongUInt(value) => HeaderValue::Int(i64::from(*value)),
        AMQPValue::LongLongInt(value) => HeaderValue::Int(*value),
        AMQPValue::Timestamp(seconds) => HeaderValue::Int(i64::try_from(*seconds).ok()?),
        AMQPValue::DecimalValue(_)
        | AMQPValue::FieldArray(_)
        | AMQPValue::FieldTable(_)
        | AMQPValue::Void => {
            return None;
        }
    })
}

fn unsigned(value: &AMQPValue) -> Option<u64> {
    match header_value(value)? {
        HeaderValue::Int(value) => u64::try_from(value).ok(),
        HeaderValue::Text(_) | HeaderValue::Float(_) | HeaderValue::Bool(_) => None,
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{
        AMQPValue, BusError, Delivery, FieldTable, HeaderValue, Message, OFFSET_HEADER, Wire, message,
    };
    use lapin::types::DecimalValue;
    use proptest::{collection, option, prelude::*};

    fn delivered(message: &Message) -> Delivery {
        let wire = Wire::new("x", message.clone()).unwrap();
        let mut delivery = Delivery::mock(1, wire.exchange, wire.routing_key, false, wire.body.to_vec());
        delivery.properties = wire.properties;
        delivery
    }

    fn any_value() -> impl Strategy<Value = HeaderValue> {
        prop_oneof![
            ".{0,40}".prop_map(HeaderValue::Text),
            any::<i64>().prop_map(HeaderValue::Int),
            (-1e300..1e300).prop_map(HeaderValue::Float),
            any::<bool>().prop_map(HeaderValue::Bool),
        ]
    }

    fn any_message() -> impl Strategy<Value = Message> {
        let text = || option::of("[ -~]{0,255}");
        let headers = collection::btree_map("[a-z_]{1,20}", any_value(), 0..5);
        let rest =
            (text(), text(), option::of(any::<u64>()), text(), text(), collection::vec(any::<u8>(), 0..200));
        ("[a-z.]{0,255}", headers, rest).prop_map(|(routing_key, headers, rest)| {
            let (content_type, message_id, timestamp, correlation_id, reply_to, body) = rest;
            Message {
                routing_key,
                headers: headers.into_iter().collect(),
                content_type,
                message_id,
                timestamp,
                correlation_id,
                reply_to,
                body: body.into(),
            }
        })
    }

    proptest! {
        #[test]
        fn what_goes_out_comes_back(sent in any_message()) {
            prop_assert_eq!(message(delivered(&sent)), (sent, None));
        }

        #[test]
        fn a_short_string_has_255_bytes_at_most(length in 200_usize..300) {
            let sent = Message { reply_to: Some("r".repeat(length)), ..Message::default() };
            let refused = Wire::new("x", sent).err();
            prop_assert_eq!(refused, (length > 255).then_some(BusError::TooLong { what: "the reply-to", length }));
        }
    }

    #[test]
    fn an_offset_is_taken_out_of_the_headers_and_tables_are_dropped() {
        let mut table = FieldTable::default();
        table.insert(OFFSET_HEADER.into(), AMQPValue::LongLongInt(42));
        table.insert("origin".into(), AMQPValue::LongString("web-1".into()));
        table.insert("port".into(), AMQPValue::ShortUInt(8125));
        table.insert("nested".into(), AMQPValue::FieldTable(FieldTable::default()));
        table.insert("price".into(), AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 1 }));
        let mut delivery = delivered(&Message::default());
        delivery.properties = delivery.properties.with_headers(table);
        let (message, offset) = message(delivery);
        assert_eq!(offset, Some(42));
        assert_eq!(
            message.headers,
            [("origin".to_owned(), HeaderValue::from("web-1")), ("port".to_owned(), HeaderValue::Int(8125))]
        );
    }
}
