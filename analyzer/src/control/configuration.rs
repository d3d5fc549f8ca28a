//! The keys of a plan with their values, and a plan with other values.

use std::collections::BTreeMap;

use kinetic_api::{
    control::{Refusal, Values},
    plan::{Problem, TopologyPlan},
};
use kinetic_resources::{Kind, check_field};
use serde_json::Value as Json;

use super::{
    part::{Field, Part},
    refusal,
};

/// The configuration object of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration(BTreeMap<String, Entry>);

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) part: Part,
    field: Field,
}

impl Configuration {
    /// The parameters of a plan that can change in place.
    #[must_use]
    pub fn of(plan: &TopologyPlan) -> Self {
        let mut entries = BTreeMap::new();
        for part in Part::all(plan) {
            for field in part.fields(plan) {
                let key = format!("{}.{}", part.name(plan), Field::short(&field.path));
                entries.insert(key, Entry { part, field });
            }
        }
        Self(entries)
    }

    /// A key's value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.get(key).map(|entry| &entry.field.value)
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.keys().map(String::as_str)
    }

    /// The keys with their values.
    #[must_use]
    pub fn values(&self) -> Values {
        self.0.iter().map(|(key, entry)| (key.clone(), entry.field.value.clone())).collect()
    }

    pub(super) fn part(&self, key: &str) -> Option<Part> {
        self.0.get(key).map(|entry| entry.part)
    }

    /// What is wrong with these keys, or their values, one by one.
    pub(super) fn refusals(&self, plan: &TopologyPlan, values: &Values) -> Vec<Refusal> {
        let refused = values.iter().filter_map(|(key, value)| {
            let Some(Entry { part, field }) = self.0.get(key) else {
                return Some(refusal::unknown(key, plan, self.keys()));
            };
            let Problem { message, fix, .. } =
                check_field(Kind::Topology, &part.schema_path(&field.path), value).err()?;
            Some(Refusal { key: Some(key.clone()), reason: format!("{message}; {fix}") })
        });
        refused.collect()
    }
}

/// A plan with other values for some of its keys.
///
/// # Errors
/// Everything that is wrong with them; keys that are fine one by one may be refused together.
pub fn apply(plan: &TopologyPlan, values: &Values) -> Result<TopologyPlan, Vec<Refusal>> {
    let configuration = Configuration::of(plan);
    let mut refused = configuration.refusals(plan, values);
    if refused.is_empty() {
        let mut changed = plan.clone();
        for part in Part::all(plan) {
            refused.extend(set(&mut changed, &configuration, part, values).err().into_iter().flatten());
        }
        if refused.is_empty() {
            return Ok(changed);
        }
    }
    Err(refusal::bounded(refused))
}

/// Sets the keys of one part, each of them fine by itself.
pub(super) fn set(
    plan: &mut TopologyPlan,
    configuration: &Configuration,
    part: Part,
    values: &Values,
) -> Result<(), Vec<Refusal>> {
    let of_part: Vec<_> = values
        .iter()
        .filter_map(|(key, value)| {
            let entry = configuration.0.get(key).filter(|entry| entry.part == part)?;
            Some((key, entry.field.path.as_str(), value))
        })
        .collect();
    if of_part.is_empty() {
        return Ok(());
    }
    part.set(plan, of_part.iter().map(|(_, path, value)| (*path, *value))).map_err(|problems| {
        let blamed = |problem: Problem| {
            let key = of_part.iter().find(|(_, path, _)| Field::short(path) == problem.field);
            let keys = key.map_or_else(
                || of_part.iter().map(|(key, ..)| (*key).clone()).collect::<Vec<_>>(),
                |(key, ..)| vec![(*key).clone()],
            );
            let reason = format!("{}; {}", problem.message, problem.fix);
            keys.into_iter().map(move |key| Refusal { key: Some(key), reason: reason.clone() })
        };
        problems.into_iter().flat_map(blamed).collect()
    })
}
