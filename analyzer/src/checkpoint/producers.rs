//! What was seen already of what our own producers publish twice (DESIGN.md, "Time", rule 8). Pure.
//!
//! They stamp messages with `{instance}-{sequence}`, the instance a UUID, the sequence counted from 0. After a lost confirm they publish
//! again, in order, perhaps hundreds of messages; what was refused comes after what was taken. So of each producer the last sequence is
//! kept, and which ones before it are still missing.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// So many producers are known; one more forgets those unheard of for longest.
const MOST_PRODUCERS: usize = 10_000;
/// So many are forgotten together.
const FORGOTTEN: usize = MOST_PRODUCERS / 16;
/// So many runs of missing sequences are known of each; what is missing for longest counts as seen.
const MOST_GAPS: usize = 64;

/// Which messages of which producers were seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(into = "Vec<Known>", from = "Vec<Known>")]
pub(crate) struct Producers {
    known: HashMap<Uuid, Producer>,
    /// Counts up with every message: tells who was heard of last.
    heard: u64,
}

#[derive(Clone, Debug)]
struct Producer {
    last: u64,
    /// Runs of sequences below `last` that were not seen, first and last of each, in order.
    missing: VecDeque<(u64, u64)>,
    heard: u64,
}

/// A producer as it is saved, in the order in which they were last heard of.
#[derive(Serialize, Deserialize)]
struct Known(Uuid, u64, VecDeque<(u64, u64)>);

impl Producers {
    /// Whether a message of this id is seen for the first time; so is every one that bears no id of ours.
    pub(crate) fn is_new(&mut self, message_id: Option<&str>) -> bool {
        let Some((instance, sequence)) = message_id.and_then(parse) else { return true };
        self.heard += 1;
        let heard = self.heard;
        if let Some(producer) = self.known.get_mut(&instance) {
            producer.heard = heard;
            return producer.is_new(sequence);
        }
        if self.known.len() >= MOST_PRODUCERS {
            self.forget();
        }
        let missing = sequence.checked_sub(1).map(|before| (0, before)).into_iter().collect();
        self.known.insert(instance, Producer { last: sequence, missing, heard });
        true
    }

    fn forget(&mut self) {
        let mut heard: Vec<_> = self.known.values().map(|producer| producer.heard).collect();
        heard.sort_unstable();
        let until = heard[FORGOTTEN];
        self.known.retain(|_, producer| producer.heard > until);
    }
}

impl Producer {
    fn is_new(&mut self, sequence: u64) -> bool {
        if sequence > self.last {
            if sequence - self.last > 1 {
                self.missing.push_back((self.last + 1, sequence - 1));
            }
            self.last = sequence;
        } else {
            let at = self.missing.partition_point(|(_, end)| *end < sequence);
            let Some(&(first, end)) = self.missing.get(at).filter(|(first, _)| *first <= sequence) else {
                return false;
            };
            self.missing.remove(at);
            if sequence < end {
                self.missing.insert(at, (sequence + 1, end));
            }
            if first < sequence {
                self.missing.insert(at, (first, sequence - 1));
            }
        }
        while self.missing.len() > MOST_GAPS {
            self.missing.pop_front();
        }
        true
    }
}

/// Instance and sequence, if the id is one of ours: anything else may mean anything.
fn parse(message_id: &str) -> Option<(Uuid, u64)> {
    let (instance, sequence) = message_id.split_at_checked(36)?;
    let sequence = sequence.strip_prefix('-').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    Some((instance.parse().ok()?, sequence.parse().ok()?))
}

impl From<Producers> for Vec<Known> {
    fn from(producers: Producers) -> Self {
        let mut known: Vec<_> = producers.known.into_iter().collect();
        known.sort_unstable_by_key(|(_, producer)| producer.heard);
        known.into_iter().map(|(instance, p)| Known(instance, p.last, p.missing)).collect()
    }
}

impl From<Vec<Known>> for Producers {
    fn from(saved: Vec<Known>) -> Self {
        let heard = saved.len() as u64;
        let known = saved
            .into_iter()
            .zip(1..)
            .map(|(Known(instance, last, missing), heard)| (instance, Producer { last, missing, heard }))
            .collect();
        Self { known, heard }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn id(instance: u128, sequence: u64) -> String {
        format!("{}-{sequence}", Uuid::from_u128(instance))
    }

    proptest! {
        /// Against a set of all that was seen, with a save in between.
        #[test]
        fn drops_what_it_has_seen(
            messages in prop::collection::vec((0_u128..3, 0_u64..60), 0..300),
            save in any::<prop::sample::Index>(),
        ) {
            let (mut producers, mut seen) = (Producers::default(), HashSet::new());
            let save = save.index(messages.len() + 1);
            for (n, (instance, sequence)) in messages.into_iter().enumerate() {
                if n == save {
                    let bytes = postcard::to_allocvec(&producers).unwrap();
                    producers = postcard::from_bytes(&bytes).unwrap();
                    prop_assert_eq!(postcard::to_allocvec(&producers).unwrap(), bytes);
                }
                let new = producers.is_new(Some(&id(instance, sequence)));
                prop_assert_eq!(new, seen.insert((instance, sequence)));
            }
        }
    }

    #[test]
    fn a_whole_window_that_comes_again_is_dropped_and_what_was_refused_is_taken() {
        let mut producers = Producers::default();
        for sequence in 0..2_000 {
            assert!(producers.is_new(Some(&id(1, sequence))));
        }
        for sequence in 900..2_000 {
            assert!(!producers.is_new(Some(&id(1, sequence))));
        }
        for sequence in 2_001..3_100 {
            assert!(producers.is_new(Some(&id(1, sequence))));
        }
        assert!(producers.is_new(Some(&id(1, 2_000))), "it was not there before");
    }

    #[test]
    fn ids_that_are_not_ours_say_nothing() {
        let mut producers = Producers::default();
        let uuid = Uuid::from_u128(7).to_string();
        for foreign in
            [uuid.as_str(), "order-5", "", &format!("{uuid}-"), &format!("{uuid}-+5"), &format!("{uuid}x5")]
        {
            assert!(producers.is_new(Some(foreign)) && producers.is_new(Some(foreign)), "{foreign}");
        }
        assert!(producers.is_new(None));
        assert!(producers.known.is_empty());
    }

    #[test]
    fn neither_producers_nor_gaps_grow_without_bound() {
        let mut producers = Producers::default();
        for instance in 0..25_000 {
            producers.is_new(Some(&id(instance, 0)));
            assert!(producers.known.len() <= MOST_PRODUCERS);
        }
        assert!(!producers.is_new(Some(&id(24_999, 0))));
        for sequence in (0..10_000).step_by(2) {
            producers.is_new(Some(&id(24_999, sequence)));
        }
        assert_eq!(producers.known[&Uuid::from_u128(24_999)].missing.len(), MOST_GAPS);
    }
}
