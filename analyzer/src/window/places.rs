//! A table of what is a number, or has one that is as good as random: where the number's lowest bits say, or in one of the next places
//! (open addressing, linear probing). Small items lie together, so that a look-up waits for memory once.

use std::{hint::black_box, num::NonZeroU64};

/// A table that is not empty has so many places at least.
const LEAST: usize = 16;

/// What is told from others by a number, whose lowest bits are evenly spread.
pub(super) trait Numbered: Copy {
    fn number(&self) -> u64;
}

impl Numbered for NonZeroU64 {
    fn number(&self) -> u64 {
        self.get()
    }
}

/// The table.
#[derive(Clone, Debug)]
pub(super) struct Places<T> {
    /// None, or a power of two of them, three quarters taken at most.
    places: Vec<Option<T>>,
    len: usize,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self { places: Vec::new(), len: 0 }
    }
}

impl<T: Numbered> Places<T> {
    /// With so many places for a start; a power of two.
    pub(super) fn with_room(room: usize) -> Self {
        Self { places: vec![None; room], len: 0 }
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many places there are.
    pub(super) fn room(&self) -> usize {
        self.places.len()
    }

    /// Fetches into the cache where the item of this number is.
    #[inline]
    pub(super) fn fetch(&self, number: u64) {
        if let Some(place) = self.places.get(self.place(number)) {
            black_box(place.is_some());
        }
    }

    /// The item of this number.
    #[inline]
    pub(super) fn find(&self, number: u64) -> Option<T> {
        let mut place = self.place(number);
        loop {
            let item = (*self.places.get(place)?)?;
            if item.number() == number {
                return Some(item);
            }
            place = self.after(place);
        }
    }

    /// Adds an item, unless there is one of its number. Whether there was none.
    pub(super) fn insert(&mut self, item: T) -> bool {
        if self.find(item.number()).is_some() {
            return false;
        }
        if 4 * (self.len + 1) > 3 * self.places.len() {
            self.rebuild(2 * self.places.len(), |_| true);
        }
        self.put(item);
        true
    }

    /// Keeps what `stays`, in a table of about so many places, which must be more than what stays.
    pub(super) fn rebuild(&mut self, room: usize, stays: impl Fn(&T) -> bool) {
        let room = room.max(LEAST).next_power_of_two();
        let before = std::mem::replace(self, Self::with_room(room));
        for item in before.iter().filter(stays) {
            self.put(item);
        }
    }

    /// Removes all items; the room stays.
    pub(super) fn clear(&mut self) {
        self.places.fill(None);
        self.len = 0;
    }

    /// All items, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = T> {
        self.places.iter().copied().flatten()
    }

    fn put(&mut self, item: T) {
        let mut place = self.place(item.number());
        while self.places[place].is_some() {
            place = self.after(place);
        }
        self.places[place] = Some(item);
        self.len += 1;
    }

    /// Where the item of a number is, unless another was there first. Beyond the table while that has no places.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are meant")]
    fn place(&self, number: u64) -> usize {
        number as usize & self.places.len().wrapping_sub(1)
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        (place + 1) & self.places.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Numbers that are alike in their lowest bits, too.
        #[test]
        fn is_a_set(numbers in prop::collection::vec((1_u64..9, 0_u64..40), 0..300), divisor in 2_u64..5) {
            let mut places = Places::default();
            let mut expected = HashSet::new();
            for (high, low) in numbers {
                let number = NonZeroU64::new(high << 32 | low).unwrap();
                prop_assert_eq!(places.insert(number), expected.insert(number));
                prop_assert!(4 * places.len() <= 3 * places.room());
            }
            let stays = |number: &NonZeroU64| number.get().is_multiple_of(divisor);
            expected.retain(stays);
            places.rebuild(2 * expected.len(), stays);
            prop_assert_eq!(places.len(), expected.len());
            prop_assert!(expected.iter().all(|number| places.find(number.get()) == Some(*number)));
            prop_assert_eq!(places.iter().collect::<HashSet<_>>(), expected);
            places.clear();
            prop_assert_eq!((places.len(), places.iter().count()), (0, 0));
        }
    }

    #[test]
    fn nothing_is_in_what_has_no_places() {
        let places = Places::<NonZeroU64>::default();
        places.fetch(7);
        assert_eq!((places.find(7), places.room()), (None, 0));
    }
}
