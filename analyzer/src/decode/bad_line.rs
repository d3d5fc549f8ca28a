//! Why a line was not understood.

use super::limits::{MAX_FIELDS, MAX_LINE, MAX_NAME, MAX_OBJECT, MAX_TAGS};

/// Why a line was not understood; it costs that line only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadLineReason {
    /// More bytes than any client sends.
    #[error("the line is longer than {MAX_LINE} bytes: is a newline missing between metrics?")]
    TooLong,
    /// No colon, or nothing before it.
    #[error("there is no name before a colon: write name:value|type")]
    NoName,
    /// A name beyond the limit.
    #[error("the name is longer than {MAX_NAME} bytes: shorten it, or move parts of it into tags")]
    NameTooLong,
    /// A name or tag that is no text.
    #[error("the name or a tag is not UTF-8")]
    NotText,
    /// A name or tag that would spoil whatever prints it.
    #[error("the name or a tag holds a control character")]
    ControlCharacter,
    /// More tags than the limit.
    #[error("the line has more than {MAX_TAGS} tags: drop some")]
    TooManyTags,
    /// Nothing between colon and bar, or no bar at all.
    #[error("there is no value, or no type after it: write name:value|type")]
    NoValue,
    /// A value that is no finite number.
    #[error("the value is not a finite decimal number")]
    NotANumber,
    /// A type that nobody defined.
    #[error("the type is none of c, g, ms, h, d, s, m")]
    UnknownType,
    /// A sampling rate out of range.
    #[error("the sampling rate is not a number above 0 and up to 1: write |@0.1")]
    BadRate,
    /// A timestamp that is not one.
    #[error("the timestamp is not a whole number of seconds since 1970: write |T1656581400")]
    BadTimestamp,
    /// A section that begins like none that the protocol knows or could come to know.
    #[error("after the type comes something that is neither |@rate, |#tags, |c:container nor |Ttimestamp")]
    UnknownSection,
    /// More than one thing takes.
    #[error("the text of one metric is longer than {MAX_OBJECT} bytes")]
    ObjectTooLong,
    /// Tags that together are no name any more.
    #[error(
        "a tag is longer than {MAX_NAME} bytes, or all of them together are longer than {MAX_LINE}: drop some"
    )]
    TagsTooLong,
    /// More values than the limit.
    #[error("there are more than {MAX_FIELDS} values in one line, object or packet: send several")]
    TooManyFields,
    /// A timestamp in none of the usual units.
    #[error(
        "the time is no number of seconds, milliseconds, microseconds or nanoseconds since 1970, nor RFC 3339"
    )]
    BadTime,
    /// A line of collectd's text protocol that carries nothing.
    #[error("the line is neither PUTVAL nor PUTNOTIF")]
    NoCommand,
    /// A name of collectd's that is none.
    #[error("the identifier is not host/plugin[-instance]/type[-instance]")]
    BadIdentifier,
    /// A quotation mark without the other.
    #[error("a quotation mark is not closed")]
    BadQuotes,
    /// Values that do not fit the type.
    #[error(
        "there are not as many values as collectd's type has data sources: give the client's own types by --types-db FILE"
    )]
    WrongValueCount,
    /// A type of data source that collectd does not have.
    #[error("the type of a data source is none of gauge, counter, derive, absolute")]
    UnknownSourceKind,
    /// A packet that ends within a part, or a part that is not what it says.
    #[error("a part of the packet is not as long as it says, or holds no text or values as it should")]
    BadPart,
    /// Signatures and ciphers are the intake's.
    #[error("the packet is signed or encrypted: send it to the address of --collectd, which has the keys")]
    Sealed,
    /// Bytes that are no JSON.
    #[error("it is not JSON, or a part of it is not of the kind that belongs there")]
    NotJson,
    /// An object that nobody is known to send.
    #[error("the object is no metric of collectd, Telegraf or Vector")]
    UnknownShape,
    /// Something else than key=value.
    #[error("a tag is not key=value")]
    BadTag,
    /// Fields that are none.
    #[error(
        "there are no fields, or one of them is not key=value: write measurement,tag=value field=1.5 1656581400000000000"
    )]
    BadField,
    /// A path that is none.
    #[error("the line is not `path value timestamp`")]
    NotThreeWords,
}

/// A line that was not understood, kept for a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// What is wrong with it.
    pub reason: BadLineReason,
    /// Its beginning, fit to be printed.
    pub line: String,
}

impl BadLine {
    /// How many bytes of the line are kept.
    const KEPT: usize = 200;

    /// Keeps the beginning of a line; control characters are escaped.
    #[must_use]
    pub fn new(reason: BadLineReason, line: &[u8]) -> Self {
        let kept = String::from_utf8_lossy(&line[..line.len().min(Self::KEPT)]);
        let mut text = String::with_capacity(kept.len());
        for c in kept.chars() {
            if c.is_control() { text.extend(c.escape_default()) } else { text.push(c) }
        }
        if line.len() > Self::KEPT {
            text.push('…');
        }
        Self { reason, line: text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_fit_to_be_printed() {
        let bad = BadLine::new(BadLineReason::NotText, b"a\x1b[31m\xff:1|c");
        assert_eq!(bad.line, "a\\u{1b}[31m\u{fffd}:1|c");
        assert_eq!(BadLine::new(BadLineReason::TooLong, &[b'a'; 9000]).line.chars().count(), 201);
    }
}
