//! A real API server and a real RabbitMQ, and operators that run against them.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kinetic_api::resources::{Alert, Customer, Topology, condition::Condition, definitions};
use kinetic_operator::{
    client::{Patient, client},
    config::Config,
    metrics::Metrics,
    run::{Operator, RunError},
};
use kinetic_tests::kubernetes::{Kubernetes, User};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams, PostParams},
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    faults::Faults,
    site::{OWN, broker, config},
};

/// Generous: a loaded machine is slow, a wrong operator stays wrong.
pub const PATIENCE: Duration = Duration::from_mins(1);

pub struct Cluster {
    pub client: Client,
    /// What the operator comes with.
    pub its_client: Client,
    pub kubernetes: Kubernetes,
}

impl Cluster {
    pub async fn start() -> Self {
        let kubernetes = Kubernetes::start();
        let client = connect(&kubernetes.kubeconfig()).await;
        let its_client = connect(&kubernetes.kubeconfig_of(User::Operator)).await;
        for name in [OWN, "shops"] {
            let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
            made(&client, &namespace).await;
        }
        for definition in definitions() {
            made::<CustomResourceDefinition>(&client, &definition).await;
        }
        eventually("the definitions to be served", async || {
            Api::<Alert>::all(client.clone()).list(&ListParams::default()).await.is_ok()
        })
        .await;
        Self { client, its_client, kubernetes }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), "shops")
    }

    /// Applies a resource, as `kubectl apply --server-side` does.
    pub async fn apply(&self, kind: &str, name: &str, spec: Value) -> Result<(), kube::Error> {
        self.apply_in("shops", kind, name, spec).await
    }

    /// The same in this namespace.
    pub async fn apply_in(
        &self,
        namespace: &str,
        kind: &str,
        name: &str,
        spec: Value,
    ) -> Result<(), kube::Error> {
        let client = self.client.clone();
        let object = json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        let (parameters, patch) = (PatchParams::apply("tests").validation_strict(), Patch::Apply(&object));
        match kind {
            "Customer" => Api::<Customer>::namespaced(client, namespace)
                .patch(name, &parameters, &patch)
                .await
                .map(drop),
            "Topology" => Api::<Topology>::namespaced(client, namespace)
                .patch(name, &parameters, &patch)
                .await
                .map(drop),
            _ => Api::<Alert>::namespaced(client, namespace).patch(name, &parameters, &patch).await.map(drop),
        }
    }

    /// Runs an operator in the background.
    pub fn operator(
        &self,
        me: &str,
        stop: &CancellationToken,
    ) -> (JoinHandle<Result<(), RunError>>, Metrics) {
        self.operator_in("c-real", |_| (), me, stop)
    }

    /// Runs an operator over a bad way to the API server; one that has ended is started again, as the kubelet would.
    pub async fn supervised(
        kubeconfig: PathBuf,
        region: &'static str,
        faults: Faults,
        stop: CancellationToken,
    ) {
        let (config, _folder) = config(&broker(), region);
        while !stop.is_cancelled() {
            let builder = ClientBuilder::try_from(found(&kubeconfig).await).unwrap();
            let client = builder.with_layer(&faults).with_layer(&Patient).build();
            let operator =
                Operator::new(client, config.clone(), "faulty".to_owned(), Metrics::default()).unwrap();
            let ended = operator.run(stop.clone()).await;
            eprintln!("the operator has ended: {ended:?}");
        }
    }

    /// Runs an operator for a region of its own, with a configuration of its own.
    pub fn operator_in(
        &self,
        region: &str,
        change: impl FnOnce(&mut Config),
        me: &str,
        stop: &CancellationToken,
    ) -> (JoinHandle<Result<(), RunError>>, Metrics) {
        let (mut config, folder) = config(&broker(), region);
        change(&mut config);
        let metrics = Metrics::default();
        let operator =
            Operator::new(self.its_client.clone(), config, me.to_owned(), metrics.clone()).unwrap();
        drop(folder);
        (tokio::spawn(operator.run(stop.clone())), metrics)
    }
}

/// A client as a kubeconfig says.
pub async fn connect(kubeconfig: &Path) -> Client {
    client(found(kubeconfig).await).unwrap()
}

async fn found(kubeconfig: &Path) -> kube::Config {
    let read = Kubeconfig::read_from(kubeconfig).unwrap();
    kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap()
}

pub fn acme() -> Value {
    json!({"region": "c-real", "provider": "aws", "clients": [{"name": "web", "profile": "web"}], "deletionPolicy": "Delete"})
}

pub fn web() -> Value {
    json!({"customer": "acme", "sources": [{"name": "pages", "type": "statsd", "profiles": ["web"]}], "analytics": [analytic()]})
}

pub fn analytic() -> Value {
    json!({"name": "slow", "source": "pages", "match": {"metric": "page.*.time"}, "statistic": "mean", "cluster": {}})
}

pub fn checkout() -> Value {
    json!({"topology": "web", "receivers": [{"name": "ops", "email": {"to": ["ops@acme.example"]}}]})
}

pub trait Conditions: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope> {
    fn conditions(&self) -> &[Condition];
}

macro_rules! conditions {
    ($($kind:ty),*) => {$(
        impl Conditions for $kind {
            fn conditions(&self) -> &[Condition] {
                self.status.as_ref().map_or(&[], |status| &status.conditions)
            }
        }
    )*};
}

conditions!(Customer, Topology, Alert);

/// Creates an object of no namespace, as soon as the API server lets it.
pub async fn made<K>(client: &Client, object: &K)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + Clone
        + serde::Serialize
        + serde::de::DeserializeOwned
        + std::fmt::Debug,
{
    match Api::<K>::all(client.clone()).create(&PostParams::default(), object).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        other => drop(other.unwrap()),
    }
}

/// Waits until a resource's `Ready` has this reason.
pub async fn reason<K>(cluster: &Cluster, name: &str, wanted: &str)
where
    K: Conditions + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    eventually(&format!("{name} to be {wanted}"), async || {
        let object = cluster.api::<K>().get(name).await.unwrap();
        object.conditions().iter().any(|condition| condition.type_ == "Ready" && condition.reason == wanted)
    })
    .await;
}

pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
