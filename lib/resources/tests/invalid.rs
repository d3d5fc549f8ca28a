//! What an API server refuses by the definitions' schemas and rules is refused in files: the same table, the same fields.

#![allow(clippy::unwrap_used, reason = "a test that fails there says so")]

use std::{collections::BTreeMap, fs};

use kinetic_resources::load;
use serde::Deserialize;
use serde_json::Value;

const TABLE: &str = include_str!("../../api/tests/invalid.yaml");

#[derive(Deserialize)]
struct Table {
    sound: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    change: BTreeMap<String, Value>,
    names: String,
    /// Wrong only as a change of what is there, which a file does not know.
    #[serde(default)]
    later: bool,
}

/// What is told of a folder with these resources.
fn told(resources: &BTreeMap<String, Value>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (kind, resource) in resources {
        let mut whole = resource.clone();
        whole["apiVersion"] = "kinetic.dev/v1alpha1".into();
        whole["kind"] = kind.as_str().into();
        fs::write(folder.path().join(format!("{kind}.yaml")), without_nulls(whole).to_string()).unwrap();
    }
    match load(&[folder.path().to_owned()]) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
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

#[test]
fn what_an_api_server_refuses_is_refused_in_files() {
    let Table { sound, cases } = serde_saphyr::from_str(TABLE).unwrap();
    assert_eq!(told(&sound), Vec::<String>::new());
    let mut missed = Vec::new();
    for Case { kind, change, names, .. } in cases.into_iter().filter(|case| !case.later) {
        let mut resources = sound.clone();
        let resource = resources.get_mut(&kind).unwrap();
        for (pointer, value) in &change {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            match resource.pointer_mut(parent).unwrap() {
                Value::Array(items) => items[field.parse::<usize>().unwrap()] = value.clone(),
                parent => parent[field] = value.clone(),
            }
        }
        let told = told(&resources);
        if !told.iter().any(|problem| problem.contains(&names)) {
            missed.push(format!("{kind} {change:?} does not name {names}: {told:#?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
