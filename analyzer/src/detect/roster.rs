//! Everything that one analytic judges window by window, and which of it fires.

use std::mem;

use kinetic_api::{anomaly::Anomaly, resources::topology::Persistence};

use super::{
    finding::{Closing, Telling},
    persistence::{Oddities, Turn},
    subjects::Slot,
    verdict::Verdict,
};

/// Who holds a slot has not dismissed it.
const SLOT_IS_IN: &str = "a slot is given out by insert and not used after dismiss";

/// What one analytic judges (series, or feeds), each with its state `S`.
#[derive(Clone, Debug)]
pub struct Roster<S> {
    persistence: Persistence,
    members: Vec<Option<Member<S>>>,
    free: Vec<Slot>,
    /// Those that were odd lately or fire: they must be looked at even in a window in which they have no value.
    restless: Vec<Slot>,
    /// What turned in the window that is closing.
    turned: Vec<Turned>,
}

#[derive(Clone, Debug)]
struct Member<S> {
    oddities: Oddities,
    /// The finding, as published, while it fires.
    firing: Option<Box<Anomaly>>,
    state: S,
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
        Self { persistence, members: Vec::new(), free: Vec::new(), restless: Vec::new(), turned: Vec::new() }
    }

    /// Judges by another persistence from now on.
    pub fn set_persistence(&mut self, persistence: Persistence) {
        self.persistence = persistence;
    }

    /// Takes in one more.
    pub fn insert(&mut self, state: S) -> Slot {
        let member = Some(Member { oddities: Oddities::default(), firing: None, state });
        if let Some(slot) = self.free.pop() {
            self.members[slot.0 as usize] = member;
            slot
        } else {
            let next = u32::try_from(self.members.len())
                .expect("no more than there are series, whose ids are 32 bits");
            self.members.push(member);
            Slot(next)
        }
    }

    /// Lets one go; what it fires resolves.
    pub fn dismiss(&mut self, slot: Slot, closing: &Closing<'_>, found: &mut Vec<Anomaly>) {
        let Some(member) = self.members[slot.0 as usize].take() else { return };
        self.restless.retain(|other| *other != slot);
        self.free.push(slot);
        if let Some(fired) = member.firing {
            found.push(closing.withdraws(&fired, "it has sent nothing for long"));
        }
    }

    /// The state of one that is in.
    #[must_use]
    pub fn get(&self, slot: Slot) -> &S {
        &self.member(slot).state
    }

    /// The state of one that is in, to be changed.
    pub fn get_mut(&mut self, slot: Slot) -> &mut S {
        &mut self.member_mut(slot).state
    }

    fn member(&self, slot: Slot) -> &Member<S> {
        self.members[slot.0 as usize].as_ref().expect(SLOT_IS_IN)
    }

    fn member_mut(&mut self, slot: Slot) -> &mut Member<S> {
        self.members[slot.0 as usize].as_mut().expect(SLOT_IS_IN)
    }

    /// Whether there is nothing to judge.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.len() == self.free.len()
    }

    /// The states of all.
    pub fn states(&self) -> impl Iterator<Item = &S> {
        self.members.iter().flatten().map(|member| &member.state)
    }

    /// Whether one fires.
    #[must_use]
    pub fn fires(&self, slot: Slot) -> bool {
        self.member(slot).firing.is_some()
    }

    /// What fires, as published.
    pub fn firing(&self) -> impl Iterator<Item = &Anomaly> {
        self.restless.iter().filter_map(|slot| self.member(*slot).firing.as_deref())
    }

    /// Judges one in the window of this number. The verdict is only asked for if that turns anything.
    pub fn judge(&mut self, slot: Slot, number: i64, odd: bool, verdict: impl FnOnce() -> Verdict) {
        let persistence = self.persistence;
        let member = self.member_mut(slot);
        let was_restless = member.is_restless();
        let turn = member.oddities.window(number, odd, persistence, member.firing.is_some());
        if let Some(turn) = turn {
            self.turned.push(Turned { slot, turn, verdict: verdict() });
        }
        if odd && !was_restless {
            self.restless.push(slot);
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
        for n in 0..self.restless.len() {
            let slot = self.restless[n];
            if self.member(slot).oddities.latest() < number {
                self.judge(slot, number, false, || Verdict::NONE);
            }
        }
        let turned = mem::take(&mut self.turned);
        for event in &turned {
            let fired = self.member_mut(event.slot).firing.take();
            let telling = tell(self, event, fired.as_deref());
            let anomaly = match (event.turn, fired) {
                (Turn::Fires { since }, _) => {
                    let anomaly = closing.fires(since, telling);
                    self.member_mut(event.slot).firing = Some(Box::new(anomaly.clone()));
                    anomaly
                }
                (Turn::Resolves, Some(fired)) => closing.resolves(&fired, telling),
                (Turn::Resolves, None) => continue,
            };
            found.push(anomaly);
        }
        self.turned = turned;
        self.turned.clear();
        let mut restless = mem::take(&mut self.restless);
        restless.retain(|slot| self.member(*slot).is_restless());
        self.restless = restless;
    }
}

impl<S> Member<S> {
    fn is_restless(&self) -> bool {
        self.firing.is_some() || !self.oddities.none()
    }
}
