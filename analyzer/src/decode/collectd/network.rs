//! collectd's binary network protocol (its "Binary protocol" page and network(5)): packets of parts.
//!
//! A part is a type and a length, both 16 bits in network byte order, the length with these four bytes, and its content. Host, plugin,
//! type, their instances and times hold until another part of the kind comes, so that a packet says each only when it changes; a part of
//! values closes a value list. A message is one packet: what a packet does not say is empty in it. Signatures and ciphers are verified where
//! packets come in, by who has the keys.

use super::{
    data_source::SourceKind,
    identifier::{Identifier, Namer},
    types_db::TypesDb,
};
use crate::decode::{
    bad_line::BadLineReason,
    sample::{Bounds, Raw, Reading, SampleSink},
};

const HOST: u16 = 0x0000;
const TIME: u16 = 0x0001;
const PLUGIN: u16 = 0x0002;
const PLUGIN_INSTANCE: u16 = 0x0003;
const TYPE: u16 = 0x0004;
const TYPE_INSTANCE: u16 = 0x0005;
const VALUES: u16 = 0x0006;
const TIME_HIRES: u16 = 0x0008;
const MESSAGE: u16 = 0x0100;
const SIGNATURE: u16 = 0x0200;
const ENCRYPTION: u16 = 0x0210;

/// Decodes a packet; what is broken ends it, since nobody knows where the next part begins.
pub fn decode(body: &[u8], types: &TypesDb, sink: &mut dyn SampleSink) {
    let mut list = ValueList::default();
    let mut namer = Namer::default();
    let mut rest = body;
    while !rest.is_empty() {
        let taken = part(rest).and_then(|(kind, content, after)| {
            list.take(kind, content, types, &mut namer, sink)?;
            Ok(after)
        });
        match taken {
            Ok(after) => rest = after,
            Err(reason) => {
                sink.bad_line(reason, rest);
                return;
            }
        }
    }
}

/// The first part's type and content, and what follows it.
fn part(bytes: &[u8]) -> Result<(u16, &[u8], &[u8]), BadLineReason> {
    let [kind_0, kind_1, length_0, length_1, ..] = *bytes else { return Err(BadLineReason::BadPart) };
    let length = usize::from(u16::from_be_bytes([length_0, length_1]));
    let content = bytes.get(4..length).ok_or(BadLineReason::BadPart)?;
    Ok((u16::from_be_bytes([kind_0, kind_1]), content, &bytes[length..]))
}

/// What the parts said so far.
#[derive(Default)]
struct ValueList<'a> {
    identifier: Identifier<'a>,
    time_ns: Option<i64>,
}

impl<'a> ValueList<'a> {
    fn take(
        &mut self,
        kind: u16,
        content: &'a [u8],
        types: &TypesDb,
        namer: &mut Namer,
        sink: &mut dyn SampleSink,
    ) -> Result<(), BadLineReason> {
        let identifier = &mut self.identifier;
        match kind {
            HOST => identifier.host = text(content)?,
            PLUGIN => identifier.plugin = text(content)?,
            PLUGIN_INSTANCE => identifier.plugin_instance = text(content)?,
            TYPE => identifier.kind = text(content)?,
            TYPE_INSTANCE => identifier.type_instance = text(content)?,
            TIME => self.time_ns = nanoseconds(u128::from(number(content)?)),
            TIME_HIRES => self.time_ns = hires(number(content)?),
            VALUES => self.values(content, types, namer, sink)?,
            MESSAGE => sink.event(),
            SIGNATURE | ENCRYPTION => return Err(BadLineReason::Sealed),
            // Intervals, severities, and what later versions may bring.
            _ => {}
        }
        Ok(())
    }

    /// A count, so many types of values, and as many values of eight bytes.
    fn values(
        &self,
        content: &[u8],
        types: &TypesDb,
        namer: &mut Namer,
        sink: &mut dyn SampleSink,
    ) -> Result<(), BadLineReason> {
        let (count, content) = content.split_first_chunk::<2>().ok_or(BadLineReason::BadPart)?;
        let count = usize::from(u16::from_be_bytes(*count));
        let (kinds, values) = content.split_at_checked(count).ok_or(BadLineReason::BadPart)?;
        let (values, []) = values.as_chunks::<8>() else { return Err(BadLineReason::BadPart) };
        if values.len() != count {
            return Err(BadLineReason::BadPart);
        }
        let known = types.sources(self.identifier.kind);
        if !self.identifier.is_whole() {
            sink.bad_line(BadLineReason::BadIdentifier, content);
            return Ok(());
        }
        if known.len() != count {
            sink.bad_line(BadLineReason::WrongValueCount, self.identifier.kind.as_bytes());
            return Ok(());
        }
        for ((kind, value), source) in kinds.iter().zip(values).zip(known) {
            match reading(*kind, *value, source.bounds) {
                Ok(Some(reading)) => {
                    namer.sample(&self.identifier, &source.name, reading, self.time_ns, content, sink);
                }
                Ok(None) => sink.gap(),
                Err(reason) => sink.bad_line(reason, content),
            }
        }
        Ok(())
    }
}

/// What a value means; None for a gauge that is not a number.
fn reading(kind: u8, value: [u8; 8], bounds: Bounds) -> Result<Option<Reading<'static>>, BadLineReason> {
    let raw = match source_kind(kind)? {
        SourceKind::Gauge => {
            let level = f64::from_le_bytes(value);
            return match level {
                level if level.is_nan() => Ok(None),
                level if level.is_finite() => Ok(Some(Reading::Level(level))),
                _ => Err(BadLineReason::NotANumber),
            };
        }
        SourceKind::Counter => Raw::Counter(u64::from_be_bytes(value)),
        SourceKind::Derive => Raw::Derive(i64::from_be_bytes(value)),
        SourceKind::Absolute => Raw::Absolute(u64::from_be_bytes(value)),
    };
    Ok(Some(Reading::Raw { raw, bounds }))
}

const fn source_kind(kind: u8) -> Result<SourceKind, BadLineReason> {
    match kind {
        0 => Ok(SourceKind::Counter),
        1 => Ok(SourceKind::Gauge),
        2 => Ok(SourceKind::Derive),
        3 => Ok(SourceKind::Absolute),
        _ => Err(BadLineReason::UnknownSourceKind),
    }
}

/// A text, which ends with a zero byte.
fn text(content: &[u8]) -> Result<&str, BadLineReason> {
    let [text @ .., 0] = content else { return Err(BadLineReason::BadPart) };
    std::str::from_utf8(text).map_err(|_| BadLineReason::NotText)
}

fn number(content: &[u8]) -> Result<u64, BadLineReason> {
    content.try_into().map(u64::from_be_bytes).map_err(|_| BadLineReason::BadPart)
}

/// Seconds in units of 2⁻³⁰ as nanoseconds, rounded.
fn hires(units: u64) -> Option<i64> {
    let ns = (u128::from(units) * 1_000_000_000 + (1 << 29)) >> 30;
    i64::try_from(ns).ok()
}

fn nanoseconds(seconds: u128) -> Option<i64> {
    i64::try_from(seconds * 1_000_000_000).ok()
}

#[cfg(test)]
mod tests;
