//! Resources followed on a real API server, where there is one.

#![allow(clippy::unwrap_used, reason = "a test that fails there says so")]

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kinetic_api::resources::{Alert, Customer, Topology, definitions};
use kinetic_resources::{
    Kind, Reload, Snapshot,
    cluster::{self, Scope},
};
use kinetic_tests::kubernetes::{self, Kubernetes};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

/// Generous: a loaded machine is slow, a wrong watch stays wrong.
const PATIENCE: Duration = Duration::from_mins(1);

struct Cluster {
    client: Client,
    kubernetes: Kubernetes,
}

impl Cluster {
    /// Without the definitions: a watch that begins before them must find its way.
    async fn start() -> Self {
        // Another test of this process may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubernetes = Kubernetes::start();
        let read = Kubeconfig::read_from(kubernetes.kubeconfig()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
        Self { client: Client::try_from(config).unwrap(), kubernetes }
    }

    async fn define(&self) {
        for name in ["shops", "others"] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            applied(&Api::<Namespace>::all(self.client.clone()), name, &namespace).await;
        }
        for mut definition in definitions() {
            // Only a server that does not check lets through what a reader must be ready for.
            for version in &mut definition.spec.versions {
                version.schema = Some(
                    serde_json::from_value(json!({"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true}}))
                    .unwrap(),
                );
            }
            let name = definition.metadata.name.clone().unwrap();
            let definition = serde_json::to_value(&definition).unwrap();
            applied(&Api::<CustomResourceDefinition>::all(self.client.clone()), &name, &definition).await;
        }
    }

    fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn apply<K>(&self, namespace: &str, kind: &str, name: &str, spec: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let object = json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        applied(&self.api::<K>(namespace), name, &object).await;
    }

    async fn assign(&self, namespace: &str, name: &str, broker: &str) {
        let status = Patch::Merge(json!({"status": {"broker": broker}}));
        self.api::<Customer>(namespace).patch_status(name, &PatchParams::default(), &status).await.unwrap();
    }
}

/// Applies as soon as the API server lets it: what was defined a moment ago may not be served yet.
async fn applied<K>(api: &Api<K>, name: &str, object: &Value)
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    timeout(PATIENCE, async {
        let parameters = PatchParams::apply("tests");
        while let Err(error) = api.patch(name, &parameters, &Patch::Apply(object)).await {
            eprintln!("{name}: {error}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await
    .unwrap();
}

fn acme() -> Value {
    json!({"region": "us-west", "provider": "aws", "clients": [{"name": "web", "profile": "web"}]})
}

fn web() -> Value {
    json!({"customer": "acme", "sources": [{"name": "pages", "type": "statsd", "profiles": ["web"]}], "analytics": []})
}

struct Watched {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    reloads: mpsc::Receiver<Reload>,
}

impl Watched {
    fn start(cluster: &Cluster, namespaces: &[&str], kinds: &[Kind]) -> Self {
        let scope = Scope {
            namespaces: namespaces.iter().map(|&namespace| namespace.to_owned()).collect(),
            kinds: kinds.to_vec(),
        };
        let (snapshots, reloads) = cluster::watch(&cluster.client, &scope);
        Self { snapshots, reloads }
    }

    async fn until(&mut self, names: &[&str]) {
        let wanted = |snapshot: &Arc<Snapshot>| {
            let mut ids = snapshot.ids().map(ToString::to_string);
            names.iter().all(|name| ids.next().as_deref() == Some(*name)) && ids.next().is_none()
        };
        let found = timeout(PATIENCE, self.snapshots.wait_for(wanted)).await.map(|found| found.map(drop));
        found.unwrap_or_else(|_| panic!("not {names:?}: {:?}", self.snapshots.borrow())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_followed_on_an_api_server() {
    if let Some(reason) = kubernetes::missing() {
        kinetic_tests::skip(&reason);
        return;
    }
    let cluster = Cluster::start().await;
    let mut all = Watched::start(&cluster, &[], &Kind::ALL);
    let mut shops = Watched::start(&cluster, &["shops"], &[Kind::Customer, Kind::Topology]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        !all.snapshots.has_changed().unwrap(),
        "before the first list nothing is known, not even that there is nothing"
    );
    cluster.define().await;
    timeout(PATIENCE, all.snapshots.changed()).await.expect("an empty cluster is news, too").unwrap();

    // The Alert first: each waits for what it refers to.
    let alert =
        json!({"topology": "web", "receivers": [{"name": "ops", "email": {"to": ["ops@acme.example"]}}]});
    cluster.apply::<Alert>("shops", "Alert", "checkout", alert).await;
    cluster.apply::<Topology>("shops", "Topology", "web", web()).await;
    cluster.apply::<Customer>("shops", "Customer", "acme", acme()).await;
    cluster.apply::<Customer>("others", "Customer", "globex", acme()).await;
    cluster.assign("others", "globex", "aws-1").await;
    all.until(&["Customer others/globex"]).await;
    cluster.assign("shops", "acme", "aws-2").await;
    all.until(&[
        "Customer others/globex",
        "Customer shops/acme",
        "Topology shops/web",
        "Alert shops/checkout",
    ])
    .await;
    shops.until(&["Customer shops/acme", "Topology shops/web"]).await;
    let broker = |watched: &Watched| {
        let snapshot = watched.snapshots.borrow();
        snapshot.customers.last().unwrap().resource.status.clone().unwrap().broker
    };
    assert_eq!(broker(&shops).as_deref(), Some("aws-2"));

    // What another version wrote, and what does not fit: the rest goes on.
    let odd = json!({"metadata": {"name": "odd"}, "apiVersion": "kinetic.dev/v1alpha1", "kind": "Topology", "spec": {"customer": 5}});
    let unread: Api<kube::core::DynamicObject> = Api::namespaced_with(
        cluster.client.clone(),
        "shops",
        &kube::core::ApiResource::erase::<Topology>(&()),
    );
    unread.patch("odd", &PatchParams::apply("tests"), &Patch::Apply(&odd)).await.unwrap();
    let mut stray = web();
    stray["sources"][0]["profiles"] = json!(["nobody"]);
    cluster.apply::<Topology>("shops", "Topology", "stray", stray).await;
    cluster.assign("shops", "acme", "aws-3").await;
    let moved = shops.snapshots.wait_for(|snapshot| {
        snapshot.customers[0].resource.status.as_ref().unwrap().broker.as_deref() == Some("aws-3")
    });
    timeout(PATIENCE, moved).await.unwrap().unwrap();
    shops.until(&["Customer shops/acme", "Topology shops/web"]).await;

    cluster.api::<Topology>("shops").delete("web", &DeleteParams::default()).await.unwrap();
    all.until(&["Customer others/globex", "Customer shops/acme"]).await;
    shops.until(&["Customer shops/acme"]).await;
    let mut told = Vec::new();
    while let Ok(Reload::Applied { changes }) = all.reloads.try_recv() {
        told.push(changes.to_string());
    }
    assert_eq!(told.first().map(String::as_str), Some("nothing"));
    assert!(told.contains(&"removed Topology shops/web, Alert shops/checkout".to_owned()), "{told:?}");

    // The API server goes: what it said last holds.
    drop(cluster.kubernetes);
    tokio::time::sleep(Duration::from_secs(2)).await;
    all.until(&["Customer others/globex", "Customer shops/acme"]).await;
}
