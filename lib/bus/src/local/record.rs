//! A message as a log keeps it: in one piece of memory, where [`Message`] has a dozen.
//!
//! Lengths are LEB128, texts follow their length, an optional one is preceded by whether it is there.

use crate::{HeaderValue, Message};
use bytes::Bytes;

/// A larger body stays where it is, instead of being copied behind the rest.
const COPIED: usize = 4 * 1024;

/// A message, packed.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Everything but a large body.
    packed: Bytes,
    large: Bytes,
}

impl Record {
    pub(super) fn new(message: Message) -> Self {
        let Message {
            routing_key,
            headers,
            content_type,
            message_id,
            timestamp,
            correlation_id,
            reply_to,
            body,
        } = message;
        let mut packed = Packed(Vec::with_capacity(256));
        packed.text(&routing_key);
        packed.number(headers.len() as u64);
        for (name, value) in &headers {
            packed.text(name);
            match value {
                HeaderValue::Text(text) => {
                    packed.0.push(TEXT);
                    packed.text(text);
                }
                HeaderValue::Int(value) => {
                    packed.0.push(INT);
                    packed.0.extend(value.to_le_bytes());
                }
                HeaderValue::Float(value) => {
                    packed.0.push(FLOAT);
                    packed.0.extend(value.to_le_bytes());
                }
                HeaderValue::Bool(value) => packed.0.push(if *value { TRUE } else { FALSE }),
            }
        }
        for text in [&content_type, &message_id, &correlation_id, &reply_to] {
            packed.0.push(u8::from(text.is_some()));
            if let Some(text) = text {
                packed.text(text);
            }
        }
        packed.0.push(u8::from(timestamp.is_some()));
        if let Some(timestamp) = timestamp {
            packed.number(timestamp);
        }
        let large = if body.len() > COPIED {
            body
        } else {
            packed.0.extend_from_slice(&body);
            Bytes::new()
        };
        // Of exactly its size: it is kept for long.
        Self { packed: Bytes::copy_from_slice(&packed.0), large }
    }

    /// What it weighs in memory, in bytes.
    pub(super) fn weight(&self) -> u64 {
        (size_of::<Self>() + self.packed.len() + self.large.len()) as u64
    }

    /// The message; its body is shared, not copied.
    pub(super) fn message(&self) -> Message {
        self.unpacked().expect("a record holds what was packed into it")
    }

    fn unpacked(&self) -> Option<Message> {
        let mut rest = Rest(&self.packed);
        let mut message = Message { routing_key: rest.text()?, ..Message::default() };
        let headers = rest.length()?;
        message.headers.reserve_exact(headers);
        for _ in 0..headers {
            let name = rest.text()?;
            let value = match rest.byte()? {
                TEXT => HeaderValue::Text(rest.text()?),
                INT => HeaderValue::Int(i64::from_le_bytes(rest.array()?)),
                FLOAT => HeaderValue::Float(f64::from_le_bytes(rest.array()?)),
                TRUE => HeaderValue::Bool(true),
                _ => HeaderValue::Bool(false),
            };
            message.headers.push((name, value));
        }
        let properties = [
            &mut message.content_type,
            &mut message.message_id,
            &mut message.correlation_id,
            &mut message.reply_to,
        ];
        for property in properties {
            if rest.byte()? == 1 {
                *property = Some(rest.text()?);
            }
        }
        if rest.byte()? == 1 {
            message.timestamp = Some(rest.number()?);
        }
        let small = self.packed.slice(self.packed.len() - rest.0.len()..);
        message.body = if self.large.is_empty() { small } else { self.large.clone() };
        Some(message)
    }
}

const TEXT: u8 = 0;
const INT: u8 = 1;
const FLOAT: u8 = 2;
const TRUE: u8 = 3;
const FALSE: u8 = 4;

struct Packed(Vec<u8>);

impl Packed {
    fn number(&mut self, number: u64) {
        let [low, ..] = number.to_le_bytes();
        if number < 0x80 {
            self.0.push(low);
        } else {
            self.0.push(low | 0x80);
            self.number(number >> 7);
        }
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }
}

/// What is not unpacked yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, option, prelude::*};

    fn header() -> impl Strategy<Value = HeaderValue> {
        prop_oneof![
            any::<String>().prop_map(HeaderValue::Text),
            any::<i64>().prop_map(HeaderValue::Int),
            (-1e300..1e300).prop_map(HeaderValue::Float),
            any::<bool>().prop_map(HeaderValue::Bool),
        ]
    }

    prop_compose! {
        fn any_message()(
            routing_key in any::<String>(),
            headers in vec((any::<String>(), header()), 0..5),
            texts in [option::of(any::<String>()), option::of(any::<String>()), option::of(any::<String>()), option::of(any::<String>())],
            timestamp in option::of(any::<u64>()),
            body in prop_oneof![vec(any::<u8>(), 0..50), vec(any::<u8>(), COPIED - 1..COPIED + 2)],
        ) -> Message {
            let [content_type, message_id, correlation_id, reply_to] = texts;
            Message { routing_key, headers, content_type, message_id, timestamp, correlation_id, reply_to, body: body.into() }
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(message in any_message()) {
            let record = Record::new(message.clone());
            prop_assert!(record.weight() >= message.body.len() as u64);
            prop_assert_eq!(record.message(), message);
        }
    }

    #[test]
    fn a_large_body_is_not_copied() {
        let body = Bytes::from(vec![7; COPIED + 1]);
        let record = Record::new(Message { body: body.clone(), ..Message::default() });
        assert_eq!(record.message().body.as_ptr(), body.as_ptr());
    }
}
