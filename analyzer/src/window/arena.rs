//! Byte strings one after the other, each found by where it begins.

/// So many bytes are kept together; no string is longer.
const PIECE: usize = 1 << 16;

/// Byte strings of up to 64 KiB. One that is no longer needed keeps its room until the arena is made anew.
#[derive(Clone, Debug, Default)]
pub struct Arena {
    pieces: Vec<Vec<u8>>,
}

/// Where a string begins: the piece in the upper half, the place in it in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(u32);

impl Arena {
    /// Keeps the parts as one string. None if it is longer than 64 KiB, or four GiB are full.
    pub fn push(&mut self, parts: [&[u8]; 2]) -> Option<At> {
        let length = parts[0].len() + parts[1].len();
        if self.pieces.last().is_none_or(|piece| PIECE - piece.len() < length.max(1)) {
            if length > PIECE || self.pieces.len() > usize::from(u16::MAX) {
                return None;
            }
            // A few strings are not worth a whole piece.
            self.pieces.push(if self.pieces.is_empty() { Vec::new() } else { Vec::with_capacity(PIECE) });
        }
        let number = self.pieces.len() - 1;
        let piece = &mut self.pieces[number];
        let at = u32::try_from(number << 16 | piece.len()).ok().map(At);
        for part in parts {
            piece.extend_from_slice(part);
        }
        at
    }

    /// The string of this length that begins there.
    #[inline]
    #[must_use]
    pub fn get(&self, At(at): At, length: usize) -> &[u8] {
        let begin = (at & 0xffff) as usize;
        &self.pieces[(at >> 16) as usize][begin..begin + length]
    }

    /// How many bytes are kept, needed or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_pushed() {
        let mut arena = Arena::default();
        let strings: Vec<Vec<u8>> = (0..2_000_usize).map(|n| vec![n.to_le_bytes()[0]; n * 7 % 300]).collect();
        let at: Vec<At> =
            strings.iter().map(|s| arena.push([&s[..s.len() / 2], &s[s.len() / 2..]]).unwrap()).collect();
        for (string, at) in strings.iter().zip(at) {
            assert_eq!(arena.get(at, string.len()), string);
        }
        assert_eq!(arena.len(), strings.iter().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn a_string_of_a_whole_piece_is_the_longest() {
        let mut arena = Arena::default();
        assert!(arena.push([b"a", b""]).is_some());
        let whole = arena.push([&vec![7; PIECE - 1], b"\x08"]).unwrap();
        assert_eq!(arena.get(whole, PIECE).last(), Some(&8));
        assert_eq!(arena.push([&vec![0; PIECE], b"1"]), None);
        let at = arena.push([b"", b""]).unwrap();
        assert_eq!(arena.get(at, 0), b"");
    }
}
