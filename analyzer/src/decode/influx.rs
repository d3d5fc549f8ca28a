//! `InfluxDB`'s line protocol, as Telegraf writes it: `measurement,tag=value field=1.5,other=2i 1656581400000000000`.
//!
//! Source: docs.influxdata.com, "Line protocol" (escapes, types of values, comments). Each numeric field is a series: its metric is
//! `measurement.field`, or the measurement alone where the field is called `value`. A field may be a text, which may hold newlines.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::{
    bad_line::BadLineReason,
    limits::{MAX_FIELDS, MAX_OBJECT, MAX_TAGS},
    number,
    sample::{OriginHint, Reading, Sample, SampleSink, Tag},
    time,
};

/// Decodes a message's body.
pub fn decode(body: &[u8], sink: &mut dyn SampleSink) {
    let mut scratch = Scratch::default();
    let mut rest = body;
    while !rest.is_empty() {
        let mut end = memchr(b'\n', rest).unwrap_or(rest.len());
        let mut read = scratch.read(&rest[..end]);
        // A text that is not closed may hold the newline; if it does not make a good line, the newline was the end.
        if let Err((BadLineReason::BadQuotes, quote)) = read
            && let Some(longer) = line_of_text(rest, quote)
            && let Ok(point) = scratch.read(&rest[..longer])
        {
            end = longer;
            read = Ok(point);
        }
        match read {
            Ok(Some(point)) => scratch.tell(&point, sink),
            Ok(None) => {}
            Err((reason, _)) => sink.bad_line(reason, &rest[..end]),
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
}

/// Where the line ends that holds the end of the text whose quotation mark is at `quote`.
fn line_of_text(bytes: &[u8], quote: usize) -> Option<usize> {
    let bytes = &bytes[..bytes.len().min(MAX_OBJECT)];
    let end = quote + 1 + text_end(&bytes[quote + 1..])?;
    Some(memchr(b'\n', &bytes[end..]).map_or(bytes.len(), |at| end + at))
}

/// What a line says, beside the tags and fields in [`Scratch`].
struct Point<'a> {
    measurement: Cow<'a, str>,
    time_ns: Option<i64>,
    line: &'a [u8],
}

/// Room for a line's parts.
#[derive(Default)]
struct Scratch<'a> {
    tags: Vec<Tag<'a>>,
    fields: Vec<(Cow<'a, str>, &'a str)>,
    metric: String,
}

/// What is wrong, and where.
type Bad = (BadLineReason, usize);

impl<'a> Scratch<'a> {
    /// Reads a line whole; None for a comment or an empty one.
    fn read(&mut self, line: &'a [u8]) -> Result<Option<Point<'a>>, Bad> {
        self.tags.clear();
        self.fields.clear();
        if line.len() > MAX_OBJECT {
            return Err((BadLineReason::ObjectTooLong, 0));
        }
        let text = std::str::from_utf8(line).map_err(|_| (BadLineReason::NotText, 0))?;
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.trim_start().is_empty() || text.trim_start().starts_with('#') {
            return Ok(None);
        }
        let mut at = text.len() - text.trim_start_matches(' ').len();
        let end = until(text, at, b", ");
        let measurement = unescaped(&text[at..end], b", ");
        if measurement.is_empty() {
            return Err((BadLineReason::NoName, at));
        }
        at = end;
        while text.as_bytes().get(at) == Some(&b',') {
            at = self.tag(text, at + 1)?;
        }
        at = spaces(text, at);
        loop {
            at = self.field(text, at)?;
            if text.as_bytes().get(at) != Some(&b',') {
                break;
            }
            at += 1;
        }
        let time_ns = match text[at..].trim_matches(' ') {
            "" => None,
            digits => {
                Some(digits.parse().ok().and_then(time::by_magnitude).ok_or((BadLineReason::BadTime, at))?)
            }
        };
        Ok(Some(Point { measurement, time_ns, line }))
    }

    /// Reads `key=value`, and says where it ends.
    fn tag(&mut self, text: &'a str, at: usize) -> Result<usize, Bad> {
        let equals = until(text, at, b",= ");
        if equals == at || text.as_bytes().get(equals) != Some(&b'=') {
            return Err((BadLineReason::BadTag, at));
        }
        if self.tags.len() == MAX_TAGS {
            return Err((BadLineReason::TooManyTags, at));
        }
        let end = until(text, equals + 1, b", ");
        self.tags.push((unescaped(&text[at..equals], b",= "), unescaped(&text[equals + 1..end], b",= ")));
        Ok(end)
    }

    /// Reads `key=value`, and says where it ends.
    fn field(&mut self, text: &'a str, at: usize) -> Result<usize, Bad> {
        let equals = until(text, at, b",= ");
        if equals == at || text.as_bytes().get(equals) != Some(&b'=') {
            return Err((BadLineReason::BadField, at));
        }
        if self.fields.len() == MAX_FIELDS {
            return Err((BadLineReason::TooManyFields, at));
        }
        let start = equals + 1;
        let end = if text.as_bytes().get(start) == Some(&b'"') {
            let length = text_end(&text.as_bytes()[start + 1..]).ok_or((BadLineReason::BadQuotes, start))?;
            start + 1 + length + 1
        } else {
            until(text, start, b", ")
        };
        if end == start || !matches!(text.as_bytes().get(end), None | Some(b',' | b' ')) {
            return Err((BadLineReason::BadField, at));
        }
        self.fields.push((unescaped(&text[at..equals], b",= "), &text[start..end]));
        Ok(end)
    }

    fn tell(&mut self, point: &Point<'_>, sink: &mut dyn SampleSink) {
        for (key, value) in &self.fields {
            let level = match level(value) {
                Ok(Some(level)) => level,
                Ok(None) => {
                    sink.gap();
                    continue;
                }
                Err(reason) => {
                    sink.bad_line(reason, point.line);
                    continue;
                }
            };
            let metric = metric(&mut self.metric, &point.measurement, key);
            sink.sample(&Sample {
                metric,
                tags: &self.tags,
                origin: OriginHint::HostTag,
                reading: Reading::Level(level),
                time_ns: point.time_ns,
                line: point.line,
            });
        }
    }
}

/// What a field's series is called: `measurement.field`, or the measurement alone where the field is called `value`.
pub(super) fn metric<'a>(room: &'a mut String, measurement: &str, field: &str) -> &'a str {
    room.clear();
    room.push_str(measurement);
    if field != "value" {
        room.push('.');
        room.push_str(field);
    }
    room
}

/// A field's number; None where it is a text.
fn level(value: &str) -> Result<Option<f64>, BadLineReason> {
    let level = match value {
        "t" | "T" | "true" | "True" | "TRUE" => Some(1.0),
        "f" | "F" | "false" | "False" | "FALSE" => Some(0.0),
        _ if value.starts_with('"') => return Ok(None),
        _ => match value.as_bytes() {
            [whole @ .., b'i'] => text(whole).parse::<i64>().ok().map(|n| n as f64),
            [whole @ .., b'u'] => text(whole).parse::<u64>().ok().map(|n| n as f64),
            number => number::parse(number),
        },
    };
    level.map(Some).ok_or(BadLineReason::NotANumber)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Where the first of `stops` stands that no backslash precedes, or the end.
fn until(text: &str, from: usize, stops: &[u8]) -> usize {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        if stops.contains(byte) {
            return at;
        }
        at += if *byte == b'\\' { 2 } else { 1 };
    }
    bytes.len()
}

/// Where the quotation mark stands that closes a text.
fn text_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

fn spaces(text: &str, from: usize) -> usize {
    text.len() - text[from..].trim_start_matches(' ').len()
}

/// Takes the backslashes out that stand before one of `special`; all others are backslashes.
fn unescaped<'a>(text: &'a str, special: &[u8]) -> Cow<'a, str> {
    if memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escapes =
            c == '\\' && chars.peek().is_some_and(|next| special.iter().any(|s| char::from(*s) == *next));
        if !escapes {
            plain.push(c);
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests;
