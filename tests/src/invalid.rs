//! The table of what schemas and rules refuse: an API server and files are held against the same.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The resources that are changed, and how.
#[derive(Debug, Deserialize)]
pub struct Table {
    /// By their kinds; nothing is wrong with them.
    pub sound: BTreeMap<String, Value>,
    /// What is wrong once it is changed.
    pub cases: Vec<Case>,
}

/// A change that is refused.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// Of which resource.
    pub kind: String,
    /// Values by JSON pointers (RFC 6901); null takes a field out.
    pub change: BTreeMap<String, Value>,
    /// What the message must name.
    pub names: String,
    /// Wrong only as a change of what is there, which a file does not know.
    #[serde(default)]
    pub later: bool,
}

impl Table {
    /// `lib/api/tests/invalid.yaml`.
    ///
    /// # Panics
    /// If it is no such table.
    #[must_use]
    pub fn read() -> Self {
        serde_saphyr::from_str(include_str!("../../lib/api/tests/invalid.yaml")).expect("a table of cases")
    }

    /// The resource of a case, changed.
    ///
    /// # Panics
    /// If there is none of this kind, or a pointer leads nowhere.
    #[must_use]
    pub fn changed(&self, case: &Case) -> Value {
        let mut resource = self.sound[&case.kind].clone();
        for (pointer, value) in &case.change {
            let (parent, field) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
            let parent = resource.pointer_mut(parent).unwrap_or_else(|| panic!("{parent} leads nowhere"));
            match parent {
                Value::Array(items) => {
                    items[field.parse::<usize>().expect("a list has numbers")] = value.clone();
                }
                parent => parent[field] = value.clone(),
            }
        }
        without_nulls(resource)
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            kept.map(|(field, value)| (field, without_nulls(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
