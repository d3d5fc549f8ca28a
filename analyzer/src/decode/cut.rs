//! Statsd lines cut around their values, without being read.
//!
//! A line is `name:value|rest`. Type, rate and tags all stand in the rest, so that name and rest together decide what the
//! value means and whose it is: whoever has had them read by [`statsd`](super::statsd) once need not do so again.

use memchr::memchr;

use super::{
    limits::MAX_LINE,
    number,
    scan::{Block, occurrences, plain_number},
    statsd::{Value, next_line},
};

/// A text is looked at in blocks of so many bytes; a line is a usual one if it is no longer than two, and its name shorter than one.
const BLOCK: usize = size_of::<Block>();
/// So many blocks are looked at together.
const BLOCKS: usize = 32;

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
    /// An empty one.
    pub const NONE: Self = Self { text: &[], head: [0; 8], colon: 0, bar: 0 };

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
    Lines { body, at: 0, marks: Marks { first: 0, known: 0, words: [NO_MARKS; _] } }
}

/// The lines of a message's body; made by [`lines`].
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    body: &'a [u8],
    /// Where the next line begins.
    at: usize,
    marks: Marks,
}

/// Where lines end, and where colons and bars are, in some blocks of a text: bit n of a word says it of byte n.
///
/// They are looked for ahead of the lines: where a line begins is known only when the one before has been cut, and that takes a few
/// steps by these words, but many by the text.
#[derive(Clone, Debug)]
struct Marks {
    /// The first block's number.
    first: usize,
    known: usize,
    /// Ends, colons and bars of each block; none of the two after the last.
    words: [[u64; 3]; BLOCKS + 2],
}

const NO_MARKS: [u64; 3] = [0; 3];

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        if self.at >= self.body.len() {
            return None;
        }
        self.marks.reach(self.body, self.at);
        if let Some(line) = self.usual() {
            return Some(line);
        }
        let mut rest = &self.body[self.at..];
        let text = next_line(&mut rest);
        self.at = self.body.len() - rest.len();
        let text = text?;
        Some(cut(text).unwrap_or(Line { text, ..Line::NONE }))
    }
}

impl<'a> Lines<'a> {
    /// The next line, if it is as nearly all are.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "places among 128 bytes")]
    fn usual(&mut self) -> Option<Line<'a>> {
        let (from, marks) = self.marks.around(self.at)?;
        let end = u128::from(after(marks, 0, from)) | u128::from(after(marks, 0, from + BLOCK)) << BLOCK;
        let (end, colon) = (end.trailing_zeros() as usize, after(marks, 1, from).trailing_zeros() as usize);
        // Nothing before the colon; or no colon or line's end among the bytes that were looked at.
        if colon == 0 || colon == BLOCK || end == 2 * BLOCK {
            return None;
        }
        let length = after(marks, 2, from + colon + 1).trailing_zeros() as usize;
        let bar = colon + 1 + length;
        if bar >= end {
            return None;
        }
        let text = &self.body[self.at..self.at + end];
        let head = head(&self.body[self.at + colon + 1..]);
        self.at += end + 1;
        Some(Line {
            text: text.strip_suffix(b"\r").unwrap_or(text),
            head,
            colon: colon as u16,
            bar: bar as u16,
        })
    }
}

impl Marks {
    /// Looks further, if a line that begins here may end where nobody has looked yet.
    #[inline]
    fn reach(&mut self, body: &[u8], at: usize) {
        let end = self.first + self.known;
        // The end of the message ends its last line.
        let blocks = body.len() / BLOCK + 1;
        if at / BLOCK + 3 > end && end < blocks {
            self.look(body, at / BLOCK, blocks);
        }
    }

    fn look(&mut self, body: &[u8], first: usize, blocks: usize) {
        (self.first, self.known) = (first, BLOCKS.min(blocks - first));
        let (words, rest) = self.words.split_at_mut(self.known);
        let (whole, last) = body[first * BLOCK..].as_chunks();
        for (marks, block) in words.iter_mut().zip(whole) {
            *marks = of(block);
        }
        if let Some(marks) = words.get_mut(whole.len()) {
            let mut block = [0; BLOCK];
            block[..last.len()].copy_from_slice(last);
            block[last.len()] = b'\n';
            *marks = of(&block);
        }
        rest[..2].fill(NO_MARKS);
    }

    /// The marks of the block in which this place is and of the two after it, and where in the first it is.
    #[inline]
    fn around(&self, at: usize) -> Option<(usize, &[[u64; 3]; 3])> {
        Some((at % BLOCK, self.words.get(at / BLOCK - self.first..)?.first_chunk()?))
    }
}

/// The marks of a block.
#[inline]
fn of(block: &Block) -> [u64; 3] {
    [b'\n', b':', b'|'].map(|byte| occurrences(block, byte))
}

/// Marks of one kind in the 64 bytes from a place on; places beyond the third block have none.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn after(marks: &[[u64; 3]; 3], kind: usize, from: usize) -> u64 {
    let word = |n: usize| marks.get(n).map_or(0, |words| words[kind]);
    let both = u128::from(word(from / BLOCK)) | u128::from(word(from / BLOCK + 1)) << BLOCK;
    (both >> (from % BLOCK)) as u64
}

/// The first eight bytes, with zeros where there are not as many.
#[inline]
fn head(bytes: &[u8]) -> [u8; 8] {
    bytes.first_chunk().copied().unwrap_or_else(|| {
        let mut head = [0; 8];
        head[..bytes.len()].copy_from_slice(bytes);
        head
    })
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
    Some(Line { text, head: head(after), colon: u16::try_from(colon).ok()?, bar: u16::try_from(bar).ok()? })
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
