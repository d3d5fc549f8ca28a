//! What the definitions' schemas and rules refuse: the table that files are held against too.

use std::collections::BTreeMap;

use kinetic_api::resources::{Alert, Customer, Topology};
use kube::api::DeleteParams;
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::Cluster;

const TABLE: &str = include_str!("../../../lib/api/tests/invalid.yaml");

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
    #[serde(default)]
    later: bool,
}

/// Each is refused, with the field that the message must name.
pub async fn invalid_resources_are_refused(cluster: &Cluster) {
    let Table { sound, cases } = serde_saphyr::from_str(TABLE).unwrap();
    let name = |resource: &Value| resource["metadata"]["name"].as_str().unwrap().to_owned();
    for (kind, resource) in &sound {
        cluster.apply(kind, &name(resource), resource["spec"].clone()).await.unwrap();
    }
    assert!(cases.len() >= 60, "{}", cases.len());
    for Case { kind, change, names, later } in cases {
        let mut resource = sound[&kind].clone();
        if !later {
            resource["metadata"]["name"] = "new".into();
        }
        for (pointer, value) in &change {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            let parent = resource.pointer_mut(parent).unwrap();
            match parent {
                Value::Array(items) => items[field.parse::<usize>().unwrap()] = value.clone(),
                parent => parent[field] = value.clone(),
            }
        }
        let applied = cluster.apply(&kind, &name(&resource), without_nulls(resource["spec"].clone())).await;
        let error = applied.map(|()| panic!("taken: {kind} {change:?}")).unwrap_err();
        let kube::Error::Api(status) = error else { panic!("{error}") };
        assert!(
            status.message.contains(&names),
            "{kind} {change:?}: the message does not name {names}: {}",
            status.message
        );
    }
    for (kind, resource) in &sound {
        let (name, parameters) = (name(resource), DeleteParams::default());
        match kind.as_str() {
            "Customer" => drop(cluster.api::<Customer>().delete(&name, &parameters).await.unwrap()),
            "Topology" => drop(cluster.api::<Topology>().delete(&name, &parameters).await.unwrap()),
            _ => drop(cluster.api::<Alert>().delete(&name, &parameters).await.unwrap()),
        }
    }
}

/// What a change takes out.
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
