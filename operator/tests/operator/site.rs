//! An operator with an API server (in memory, or a real one) and a RabbitMQ.

use std::{fs, sync::Arc};

use kinetic_operator::{config::Config, context::Context, reconcile};
use kinetic_tests::rabbitmq::RabbitMq;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::Api;

/// The namespace of the operator's own objects.
pub const OWN: &str = "kinetic-system";

/// A configuration with one placement, `us-west`/`aws`, and the region `test`, which a vhost of a test of its own begins with.
pub fn config(admin: &str, region: &str) -> (Config, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("broker")).unwrap();
    fs::write(folder.path().join("broker/username"), "guest\n").unwrap();
    fs::write(folder.path().join("broker/password"), "guest").unwrap();
    let path = folder.path().join("operator.yaml");
    let text = json!({
        "namespace": OWN,
        "image": "kinetic:test",
        "placements": [{
            "region": region, "provider": "aws", "host": "door.example",
            "brokers": [{"name": "aws-1", "nodes": ["rabbit.example:5672"], "admin": {"url": admin, "credentials": "broker"}}],
        }],
    });
    fs::write(&path, text.to_string()).unwrap();
    (Config::read(&path).unwrap(), folder)
}

/// `http://127.0.0.1:PORT` of the shared broker, without user and password.
pub fn broker() -> String {
    RabbitMq::shared().admin_url().replace("guest:guest@", "")
}

/// An operator beside an API server in memory.
pub struct Site {
    pub api: Arc<Api>,
    pub context: Context,
    pub region: &'static str,
    _folder: TempDir,
}

impl Site {
    /// With the shared RabbitMQ. `region` is the test's own.
    pub fn new(region: &'static str) -> Self {
        Self::with_broker(region, &broker())
    }

    pub fn with_broker(region: &'static str, admin: &str) -> Self {
        let (config, folder) = config(admin, region);
        let api = Api::new();
        let context = Context::new(api.client(), config).unwrap();
        Self { api, context, region, _folder: folder }
    }

    pub fn customer(&self, namespace: &str, spec: &Value) {
        let mut whole =
            json!({"region": self.region, "provider": "aws", "clients": [{"name": "web", "profile": "web"}]});
        whole.as_object_mut().unwrap().extend(spec.as_object().cloned().unwrap());
        let object =
            json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": "Customer", "metadata": {}, "spec": whole});
        self.api.put(&path(namespace, "customers", "acme"), object);
    }

    pub fn topology(&self, namespace: &str, spec: &Value) {
        let mut whole = json!({"customer": "acme", "sources": [{"name": "pages", "type": "statsd", "profiles": ["web"]}]});
        whole.as_object_mut().unwrap().extend(spec.as_object().cloned().unwrap());
        let object =
            json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": "Topology", "metadata": {}, "spec": whole});
        self.api.put(&path(namespace, "topologies", "web"), object);
    }

    /// Reconciles what is there once; `None` if there is nothing.
    pub async fn reconcile_customer(&self, namespace: &str) -> Option<Result<(), String>> {
        let object = self.api.get(&path(namespace, "customers", "acme"))?;
        let customer = serde_json::from_value(object).unwrap();
        Some(
            reconcile::customer::reconcile(&customer, &self.context)
                .await
                .map(drop)
                .map_err(|error| error.to_string()),
        )
    }

    pub async fn reconcile_topology(&self, namespace: &str) -> Option<Result<(), String>> {
        let object = self.api.get(&path(namespace, "topologies", "web"))?;
        let topology = serde_json::from_value(object).unwrap();
        Some(
            reconcile::topology::reconcile(&topology, &self.context)
                .await
                .map(drop)
                .map_err(|error| error.to_string()),
        )
    }

    /// The reason of `Ready`.
    pub fn ready(&self, namespace: &str, plural: &str) -> String {
        let name = if plural == "customers" { "acme" } else { "web" };
        let object = self.api.get(&path(namespace, plural, name)).unwrap();
        object["status"]["conditions"][0]["reason"].as_str().unwrap_or("nothing").to_owned()
    }

    /// What the broker lists of a kind whose `vhost` (or, of users, whose name) is the test's own.
    pub fn broker(&self, kind: &str) -> Vec<String> {
        let listed: Vec<Value> =
            serde_json::from_str(&RabbitMq::shared().http("GET", &format!("/api/{kind}"), "")).unwrap();
        let own = format!("{}.aws.acme", self.region);
        let name = |item: &Value| item["name"].as_str().unwrap_or_default().to_owned();
        let is_own = |item: &&Value| item["vhost"] == *own || name(item).starts_with(&own);
        listed.iter().filter(is_own).map(name).collect()
    }
}

pub fn path(namespace: &str, plural: &str, name: &str) -> String {
    format!("/apis/kinetic.dev/v1alpha1/namespaces/{namespace}/{plural}/{name}")
}

pub fn core(namespace: &str, plural: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/{plural}/{name}")
}
