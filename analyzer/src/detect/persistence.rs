//! k of the last m windows.

use serde::{Deserialize, Serialize};

use kinetic_api::resources::topology::Persistence;

/// Which of a subject's last 64 windows were odd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oddities {
    /// Bit n is the window n before `latest`.
    bits: u64,
    /// The number of the last window that was looked at.
    latest: i64,
}

/// A subject begins to fire, or ceases to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It fires; the first odd window of those that made it has this number.
    Fires {
        /// The number of the window.
        since: i64,
    },
    /// None of the last windows was odd.
    Resolves,
}

impl Oddities {
    /// Takes in the window of this number; those since the last one, in which the subject was not looked at, were not odd.
    /// Returns what that turns, given whether the subject fires already.
    pub fn window(&mut self, number: i64, odd: bool, rule: Persistence, firing: bool) -> Option<Turn> {
        let passed = u32::try_from(number - self.latest).unwrap_or(u32::MAX);
        self.bits = self.bits.checked_shl(passed).unwrap_or(0) | u64::from(odd);
        self.latest = number;
        let last = self.bits & (u64::MAX >> (64 - u32::from(rule.of.clamp(1, 64))));
        if firing {
            (last == 0).then_some(Turn::Resolves)
        } else {
            (odd && last.count_ones() >= u32::from(rule.windows))
                .then(|| Turn::Fires { since: number - i64::from(last.ilog2()) })
        }
    }

    /// The number of the last window that was looked at.
    #[must_use]
    pub fn latest(&self) -> i64 {
        self.latest
    }

    /// Whether none of the windows in memory was odd.
    #[must_use]
    pub fn none(&self) -> bool {
        self.bits == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_of_three_begins_at_the_first_of_them_and_ends_after_three() {
        let rule = Persistence::default();
        let mut oddities = Oddities::default();
        let mut firing = false;
        let windows = [(10, true), (12, true), (13, false), (14, false), (15, false), (16, true)];
        let turns: Vec<_> = windows
            .map(|(number, odd)| {
                let turn = oddities.window(number, odd, rule, firing);
                firing = turn.map_or(firing, |turn| turn != Turn::Resolves);
                turn
            })
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(turns, [Turn::Fires { since: 10 }, Turn::Resolves]);
    }

    proptest! {
        /// Against the definition over the whole history, with windows left out.
        #[test]
        fn agrees_with_the_definition(
            of in 1_u8..=60,
            windows in 1_u8..=60,
            history in prop::collection::vec((1_i64..4, any::<bool>()), 1..200),
            start in -1_000_000_000_i64..1_000_000_000,
        ) {
            let rule = Persistence { windows: windows.min(of), of };
            let mut oddities = Oddities::default();
            let (mut odd, mut number, mut firing) = (Vec::new(), start, false);
            for (step, is_odd) in history {
                number += step;
                if is_odd {
                    odd.push(number);
                }
                let last: Vec<i64> = odd.iter().copied().filter(|n| *n > number - i64::from(of)).collect();
                let want = match firing {
                    false if is_odd && last.len() >= usize::from(rule.windows) => Some(Turn::Fires { since: last[0] }),
                    true if last.is_empty() => Some(Turn::Resolves),
                    _ => None,
                };
                let got = oddities.window(number, is_odd, rule, firing);
                prop_assert_eq!(got, want);
                firing = got.map_or(firing, |turn| turn != Turn::Resolves);
            }
        }
    }
}
