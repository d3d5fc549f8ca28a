//! A list that grows without being copied.
//!
//! A vector that doubles needs three times its room for a moment, and up to half of what it has is never used: with a
//! million series that is what a process is measured by. So long lists are kept in pieces of [`PIECE`].

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// So many items are kept together.
const PIECE: usize = 1 << PIECE_BITS;
const PIECE_BITS: u32 = 10;

/// A list in pieces.
#[derive(Clone, Debug)]
pub struct Chunked<T> {
    /// All but the last are full.
    pieces: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }
}

impl<T> Chunked<T> {
    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds one at the end.
    pub fn push(&mut self, item: T) {
        let piece = self.len >> PIECE_BITS;
        if piece == self.pieces.len() {
            // A short list is not worth a whole piece.
            self.pieces.push(if piece == 0 { Vec::new() } else { Vec::with_capacity(PIECE) });
        }
        self.pieces[piece].push(item);
        self.len += 1;
    }

    /// The item in this place.
    #[inline]
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&T> {
        self.pieces.get(place >> PIECE_BITS)?.get(place & (PIECE - 1))
    }

    /// The item in this place, to be changed.
    #[inline]
    pub fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.pieces.get_mut(place >> PIECE_BITS)?.get_mut(place & (PIECE - 1))
    }

    /// All of them, in order.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    /// All of them, in order, to be changed.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.pieces.iter_mut().flatten()
    }

    /// Forgets all items, and keeps the room that they had.
    pub fn clear(&mut self) {
        self.pieces.truncate(self.len.div_ceil(PIECE));
        for piece in &mut self.pieces {
            piece.clear();
        }
        self.len = 0;
    }
}

impl<T> Index<usize> for Chunked<T> {
    type Output = T;

    #[inline]
    fn index(&self, place: usize) -> &T {
        &self.pieces[place >> PIECE_BITS][place & (PIECE - 1)]
    }
}

impl<T> IndexMut<usize> for Chunked<T> {
    #[inline]
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut self.pieces[place >> PIECE_BITS][place & (PIECE - 1)]
    }
}

impl<T: Serialize> Serialize for Chunked<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ByLength(self.pieces.iter().flatten(), self.len))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Chunked<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut list = Self::default();
        for item in Vec::deserialize(deserializer)? {
            list.push(item);
        }
        Ok(list)
    }
}

/// An iterator that knows how many come: a format that writes the length first must be told.
struct ByLength<I>(I, usize);

impl<I: Iterator> Iterator for ByLength<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, Some(self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_list() {
        let mut list = Chunked::default();
        for n in 0..3 * PIECE + 7 {
            assert_eq!((list.len(), list.get(n)), (n, None));
            list.push(n);
        }
        list[PIECE] = 9;
        *list.get_mut(2 * PIECE + 1).unwrap() = 8;
        let expected = (0..3 * PIECE + 7).map(|n| match n {
            PIECE => 9,
            n if n == 2 * PIECE + 1 => 8,
            n => n,
        });
        assert!(list.iter().copied().eq(expected.clone()));
        assert!(list.iter_mut().map(|n| *n).eq(expected));
        list.clear();
        assert!(list.is_empty() && list.iter().next().is_none());
        list.push(5);
        assert_eq!((list[0], list.len()), (5, 1));
    }
}
