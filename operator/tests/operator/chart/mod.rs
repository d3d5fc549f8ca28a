//! The chart: what it renders, what it refuses, and whether an API server takes it and its rights suffice.

mod monitoring;
mod pods;
mod render;
mod rights;
mod schema;
mod server;

use std::fs;

use kinetic_operator::{
    build::{redirector::deployment, stateful_set::stateful_set},
    config::Config,
    reconcile::topology::{Referred, validate},
};
use kinetic_tests::helm::{chart, helm};
use serde_json::{Value, json};

use crate::site::OWN;

/// The values files in `values/`.
const VALUES: [&str; 3] = ["trial", "all-namespaces", "everything"];

fn values(name: &str) -> String {
    format!("{}/tests/operator/chart/values/{name}.yaml", env!("CARGO_MANIFEST_DIR"))
}

/// What `helm template` says to these arguments.
fn template(args: &[&str]) -> Result<String, String> {
    let chart = chart("kinetic");
    let all = [&["template", "kinetic", chart.to_str().unwrap(), "--namespace", OWN], args].concat();
    let output = helm(&all);
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

/// The text of a values file's release.
fn rendered(name: &str) -> String {
    template(&["--values", &values(name)]).unwrap()
}

/// Its objects.
fn objects(name: &str) -> Vec<Value> {
    parsed(&rendered(name))
}

fn parsed(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.into_iter().filter(|object| !object.is_null()).collect()
}

/// The text of a file of the chart.
fn file(name: &str) -> String {
    fs::read_to_string(chart("kinetic").join(name)).unwrap()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What the operator runs by, as the chart writes it.
fn operators(objects: &[Value]) -> Config {
    let map = objects.iter().find(|object| object["data"]["operator.yaml"].is_string()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("operator.yaml");
    fs::write(&path, text(map, "/data/operator.yaml")).unwrap();
    Config::read(&path).unwrap()
}

/// The pods that the operator makes with it: of each front door, and of a Topology's analyzer.
fn made(config: &Config) -> Vec<(String, Value)> {
    let place = &config.placements[0];
    let resource = |kind: &str, spec: Value| json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": kind, "metadata": {"name": "acme", "namespace": "shops", "uid": "u"}, "spec": spec});
    let customer = resource("Customer", json!({"region": place.region, "provider": place.provider}));
    let topology =
        resource("Topology", json!({"customer": "acme", "sources": [{"name": "pages", "type": "statsd"}]}));
    let (customer, topology) =
        (serde_json::from_value(customer).unwrap(), serde_json::from_value(topology).unwrap());
    let referred = Referred { customer: Some(customer), siblings: Vec::new() };
    let of = validate(&topology, &referred, config).unwrap().0;
    let set = serde_json::to_value(stateful_set(&of, 0)).unwrap();
    let doors = config
        .placements
        .iter()
        .map(|place| serde_json::to_value(deployment(config, place, "hash")).unwrap());
    doors
        .chain([set])
        .map(|object| (text(&object, "/metadata/name").to_owned(), object["spec"]["template"].clone()))
        .collect()
}

/// Every pod that comes of them: what it comes of, and its own text.
fn pods(objects: &[Value]) -> Vec<(String, Value)> {
    let of = |object: &Value| match text(object, "/kind") {
        "Pod" => Some(object.clone()),
        "Deployment" | "StatefulSet" | "Job" => {
            let mut template = object["spec"]["template"].clone();
            // As its controller does.
            for claim in object["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
                let name = text(claim, "/metadata/name");
                let volume = json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
                template["spec"]["volumes"].as_array_mut().unwrap().push(volume);
            }
            Some(template)
        }
        _ => None,
    };
    let name = |object: &Value| format!("{} {}", text(object, "/kind"), text(object, "/metadata/name"));
    objects.iter().filter_map(|object| Some((name(object), of(object)?))).collect()
}
