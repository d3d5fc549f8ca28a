//! What an analyzer and its sidecar run by. A change reaches running pods: nothing of it restarts one.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kinetic_api::resources::{Customer, Topology, topology::Analyzer};
use serde_json::{Value, json};

use super::{labels, pod::TopologyOf};
use crate::config::AMQPS;

/// The component that a Topology's objects are labelled with.
pub const COMPONENT: &str = "analyzer";
/// Where AMQP is plain, within a pod.
const LOCAL_AMQP: &str = "127.0.0.1:5672";
/// Where a sidecar is asked whether it is well.
pub const SIDECAR_ADMIN: u16 = 8184;
/// Where an analyzer is.
pub const ANALYZER_ADMIN: u16 = 8182;

/// What a Topology's objects are called.
#[must_use]
pub fn name(topology: &str) -> String {
    format!("{topology}-analyzer")
}

/// The ConfigMap: the Topology, its Customer as far as an analyzer must know it, and both containers' configuration.
#[must_use]
pub fn config_map(of: &TopologyOf) -> ConfigMap {
    let analyzer = json!({
        "amqp": format!("amqp://{LOCAL_AMQP}"),
        "declare": false,
        "files": ["customer.yaml", "topology.yaml"],
        "data": "/var/lib/kinetic",
        "activeSince": "active-since.json",
        "topology": of.name,
        "admin": format!("0.0.0.0:{ANALYZER_ADMIN}"),
    });
    let sidecar = json!({
        "upstream": {
            "address": format!("{}:{AMQPS}", of.upstream),
            "vhost": of.vhost,
            "cert": "/etc/kinetic/tls/tls.crt",
            "key": "/etc/kinetic/tls/tls.key",
            "ca": "/etc/kinetic/tls/ca.crt",
        },
        "amqp": LOCAL_AMQP,
        "statsd": "off",
        // It has no statsd to label, and its certificate is no client's to take a label from.
        "profile": COMPONENT,
        "admin": format!("0.0.0.0:{SIDECAR_ADMIN}"),
    });
    let files = [
        ("analyzer.yaml", analyzer),
        ("sidecar.yaml", sidecar),
        ("customer.yaml", customer(&of.customer)),
        ("topology.yaml", topology(&of.topology)),
        ("active-since.json", json!(of.active_since)),
    ];
    ConfigMap {
        metadata: labels::owned(name(&of.name), COMPONENT, &of.name, &of.owner),
        data: Some(files.map(|(file, value)| (file.to_owned(), yaml(&value))).into()),
        ..ConfigMap::default()
    }
}

/// JSON is YAML; this much of it is laid out for people.
pub(super) fn yaml(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// No more than what a Topology is checked against: neither contacts nor revocations nor keys.
fn customer(customer: &Customer) -> Value {
    let spec = &customer.spec;
    let clients: Vec<_> =
        spec.clients.iter().map(|client| json!({"name": client.name, "profile": client.profile})).collect();
    json!({
        "apiVersion": "kinetic.dev/v1alpha1",
        "kind": "Customer",
        "metadata": {"name": customer.metadata.name, "namespace": customer.metadata.namespace},
        "spec": {
            "region": spec.region,
            "provider": spec.provider,
            "limits": spec.limits,
            "clients": clients,
        },
    })
}

/// No more than what an analyzer does: where it runs and on what is no concern of its own.
fn topology(topology: &Topology) -> Value {
    let mut spec = topology.spec.clone();
    spec.analyzer = Analyzer { partitions: spec.analyzer.partitions, ..Analyzer::default() };
    json!({
        "apiVersion": "kinetic.dev/v1alpha1",
        "kind": "Topology",
        "metadata": {"name": topology.metadata.name, "namespace": topology.metadata.namespace},
        "spec": without_defaults(&spec),
    })
}

/// A spec as it is written, without fields that hold nothing: a schema that wants an object takes no null.
fn without_defaults<S: serde::Serialize>(spec: &S) -> Value {
    fn cut(value: Value) -> Value {
        match value {
            Value::Object(fields) => fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, cut(value)))
                .collect(),
            Value::Array(items) => items.into_iter().map(cut).collect(),
            other => other,
        }
    }
    cut(serde_json::to_value(spec).unwrap_or_default())
}

/// A hash of what pods have mounted: they are annotated with it, which makes the kubelet look at once.
#[must_use]
pub fn fingerprint(data: &BTreeMap<String, String>) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for (file, text) in data {
        hash.update(file.as_bytes());
        hash.update([0]);
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..16])
}
