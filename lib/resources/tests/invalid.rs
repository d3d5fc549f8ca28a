//! What an API server refuses by the definitions' schemas and rules is refused in files: the same table, the same fields.

#![allow(clippy::unwrap_used, reason = "a test that fails there says so")]

use std::{collections::BTreeMap, fs};

use kinetic_resources::load;
use kinetic_tests::invalid::Table;
use serde_json::Value;

/// What is told of a folder with these resources.
fn told(resources: &BTreeMap<String, Value>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (kind, resource) in resources {
        let mut whole = resource.clone();
        whole["apiVersion"] = "kinetic.dev/v1alpha1".into();
        whole["kind"] = kind.as_str().into();
        fs::write(folder.path().join(format!("{kind}.yaml")), whole.to_string()).unwrap();
    }
    match load(&[folder.path().to_owned()]) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn what_an_api_server_refuses_is_refused_in_files() {
    let table = Table::read();
    assert_eq!(told(&table.sound), Vec::<String>::new());
    let mut missed = Vec::new();
    for case in table.cases.iter().filter(|case| !case.later) {
        let mut resources = table.sound.clone();
        resources.insert(case.kind.clone(), table.changed(case));
        let told = told(&resources);
        if !told.iter().any(|problem| problem.contains(&case.names)) {
            missed.push(format!("{case:?}: {told:#?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
