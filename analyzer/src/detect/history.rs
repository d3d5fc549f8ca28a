//! The last windows of a series, for the picture in a mail.

use kinetic_api::anomaly::HISTORY_WINDOWS;

/// So many windows are remembered.
#[allow(clippy::cast_possible_wrap, reason = "60")]
pub const WINDOWS: i64 = HISTORY_WINDOWS as i64;

/// The last [`HISTORY_WINDOWS`] values of a series, by the number of their window. Single precision: a picture has no more.
#[derive(Clone, Debug)]
pub struct History {
    values: Box<[f32; HISTORY_WINDOWS]>,
    latest: i64,
}

impl Default for History {
    fn default() -> Self {
        Self { values: Box::new([f32::NAN; HISTORY_WINDOWS]), latest: i64::MIN }
    }
}

impl History {
    /// Takes in the value of the window of this number, which is later than all before it.
    pub fn push(&mut self, number: i64, value: f64) {
        let passed = number.saturating_sub(self.latest);
        if passed >= WINDOWS {
            self.values.fill(f32::NAN);
        } else {
            for skipped in 1..passed {
                self.values[place(self.latest + skipped)] = f32::NAN;
            }
        }
        #[allow(clippy::cast_possible_truncation, reason = "a picture has no more precision")]
        let drawn = value as f32;
        self.values[place(number)] = drawn;
        self.latest = number;
    }

    /// The value in the window of this number, if it is one of the last ones and the series had one there.
    #[must_use]
    pub fn get(&self, number: i64) -> Option<f64> {
        let age = self.latest.checked_sub(number)?;
        let value = self.values[place(number)];
        ((0..WINDOWS).contains(&age) && value.is_finite()).then(|| shortest(value))
    }
}

/// The number with the fewest digits that is this one in single precision: 0.1, not 0.10000000149, in a finding.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

fn place(number: i64) -> usize {
    usize::try_from(number.rem_euclid(WINDOWS)).expect("a remainder by a positive number is not negative")
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
