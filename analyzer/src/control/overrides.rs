//! The overrides that people put over a plan, from change to change.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kinetic_api::{
    control::{Change, Command, Refusal, Values},
    plan::TopologyPlan,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{
    configuration::{Configuration, apply, set},
    refusal,
};

/// Values that hold instead of the Topology's, by key, until they are taken back or the Topology changes the key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Overrides(BTreeMap<String, Override>);

/// One key's override.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// What holds.
    pub value: Json,
    /// What the Topology had when it was made.
    pub topology: Json,
    /// When it was made.
    pub at: Timestamp,
    /// By whom, as the asker says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a command comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The overrides from now on.
    pub overrides: Overrides,
    /// The plan from now on.
    pub plan: TopologyPlan,
    /// What has changed by that.
    pub changes: Vec<Change>,
}

/// What an edited Topology leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Followed {
    /// The overrides from now on.
    pub overrides: Overrides,
    /// The plan from now on.
    pub plan: TopologyPlan,
    /// Overrides that hold no longer.
    pub ended: Vec<Ended>,
}

/// An override that an edit of the Topology has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The key.
    pub key: String,
    /// Why.
    pub reason: String,
}

impl Overrides {
    /// How many keys are overridden.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The overridden keys, with the values that the Topology has.
    #[must_use]
    pub fn topology(&self) -> Values {
        self.0.iter().map(|(key, entry)| (key.clone(), entry.topology.clone())).collect()
    }

    /// Carries a command out on the Topology's plan: all of it, or nothing.
    ///
    /// # Errors
    /// Every key that is refused, with the reason.
    pub fn command(
        &self,
        topology: &TopologyPlan,
        command: &Command,
        by: Option<&str>,
        at: Timestamp,
    ) -> Result<Decided, Vec<Refusal>> {
        let mut wanted = self.values();
        match command {
            Command::Read => {}
            Command::Update(values) => wanted.extend(values.clone()),
            Command::Delete(keys) if keys.is_empty() => wanted.clear(),
            Command::Delete(keys) => {
                let known = Configuration::of(topology);
                let unknown = keys.iter().filter(|key| known.get(key).is_none());
                let refused: Vec<_> =
                    unknown.map(|key| refusal::unknown(key, topology, known.keys())).collect();
                if !refused.is_empty() {
                    return Err(refusal::bounded(refused));
                }
                wanted.retain(|key, _| !keys.contains(key));
            }
        }
        let before = apply(topology, &self.values())?;
        let plan = apply(topology, &wanted)?;
        if let Command::Update(values) = command {
            wanted = needed(topology, &plan, wanted, values);
        }
        let overrides = self.with(topology, &plan, &wanted, by, at);
        let changes = changes(&before, &plan, &overrides);
        Ok(Decided { overrides, plan, changes })
    }

    /// What holds when the Topology's plan is this one: an override ends with its key, with another value of the Topology for it, and
    /// where it no longer goes together with the rest.
    #[must_use]
    pub fn follow(&self, topology: &TopologyPlan) -> Followed {
        let configuration = Configuration::of(topology);
        let mut kept = self.clone();
        let mut ended = Vec::new();
        kept.0.retain(|key, entry| {
            let reason = match configuration.get(key) {
                None => "the Topology has no such key any more",
                Some(value) if !same(value, &entry.topology) => "the Topology has another value for it",
                Some(_) => return true,
            };
            ended.push(Ended { key: key.clone(), reason: reason.into() });
            false
        });
        loop {
            match apply(topology, &kept.values()) {
                Ok(plan) => return Followed { overrides: kept, plan, ended },
                Err(refused) => {
                    let before = kept.len();
                    for Refusal { key, reason } in refused {
                        if let Some(key) = key
                            && kept.0.remove(&key).is_some()
                        {
                            ended.push(Ended { key, reason });
                        }
                    }
                    if kept.len() == before {
                        kept.0.clear();
                    }
                }
            }
        }
    }

    /// The overridden keys with what holds.
    #[must_use]
    pub fn values(&self) -> Values {
        self.0.iter().map(|(key, entry)| (key.clone(), entry.value.clone())).collect()
    }

    /// The overrides of the wanted keys, as the plan spells their values; those that stay as they are stay their makers'.
    fn with(
        &self,
        topology: &TopologyPlan,
        plan: &TopologyPlan,
        wanted: &Values,
        by: Option<&str>,
        at: Timestamp,
    ) -> Self {
        let (before, after) = (Configuration::of(topology), Configuration::of(plan));
        let entries = wanted.keys().filter_map(|key| {
            let (value, topology) = (after.get(key)?.clone(), before.get(key)?.clone());
            let entry = match self.0.get(key) {
                Some(entry) if entry.value == value => entry.clone(),
                _ => Override { value, topology, at, by: by.map(str::to_owned) },
            };
            Some((key.clone(), entry))
        });
        Self(entries.collect())
    }
}

/// The wanted values without those of the asked that change nothing: what is as the Topology has it is no override.
fn needed(topology: &TopologyPlan, plan: &TopologyPlan, mut wanted: Values, asked: &Values) -> Values {
    let configuration = Configuration::of(topology);
    for key in asked.keys() {
        let (Some(part), Some(value)) = (configuration.part(key), wanted.remove(key)) else { continue };
        let mut without = topology.clone();
        let same = set(&mut without, &configuration, part, &wanted).is_ok() && part.is_same(&without, plan);
        if !same {
            wanted.insert(key.clone(), value);
        }
    }
    wanted
}

/// What is different from plan to plan.
#[must_use]
pub fn changes(before: &TopologyPlan, after: &TopologyPlan, overrides: &Overrides) -> Vec<Change> {
    let (before, after) = (Configuration::of(before), Configuration::of(after));
    let gone = before.keys().filter(|key| after.get(key).is_none());
    let mut keys: Vec<&str> = after.keys().chain(gone).collect();
    keys.sort_unstable();
    keys.into_iter()
        .filter(|key| before.get(key) != after.get(key))
        .map(|key| Change {
            key: key.to_owned(),
            old: before.get(key).cloned(),
            new: after.get(key).cloned(),
            overridden: overrides.0.contains_key(key),
        })
        .collect()
}

/// Whether the Topology still has the value that it had. What was written to a file and read again may differ in its last bit.
fn same(a: &Json, b: &Json) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= 4.0 * f64::EPSILON * a.abs().max(b.abs()),
        _ => a == b,
    }
}
