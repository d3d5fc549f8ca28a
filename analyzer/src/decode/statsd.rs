//! Statsd lines, as the field speaks them.
//!
//! `name:value|type` with sections after it, in any order: `|@rate`, `|#tag:value,tag`, `|c:container`, `|Tseconds`,
//! `|e:external-data`, `|card:cardinality`. Sources: etsy statsd's `docs/metric_types.md` (types, rates, signed gauges,
//! several `value|type` of one name in a line), the `DogStatsD` datagram protocol v1.0 to v1.6 (tags, histograms and
//! distributions, packing of values, container, timestamp, events and service checks).
//!
//! A line is checked whole before it is handed out, so that a bad one costs that line and nothing else. Reading names is
//! left to [`labels`](super::series::labels): whoever has seen the bytes of a name before need not read them again.

use memchr::memchr;

use super::{MetricType, bad_line::BadLineReason, limits::MAX_LINE, number};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entry<'a> {
    /// Values of a series.
    Samples(Samples<'a>),
    /// An event (`_e{…}`); its content is of no use here.
    Event,
    /// A service check (`_sc|…`); its content is of no use here.
    ServiceCheck,
}

/// One or more values that a line gives a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Samples<'a> {
    /// The name's bytes, not checked yet.
    pub name: &'a [u8],
    /// The tags' bytes without their `#`, not checked yet.
    pub tags: &'a [u8],
    /// What the values mean.
    pub kind: MetricType,
    /// How many samples each value stands for: the inverse of the sampling rate, at least 1. A gauge's and a set's rate is
    /// ignored: neither is additive.
    pub weight: f64,
    /// When, in milliseconds since 1970, if the line says so.
    pub time_ms: Option<i64>,
    /// The values.
    pub values: Values<'a>,
}

/// A line's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values<'a> {
    /// A single number.
    One(Value),
    /// Several numbers, separated by colons, each checked already.
    Packed(&'a [u8]),
    /// A set's member, whatever its bytes are. (Sets cannot be packed: a colon may belong to the member.)
    Member(&'a [u8]),
}

/// A number, and whether a gauge would take it as a change rather than a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// The number; finite.
    pub number: f64,
    /// Whether it was written with a `+` or `-`.
    pub signed: bool,
}

impl Value {
    fn read(text: &[u8]) -> Option<Self> {
        number::parse(text).map(|number| Self { number, signed: is_signed(text) })
    }
}

impl<'a> Values<'a> {
    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::One(_) | Self::Member(_) => 1,
            Self::Packed(text) => 1 + memchr::memchr_iter(b':', text).count() as u64,
        }
    }

    /// The numbers; none for a set's member.
    pub fn numbers(self) -> impl Iterator<Item = Value> + 'a {
        let (one, packed) = match self {
            Self::One(value) => (Some(value), None),
            Self::Packed(text) => (None, Some(text)),
            Self::Member(_) => (None, None),
        };
        let packed = packed.into_iter().flat_map(|text| text.split(|b| *b == b':')).filter_map(Value::read);
        one.into_iter().chain(packed)
    }
}

/// The entries of a message's body, in order.
#[must_use]
pub fn lines(body: &[u8]) -> Lines<'_> {
    Lines { rest: body, entries: Entries { line: &[], next: Next::Nothing } }
}

/// The entries of a message's body; made by [`lines`].
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
    entries: Entries<'a>,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Entry<'a>, BadLineReason>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next().or_else(|| {
            self.entries = entries(next_line(&mut self.rest)?);
            self.entries.next()
        })
    }
}

/// The next line that is not empty, without its end; `rest` is what follows it.
#[inline]
pub(super) fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    while !rest.is_empty() {
        let (line, after) = cut(rest, b'\n').unwrap_or((rest, &[]));
        *rest = after;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            return Some(line);
        }
    }
    None
}

/// What a line says: it may give one name several `value|type`.
#[must_use]
pub fn entries(line: &[u8]) -> Entries<'_> {
    Entries { line, next: if line.is_empty() { Next::Nothing } else { Next::Line } }
}

/// What a line says; made by [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    line: &'a [u8],
    next: Next<'a>,
}

/// What of a line is still to be read.
#[derive(Clone, Copy, Debug)]
enum Next<'a> {
    Line,
    /// A name's further `value|type`.
    Samples(&'a [u8], &'a [u8]),
    Nothing,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, BadLineReason>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Line => Some(self.entry()),
            Next::Samples(name, rest) => Some(self.samples(name, rest).map(Entry::Samples)),
            Next::Nothing => None,
        }
    }
}

impl<'a> Entries<'a> {
    /// Whether all of the line has been read.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.next, Next::Nothing)
    }

    #[inline]
    fn entry(&mut self) -> Result<Entry<'a>, BadLineReason> {
        let line = self.line;
        if line.len() > MAX_LINE {
            return Err(BadLineReason::TooLong);
        }
        if line[0] == b'_' {
            if line.starts_with(b"_e{") {
                return Ok(Entry::Event);
            }
            if line.starts_with(b"_sc|") {
                return Ok(Entry::ServiceCheck);
            }
        }
        match cut(line, b':') {
            Some((name, rest)) if !name.is_empty() => self.samples(name, rest).map(Entry::Samples),
            _ => Err(BadLineReason::NoName),
        }
    }

    /// Reads `value|type` and its sections; `self.next` is what follows them.
    #[inline]
    fn samples(&mut self, name: &'a [u8], text: &'a [u8]) -> Result<Samples<'a>, BadLineReason> {
        let (single, length) = match number::prefix(text) {
            Some((number, length)) if text.get(length) == Some(&b'|') => {
                (Some(Value { number, signed: is_signed(text) }), length)
            }
            _ => (None, memchr(b'|', text).ok_or(BadLineReason::NoValue)?),
        };
        let values = &text[..length];
        let (kind, mut rest) = kind(&text[length + 1..])?;
        let mut samples = Samples {
            name,
            tags: &[],
            kind,
            weight: 1.0,
            time_ms: None,
            values: match single {
                _ if values.is_empty() => return Err(BadLineReason::NoValue),
                _ if kind == MetricType::Set => Values::Member(values),
                Some(value) => Values::One(value),
                None => packed(values)?,
            },
        };
        while let Some((separator, after)) = rest.split_first() {
            if *separator == b':' {
                self.next = Next::Samples(name, after);
                break;
            }
            rest = section(&mut samples, after)?;
        }
        Ok(samples)
    }
}

/// The type, and what follows it: nothing, a section (from its `|`) or another value (from its `:`).
#[inline]
fn kind(text: &[u8]) -> Result<(MetricType, &[u8]), BadLineReason> {
    let (kind, length) = match text {
        [b'm', b's', ..] => (MetricType::Timer, 2),
        [b'c' | b'm', ..] => (MetricType::Counter, 1),
        [b'g', ..] => (MetricType::Gauge, 1),
        [b'h', ..] => (MetricType::Histogram, 1),
        [b'd', ..] => (MetricType::Distribution, 1),
        [b's', ..] => (MetricType::Set, 1),
        _ => return Err(BadLineReason::UnknownType),
    };
    match &text[length..] {
        rest @ ([] | [b'|' | b':', ..]) => Ok((kind, rest)),
        _ => Err(BadLineReason::UnknownType),
    }
}

fn packed(text: &[u8]) -> Result<Values<'_>, BadLineReason> {
    if memchr(b':', text).is_none() {
        return Value::read(text).map(Values::One).ok_or(BadLineReason::NotANumber);
    }
    let good = text.split(|b| *b == b':').all(|value| number::parse(value).is_some());
    if good { Ok(Values::Packed(text)) } else { Err(BadLineReason::NotANumber) }
}

/// Reads the section with which `text` begins (without its `|`) and returns what follows it. Of a section that comes
/// twice the last one counts. Sections of later protocols are ignored.
#[inline]
fn section<'a>(samples: &mut Samples<'a>, text: &'a [u8]) -> Result<&'a [u8], BadLineReason> {
    let end = memchr(b'|', text).unwrap_or(text.len());
    let (section, rest) = text.split_at(end);
    match section {
        [b'#', tags @ ..] => samples.tags = tags,
        [b'@', rate @ ..] => {
            // A rate holds no colon: one after it begins etsy's next `value|type`.
            let end = memchr(b':', rate).unwrap_or(rate.len());
            let weight = weight(&rate[..end])?;
            if !matches!(samples.kind, MetricType::Gauge | MetricType::Set) {
                samples.weight = weight;
            }
            return Ok(&text[1 + end..]);
        }
        [b'T', seconds @ ..] => samples.time_ms = Some(timestamp(seconds)?),
        [] => {}
        [first, ..] if first.is_ascii_alphabetic() => {}
        _ => return Err(BadLineReason::UnknownSection),
    }
    Ok(rest)
}

fn weight(rate: &[u8]) -> Result<f64, BadLineReason> {
    let rate = number::parse(rate).filter(|r| *r > 0.0 && *r <= 1.0).ok_or(BadLineReason::BadRate)?;
    Some(1.0 / rate).filter(|w| w.is_finite()).ok_or(BadLineReason::BadRate)
}

/// Milliseconds of a whole number of seconds, of which eleven digits reach the year 5138.
fn timestamp(seconds: &[u8]) -> Result<i64, BadLineReason> {
    if seconds.is_empty() || seconds.len() > 11 || !seconds.iter().all(u8::is_ascii_digit) {
        return Err(BadLineReason::BadTimestamp);
    }
    Ok(seconds.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')) * 1000)
}

#[inline]
fn is_signed(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'+' | b'-'))
}

/// What lies before and after the first `separator`.
#[inline]
fn cut(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    memchr(separator, text).map(|at| (&text[..at], &text[at + 1..]))
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "what is read is exactly what was written")]
mod tests;
