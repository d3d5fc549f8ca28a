//! When people are told of a group of incidents: a plain state with absolute deadlines, moved by its methods alone.
//!
//! The vocabulary is Alertmanager's: the first message about a group comes `groupWait` after its first incident; one about a
//! change at least `groupInterval` after the last message and `groupWait` after the change; a group that still fires is told of
//! again `repeatInterval` after the last message. Every incident is told of at least once, also when it is over before
//! `groupWait`: one message then says both.

use std::fmt;

use kinetic_api::plan::AlertPlan;
use serde::{Deserialize, Serialize};

/// The incidents that one group holds at most; more are history only, counted in [`Group::overflow`].
pub const MAX_MEMBERS: usize = 1_000;

/// The least time between repeats in milliseconds, whatever the Alert says: a repeat must not follow itself at once.
const LEAST_REPEAT_MS: i64 = 1_000;

/// An Alert's times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a change waits for more.
    pub wait_ms: i64,
    /// How long at least between messages.
    pub interval_ms: i64,
    /// How long until a group that still fires is told of again.
    pub repeat_ms: i64,
    /// Whether the end of an incident is a change.
    pub send_resolved: bool,
}

impl Timing {
    /// For a group whose Alert is gone: nothing comes due, nothing is forgotten.
    pub(crate) const DORMANT: Self =
        Self { wait_ms: i64::MAX, interval_ms: i64::MAX, repeat_ms: i64::MAX, send_resolved: true };
}

impl From<&AlertPlan> for Timing {
    fn from(plan: &AlertPlan) -> Self {
        Self {
            wait_ms: plan.group_wait_ms,
            interval_ms: plan.group_interval_ms,
            repeat_ms: plan.repeat_interval_ms,
            send_resolved: plan.send_resolved,
        }
    }
}

/// A group of incidents of one Alert, from its first incident until the last one is over and told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// How many messages there were about it.
    pub sequence: u32,
    /// When the last one was decided.
    pub last_ms: Option<i64>,
    /// When the oldest change happened that no message tells of yet.
    pub changed_ms: Option<i64>,
    /// How many incidents found no room.
    pub overflow: u32,
    /// Its incidents, oldest first.
    pub members: Vec<Member>,
}

/// An incident in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The incident's id.
    pub incident: String,
    /// Whether it fires still.
    pub open: bool,
    /// Whether people know of it.
    pub told: bool,
}

/// Why people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// It is the first message about the group.
    FirstNotification,
    /// Incidents have joined the group.
    NewIncidents,
    /// Incidents are over.
    Resolved,
    /// Nothing is new, but it fires still.
    Repeat,
}

impl Reason {
    /// As history, logs and metrics spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstNotification => "FirstNotification",
            Self::NewIncidents => "NewIncidents",
            Self::Resolved => "Resolved",
            Self::Repeat => "Repeat",
        }
    }

    /// The inverse of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::FirstNotification, Self::NewIncidents, Self::Resolved, Self::Repeat]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a message says of one incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// It has begun.
    New,
    /// It fires still; people know of it.
    Ongoing,
    /// It is over; people know that it began.
    Resolved,
    /// It has begun and is over: the first that people hear of it.
    Passed,
}

impl Phase {
    /// Whether it fires at the time of the message.
    #[must_use]
    pub const fn fires(self) -> bool {
        matches!(self, Self::New | Self::Ongoing)
    }
}

/// The decision to tell people of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Why.
    pub reason: Reason,
    /// The message's number within the group, from 1.
    pub sequence: u32,
    /// When it was decided, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The incidents and what is said of them, in the group's order.
    pub entries: Vec<(String, Phase)>,
}

impl Group {
    /// Adds an incident that began. `false`: the group is full, the incident was only counted.
    pub fn add(&mut self, incident: &str, now_ms: i64) -> bool {
        if self.members.len() >= MAX_MEMBERS {
            self.overflow = self.overflow.saturating_add(1);
            return false;
        }
        self.members.push(Member { incident: incident.to_owned(), open: true, told: false });
        self.changed_ms.get_or_insert(now_ms);
        true
    }

    /// Ends an incident; one that the group does not hold changes nothing.
    pub fn resolve(&mut self, incident: &str, now_ms: i64, timing: &Timing) {
        let Some(at) = self.members.iter().position(|member| member.incident == incident && member.open)
        else {
            return;
        };
        if self.members[at].told && !timing.send_resolved {
            self.members.remove(at);
        } else {
            self.members[at].open = false;
            self.changed_ms.get_or_insert(now_ms);
        }
    }

    /// When the next message is due; `None` where there is nothing more to say.
    #[must_use]
    pub fn deadline(&self, timing: &Timing) -> Option<i64> {
        [self.change_deadline(timing), self.repeat_deadline(timing)].into_iter().flatten().min()
    }

    /// When the changes that nobody was told of yet are due.
    #[must_use]
    pub fn change_deadline(&self, timing: &Timing) -> Option<i64> {
        let waited = self.changed_ms?.saturating_add(timing.wait_ms);
        Some(self.last_ms.map_or(waited, |last| waited.max(last.saturating_add(timing.interval_ms))))
    }

    fn repeat_deadline(&self, timing: &Timing) -> Option<i64> {
        let fires = self.members.iter().any(|member| member.open && member.told);
        let repeat = timing.repeat_ms.max(timing.interval_ms).max(LEAST_REPEAT_MS);
        self.last_ms.filter(|_| fires).map(|last| last.saturating_add(repeat))
    }

    /// Decides at `now_ms` whether to tell people, and remembers that they were told.
    pub fn fire(&mut self, now_ms: i64, timing: &Timing) -> Option<Decision> {
        self.deadline(timing).filter(|&deadline| deadline <= now_ms)?;
        let entries: Vec<_> = self.members.iter().map(|m| (m.incident.clone(), m.phase())).collect();
        let has = |phases: &[Phase]| entries.iter().any(|(_, phase)| phases.contains(phase));
        let reason = if self.sequence == 0 {
            Reason::FirstNotification
        } else if has(&[Phase::New, Phase::Passed]) {
            Reason::NewIncidents
        } else if has(&[Phase::Resolved]) {
            Reason::Resolved
        } else {
            Reason::Repeat
        };
        let at_ms = self.last_ms.map_or(now_ms, |last| last.max(now_ms));
        self.sequence += 1;
        self.last_ms = Some(at_ms);
        self.changed_ms = None;
        self.members.retain_mut(|member| {
            member.told = true;
            member.open
        });
        Some(Decision { reason, sequence: self.sequence, at_ms, entries })
    }

    /// Whether it holds nothing any more: the next incident of its labels begins another group.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.members.is_empty()
    }
}

impl Member {
    const fn phase(&self) -> Phase {
        match (self.open, self.told) {
            (true, false) => Phase::New,
            (true, true) => Phase::Ongoing,
            (false, true) => Phase::Resolved,
            (false, false) => Phase::Passed,
        }
    }
}

#[cfg(test)]
mod tests;
