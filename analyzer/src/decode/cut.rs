//! Statsd lines cut around their values, without being read.
//!
//! A line is `name:value|rest`. Type, rate and tags all stand in the rest, so that name and rest together decide what the
//! value means and whose it is: whoever has had them read by [`statsd`](super::statsd) once need not do so again.

use memchr::memchr;

use super::{
    limits::MAX_LINE,
    number,
    scan::{first, occurrences, plain_number},
    statsd::{Value, next_line},
};

/// So many bytes are looked at for a line as nearly all are: one no longer than 128 bytes, its name no longer than 63 and its value no
/// longer than 16.
const BLOCK: usize = 144;

/// A line, and its parts as far as it has them.
///
/// It has none if there is no value, or if it is longer than any may be: only [`statsd::lines`](super::statsd::lines) can tell what is
/// wrong with it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// All of it, without the line's end.
    pub text: &'a [u8],
    /// The first eight bytes after the colon.
    head: [u8; 8],
    /// Where the first colon is, and where the first bar after it; 0 if it has no parts.
    colon: u16,
    bar: u16,
}

impl<'a> Line<'a> {
    /// What lies before the first colon; empty if it has no parts.
    #[inline]
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        &self.text[..usize::from(self.colon)]
    }

    /// What lies between name and rest; several values may be packed in it.
    #[inline]
    #[must_use]
    pub fn value(&self) -> &'a [u8] {
        self.text.get(usize::from(self.colon) + 1..usize::from(self.bar)).unwrap_or_default()
    }

    /// How many bytes follow the bar after the value: the type and all further sections.
    #[inline]
    #[must_use]
    pub fn rest_length(&self) -> usize {
        if self.bar == 0 { 0 } else { self.text.len() - usize::from(self.bar) - 1 }
    }

    /// What follows the bar after the value.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.text[self.text.len() - self.rest_length()..]
    }

    /// The value, if it is a single plain number.
    #[inline]
    #[must_use]
    pub fn number(&self) -> Option<Value> {
        let length = usize::from(self.bar.saturating_sub(self.colon)).saturating_sub(1);
        match plain_number(self.head, length) {
            Some(number) => Some(Value { number, signed: false }),
            None => careful_number(self.value()),
        }
    }
}

/// The lines of a message's body that are not empty, in order.
#[must_use]
pub fn lines(body: &[u8]) -> Lines<'_> {
    Lines { rest: body }
}

/// The lines of a message's body; made by [`lines`].
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        let body = self.rest;
        let parts = match body.first_chunk() {
            Some(block) => usual(block),
            None => usual_last(body),
        };
        if let Some((end, colon, bar, head)) = parts {
            self.rest = body.get(end + 1..).unwrap_or_default();
            let text = &body[..end];
            return Some(Line { text: text.strip_suffix(b"\r").unwrap_or(text), head, colon, bar });
        }
        let text = next_line(&mut self.rest)?;
        Some(cut(text).unwrap_or(Line { text, head: [0; 8], colon: 0, bar: 0 }))
    }
}

/// Where a usual line ends, where its colon and its bar are, and what follows the colon.
type Parts = (usize, u16, u16, [u8; 8]);

/// A line as nearly all are.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "places among 128 bytes")]
fn usual(block: &[u8; BLOCK]) -> Option<Parts> {
    let (blocks, _) = block.as_chunks::<64>();
    let ends = u128::from(occurrences(&blocks[1], b'\n')) << 64 | u128::from(occurrences(&blocks[0], b'\n'));
    let (end, colon) =
        (ends.trailing_zeros() as usize, occurrences(&blocks[0], b':').trailing_zeros() as usize);
    let after = block.get(colon + 1..)?;
    let length = first(*after.first_chunk()?, b'|');
    let bar = colon + 1 + length;
    // Nothing before the colon; or no colon, bar or line's end among the bytes that were looked at.
    if colon == 0 || colon == 64 || length == 32 || bar >= end || end == 128 {
        return None;
    }
    Some((end, colon as u16, bar as u16, *after.first_chunk()?))
}

/// The same where a message's last lines are too near to its end to be looked at like the others.
#[inline(never)]
fn usual_last(body: &[u8]) -> Option<Parts> {
    let mut block = [0; BLOCK];
    let whole = block.get_mut(..body.len()).filter(|whole| !whole.is_empty())?;
    whole.copy_from_slice(body);
    // The end of the message ends its last line.
    *block.get_mut(body.len())? = b'\n';
    usual(&block)
}

/// A number that [`plain_number`] leaves to others.
#[cold]
fn careful_number(value: &[u8]) -> Option<Value> {
    let (number, length) = number::prefix(value)?;
    (length == value.len()).then(|| Value { number, signed: matches!(value[0], b'+' | b'-') })
}

fn cut(text: &[u8]) -> Option<Line<'_>> {
    let colon = memchr(b':', text)?;
    let after = &text[colon + 1..];
    let bar = colon + 1 + memchr(b'|', after)?;
    if text.len() > MAX_LINE || colon == 0 {
        return None;
    }
    let mut head = [0; 8];
    let known = after.len().min(head.len());
    head[..known].copy_from_slice(&after[..known]);
    Some(Line { text, head, colon: u16::try_from(colon).ok()?, bar: u16::try_from(bar).ok()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(line: &str) -> (String, String, String) {
        let line = lines(line.as_bytes()).next().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(line.name()), text(line.value()), text(line.rest()))
    }

    #[test]
    fn around_the_value() {
        let of = |name: &str, value: &str, rest: &str| (name.to_owned(), value.to_owned(), rest.to_owned());
        assert_eq!(parts("a.b:12.5|ms|@0.1|#env:prod\r\n"), of("a.b", "12.5", "ms|@0.1|#env:prod"));
        assert_eq!(parts("\n\na:1:2:3|ms"), of("a", "1:2:3", "ms"));
        assert_eq!(parts("a:x:y|s|"), of("a", "x:y", "s|"));
        for uncut in ["a", "a:1", "|c", ":1|c", &format!("a:1|c|#{}", "x".repeat(MAX_LINE))] {
            assert_eq!(parts(uncut), of("", "", ""), "{uncut}");
        }
    }

    proptest! {
        /// Whatever follows a line, and so whichever way it is cut.
        #[test]
        fn cuts_alike_wherever_it_stands(
            lines in prop::collection::vec("[a-c:|.0-9\\-]{0,12}[a-c]{0,70}:[0-9]{0,9}[.:|+-]?[0-9]{0,3}\\|[a-z|#:,@]{0,60}\r?", 1..6),
        ) {
            let body = lines.join("\n");
            let alone: Vec<_> = lines.iter().filter_map(|line| super::lines(line.as_bytes()).next()).collect();
            let together: Vec<_> = super::lines(body.as_bytes()).collect();
            let parts = |lines: &[Line<'_>]| {
                let each = |line: &Line<'_>| format!("{:?}", (line.name(), line.value(), line.rest(), line.number()));
                lines.iter().map(each).collect::<Vec<_>>()
            };
            prop_assert_eq!(parts(&alone), parts(&together));
        }

        #[test]
        fn loses_no_byte(body in prop::collection::vec(prop::sample::select(b"a1:|.\n\r-#".to_vec()), 0..60)) {
            let mut seen = 0;
            for line in lines(&body) {
                seen += line.text.len();
                prop_assert!(!line.text.is_empty());
                if !line.name().is_empty() {
                    prop_assert_eq!([line.name(), b":", line.value(), b"|", line.rest()].concat(), line.text);
                    let number = number::parse(line.value());
                    prop_assert!(line.number().is_none_or(|found| Some(found.number) == number));
                }
            }
            let ends = body.split(|b| *b == b'\n').filter(|line| line.ends_with(b"\r")).count();
            let newlines = memchr::memchr_iter(b'\n', &body).count();
            prop_assert_eq!(seen + ends + newlines, body.len());
        }
    }
}
