//! Everything that one analytic judges window by window, and which of it fires.

use std::mem;

use hashbrown::HashMap;
use kinetic_api::{anomaly::Anomaly, resources::topology::Persistence};
use serde::{Deserialize, Serialize};

use super::{
    finding::{Closing, Telling},
    persistence::{Oddities, Turn},
    subjects::Slot,
    verdict::Verdict,
};
use crate::{
    image::{as_json, sorted},
    window::chunked::Chunked,
};

/// Who holds a slot has not dismissed it.
const SLOT_IS_IN: &str = "a slot is given out by insert and not used after dismiss";

/// What one analytic judges (series, or feeds), each with its state `S`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Roster<S> {
    #[serde(skip)]
    persistence: Persistence,
    members: Chunked<Option<S>>,
    free: Vec<Slot>,
    /// Those that were odd lately or fire: they must be looked at even in a window in which they have no value. All others are
    /// quiet, and take no room for it.
    #[serde(with = "sorted")]
    restless: HashMap<Slot, Unrest>,
    /// What turned in the window that is closing.
    #[serde(skip, default = "Vec::new")]
    turned: Vec<Turned>,
    /// What each amounted to in the window that is closing, if somebody asked.
    #[serde(skip)]
    verdicts: Option<Vec<(Slot, Verdict)>>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Unrest {
    oddities: Oddities,
    /// The finding, as published, while it fires.
    #[serde(with = "as_json")]
    firing: Option<Box<Anomaly>>,
}

/// Something turned in the window that is closing.
#[derive(Clone, Copy, Debug)]
pub struct Turned {
    /// What did.
    pub slot: Slot,
    /// Whether it begins or ends.
    pub turn: Turn,
    /// What its value amounted to.
    pub verdict: Verdict,
}

impl<S> Roster<S> {
    /// Nothing yet.
    #[must_use]
    pub fn new(persistence: Persistence) -> Self {
        Self {
            persistence,
            members: Chunked::default(),
            free: Vec::new(),
            restless: HashMap::new(),
            turned: Vec::new(),
            verdicts: None,
        }
    }

    /// Keeps every verdict from now on, for [`Self::take_verdicts`].
    pub fn keep_verdicts(&mut self) {
        self.verdicts.get_or_insert_default();
    }

    /// The verdicts since this was last asked, if they are kept.
    pub fn take_verdicts(&mut self, out: &mut Vec<(Slot, Verdict)>) {
        if let Some(verdicts) = &mut self.verdicts {
            out.append(verdicts);
        }
    }

    /// Judges by another persistence from now on.
    pub fn set_persistence(&mut self, persistence: Persistence) {
        self.persistence = persistence;
    }

    /// Knows what was saved, and judges as before.
    pub fn restore(&mut self, saved: Self) {
        *self = Self { persistence: self.persistence, ..saved };
    }

    /// Takes in one more.
    pub fn insert(&mut self, state: S) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.members[slot.0 as usize] = Some(state);
            slot
        } else {
            let next = u32::try_from(self.members.len())
                .expect("no more than there are series, whose ids are 32 bits");
            self.members.push(Some(state));
            Slot(next)
        }
    }

    /// Lets one go; what it fires resolves.
    pub fn dismiss(&mut self, slot: Slot, closing: &Closing<'_>, found: &mut Vec<Anomaly>) {
        if self.members[slot.0 as usize].take().is_none() {
            return;
        }
        self.free.push(slot);
        if let Some(fired) = self.restless.remove(&slot).and_then(|unrest| unrest.firing) {
            found.push(closing.withdraws(&fired, "it has sent nothing for long"));
        }
    }

    /// The state of one that is in.
    #[must_use]
    pub fn get(&self, slot: Slot) -> &S {
        self.members[slot.0 as usize].as_ref().expect(SLOT_IS_IN)
    }

    /// The state of one that is in, to be changed.
    pub fn get_mut(&mut self, slot: Slot) -> &mut S {
        self.members[slot.0 as usize].as_mut().expect(SLOT_IS_IN)
    }

    /// Whether there is nothing to judge.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.len() == self.free.len()
    }

    /// The states of all.
    pub fn states(&self) -> impl Iterator<Item = &S> {
        self.members.iter().flatten()
    }

    /// The states of all, to be changed.
    pub fn states_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.members.iter_mut().flatten()
    }

    /// Whether one fires.
    #[must_use]
    pub fn fires(&self, slot: Slot) -> bool {
        !self.restless.is_empty() && self.restless.get(&slot).is_some_and(|unrest| unrest.firing.is_some())
    }

    /// What fires, as published.
    pub fn firing(&self) -> impl Iterator<Item = &Anomaly> {
        self.restless.values().filter_map(|unrest| unrest.firing.as_deref())
    }

    /// Judges one in the window of this number. The verdict is only asked for if that turns anything, or if verdicts are kept.
    pub fn judge(&mut self, slot: Slot, number: i64, odd: bool, verdict: impl FnOnce() -> Verdict) {
        if let Some(verdicts) = &mut self.verdicts {
            let verdict = verdict();
            verdicts.push((slot, verdict));
            self.count(slot, number, odd, || verdict);
        } else {
            self.count(slot, number, odd, verdict);
        }
    }

    fn count(&mut self, slot: Slot, number: i64, odd: bool, verdict: impl FnOnce() -> Verdict) {
        let unrest = if odd {
            self.restless.entry(slot).or_default()
        } else if self.restless.is_empty() {
            return;
        } else {
            let Some(unrest) = self.restless.get_mut(&slot) else { return };
            unrest
        };
        let turn = unrest.oddities.window(number, odd, self.persistence, unrest.firing.is_some());
        if let Some(turn) = turn {
            self.turned.push(Turned { slot, turn, verdict: verdict() });
        }
    }

    /// Ends the window: what was not judged in it was not odd. `tell` says of each that turned what there is to say, given
    /// what it fired as if it resolves.
    pub fn close(
        &mut self,
        closing: &Closing<'_>,
        found: &mut Vec<Anomaly>,
        mut tell: impl FnMut(&Self, &Turned, Option<&Anomaly>) -> Telling,
    ) {
        let number = closing.number();
        let passed_over =
            |(slot, unrest): (&Slot, &Unrest)| (unrest.oddities.latest() < number).then_some(*slot);
        let passed_over: Vec<Slot> = self.restless.iter().filter_map(passed_over).collect();
        for slot in passed_over {
            self.count(slot, number, false, || Verdict::NONE);
        }
        let turned = mem::take(&mut self.turned);
        for event in &turned {
            let fired = self.restless.get_mut(&event.slot).and_then(|unrest| unrest.firing.take());
            let telling = tell(self, event, fired.as_deref());
            let anomaly = match (event.turn, fired) {
                (Turn::Fires { since }, _) => {
                    let anomaly = closing.fires(since, telling);
                    self.restless.entry(event.slot).or_default().firing = Some(Box::new(anomaly.clone()));
                    anomaly
                }
                (Turn::Resolves, Some(fired)) => closing.resolves(&fired, telling),
                (Turn::Resolves, None) => continue,
            };
            found.push(anomaly);
        }
        self.turned = turned;
        self.turned.clear();
        self.restless.retain(|_, unrest| unrest.firing.is_some() || !unrest.oddities.none());
    }
}
