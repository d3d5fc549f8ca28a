//! The last windows of a series, for the picture in a mail.

use serde::{Deserialize, Serialize};

use kinetic_api::anomaly::HISTORY_WINDOWS;

/// So many windows are remembered.
#[allow(clippy::cast_possible_wrap, reason = "60")]
pub const WINDOWS: i64 = HISTORY_WINDOWS as i64;

/// The last [`HISTORY_WINDOWS`] values of a series, by the number of their window. Single precision: a picture has no more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct History {
    /// Each at the remainder of its window's number by how many there are, which is as many as needed so far.
    values: Box<[f32]>,
    latest: i64,
}

/// So many values there is room for first, and then.
const SIZES: [usize; 4] = [6, 15, 30, HISTORY_WINDOWS];

impl Default for History {
    fn default() -> Self {
        Self { values: Box::default(), latest: i64::MIN }
    }
}

impl History {
    /// Takes in the value of the window of this number, which is later than all before it.
    pub fn push(&mut self, number: i64, value: f64) {
        while !self.has_room(number) {
            self.grow();
        }
        let passed = number.saturating_sub(self.latest);
        let length = self.values.len();
        if passed >= WINDOWS {
            self.values.fill(f32::NAN);
        } else {
            for skipped in 1..passed.min(whole(length)) {
                self.values[place(number - skipped, length)] = f32::NAN;
            }
        }
        #[allow(clippy::cast_possible_truncation, reason = "a picture has no more precision")]
        let drawn = value as f32;
        self.values[place(number, length)] = drawn;
        self.latest = number;
    }

    /// Whether the window of this number can be taken in without losing one of the last ones.
    fn has_room(&self, number: i64) -> bool {
        let length = whole(self.values.len());
        length == WINDOWS || {
            let first = number.saturating_sub(WINDOWS - 1).max(self.latest.saturating_sub(length - 1));
            let oldest = (first..=self.latest).find(|old| self.drawn(*old).is_some()).unwrap_or(number);
            number - oldest < length
        }
    }

    fn grow(&mut self) {
        let more = SIZES.into_iter().find(|size| *size > self.values.len()).unwrap_or(HISTORY_WINDOWS);
        let mut values = vec![f32::NAN; more].into_boxed_slice();
        for number in (0..whole(self.values.len())).map(|age| self.latest.saturating_sub(age)) {
            values[place(number, more)] = self.values[place(number, self.values.len())];
        }
        self.values = values;
    }

    /// Lets go of all values if they are older than the last windows at this one.
    pub fn forget_before(&mut self, number: i64) {
        if number.saturating_sub(self.latest) >= WINDOWS {
            *self = Self::default();
        }
    }

    /// The value in the window of this number, if it is one of the last ones and the series had one there.
    #[must_use]
    pub fn get(&self, number: i64) -> Option<f64> {
        self.drawn(number).map(shortest)
    }

    fn drawn(&self, number: i64) -> Option<f32> {
        let age = self.latest.checked_sub(number)?;
        let known = (0..whole(self.values.len())).contains(&age);
        known.then(|| self.values[place(number, self.values.len())]).filter(|value| value.is_finite())
    }
}

/// The number with the fewest digits that is this one in single precision: 0.1, not 0.10000000149, in a finding.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

fn place(number: i64, length: usize) -> usize {
    usize::try_from(number.rem_euclid(whole(length)))
        .expect("a remainder by a positive number is not negative")
}

#[allow(clippy::cast_possible_wrap, reason = "60 at most")]
fn whole(length: usize) -> i64 {
    length as i64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn holds_the_last_windows(steps in prop::collection::vec(1_i64..90, 1..100), start in -1_000_i64..1_000) {
            let (mut history, mut all, mut number) = (History::default(), BTreeMap::new(), start);
            for (n, step) in (0_i32..).zip(steps) {
                number += step;
                history.push(number, f64::from(n));
                all.insert(number, f64::from(n));
                for asked in number - 70..number + 3 {
                    let want = all.get(&asked).copied().filter(|_| asked > number - WINDOWS);
                    prop_assert_eq!(history.get(asked), want);
                }
            }
        }
    }

    #[test]
    fn has_nothing_at_first() {
        assert_eq!(History::default().get(0), None);
        assert_eq!(History::default().get(i64::MAX), None);
    }
}
