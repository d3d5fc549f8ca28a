//! Cuts a byte stream into lines of bounded length. Pure.

use memchr::memchr;

/// A longer line is dropped whole, in bytes.
pub(super) const MAX_LINE: usize = 8 * 1024;

/// Remembers the line that has not ended yet.
#[derive(Debug, Default)]
pub(super) struct Framer {
    partial: Vec<u8>,
    /// The current line is too long already: its rest is thrown away.
    skipping: bool,
}

impl Framer {
    /// Gives `take` each line that ends in `chunk`, without its newline. Returns how many were too long.
    pub(super) fn feed(&mut self, mut chunk: &[u8], mut take: impl FnMut(&[u8])) -> u64 {
        let mut oversized = 0;
        while let Some(end) = memchr(b'\n', chunk) {
            let (line, rest) = (&chunk[..end], &chunk[end + 1..]);
            chunk = rest;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.partial.len() + line.len() > MAX_LINE {
                oversized += 1;
            } else if self.partial.is_empty() {
                take(line);
            } else {
                self.partial.extend_from_slice(line);
                take(&self.partial);
            }
            self.partial.clear();
        }
        if !self.skipping {
            if self.partial.len() + chunk.len() > MAX_LINE {
                oversized += 1;
                self.skipping = true;
                self.partial.clear();
            } else {
                self.partial.extend_from_slice(chunk);
            }
        }
        oversized
    }

    /// At the stream's end: gives `take` what followed the last newline.
    pub(super) fn finish(self, mut take: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            take(&self.partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines and the number of those too long, when `bytes` come in chunks of `size`.
    fn framed(bytes: &[u8], size: usize) -> (Vec<Vec<u8>>, u64) {
        let (mut framer, mut lines, mut oversized) = (Framer::default(), Vec::new(), 0);
        for chunk in bytes.chunks(size) {
            oversized += framer.feed(chunk, |line| lines.push(line.to_vec()));
            assert!(framer.partial.len() <= MAX_LINE);
        }
        framer.finish(|line| lines.push(line.to_vec()));
        (lines, oversized)
    }

    #[test]
    fn a_line_that_is_too_long_costs_itself_only() {
        let mut bytes = b"a:1|c\n".to_vec();
        bytes.extend([b'x'; MAX_LINE + 1]);
        bytes.extend(b"\nb:1|c\n");
        bytes.extend([b'y'; MAX_LINE]);
        bytes.extend(b"\nc:1|c");
        for size in [1, 1000, MAX_LINE, 1 << 20] {
            let (lines, oversized) = framed(&bytes, size);
            assert_eq!(oversized, 1, "in chunks of {size}");
            assert_eq!(
                lines,
                [b"a:1|c".to_vec(), b"b:1|c".to_vec(), vec![b'y'; MAX_LINE], b"c:1|c".to_vec()]
            );
        }
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(text in "[ab\n]{0,200}", size in 1_usize..50) {
            let (lines, oversized) = framed(text.as_bytes(), size);
            let expected: Vec<Vec<u8>> = text.split_terminator('\n').map(|line| line.as_bytes().to_vec()).collect();
            prop_assert_eq!(lines, expected);
            prop_assert_eq!(oversized, 0);
        }
    }
}
