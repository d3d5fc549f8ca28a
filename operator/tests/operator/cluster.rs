//! The operator as it runs, against a real API server and a real RabbitMQ.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{ConfigMap, Namespace, Secret},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kinetic_api::resources::{Alert, Customer, Topology, condition::Condition, definitions};
use kinetic_operator::{
    config::Config,
    metrics::Metrics,
    run::{Operator, RunError},
};
use kinetic_tests::{
    kubernetes::{self, Kubernetes},
    rabbitmq::RabbitMq,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::site::{OWN, broker, config};

/// Generous: a loaded machine is slow, a wrong operator stays wrong.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn on_a_real_api_server() {
    if let Some(reason) = kubernetes::missing() {
        eprintln!("skipped: {reason}");
        return;
    }
    let cluster = Cluster::start().await;
    invalid_resources_are_refused(&cluster).await;
    from_apply_to_nothing_left(&cluster).await;
    one_acts_and_another_takes_over(&cluster).await;
}

pub struct Cluster {
    pub client: Client,
    _kubernetes: Kubernetes,
}

impl Cluster {
    pub async fn start() -> Self {
        let kubernetes = Kubernetes::start();
        let read = Kubeconfig::read_from(kubernetes.kubeconfig()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
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
        Self { client, _kubernetes: kubernetes }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), "shops")
    }

    /// Applies a resource, as `kubectl apply --server-side` does.
    pub async fn apply(&self, kind: &str, name: &str, spec: Value) -> Result<(), kube::Error> {
        let object = json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        let (parameters, patch) = (PatchParams::apply("tests").validation_strict(), Patch::Apply(&object));
        match kind {
            "Customer" => self.api::<Customer>().patch(name, &parameters, &patch).await.map(drop),
            "Topology" => self.api::<Topology>().patch(name, &parameters, &patch).await.map(drop),
            _ => self.api::<Alert>().patch(name, &parameters, &patch).await.map(drop),
        }
    }

    /// Runs an operator in the background.
    fn operator(&self, me: &str, stop: &CancellationToken) -> (JoinHandle<Result<(), RunError>>, Metrics) {
        self.operator_in("c-real", |_| (), me, stop)
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
        let operator = Operator::new(self.client.clone(), config, me.to_owned(), metrics.clone()).unwrap();
        drop(folder);
        (tokio::spawn(operator.run(stop.clone())), metrics)
    }
}

fn acme() -> Value {
    json!({"region": "c-real", "provider": "aws", "clients": [{"name": "web", "profile": "web"}], "deletionPolicy": "Delete"})
}

fn web() -> Value {
    json!({"customer": "acme", "sources": [{"name": "pages", "type": "statsd", "profiles": ["web"]}], "analytics": [analytic()]})
}

fn analytic() -> Value {
    json!({"name": "slow", "source": "pages", "match": {"metric": "page.*.time"}, "statistic": "mean", "cluster": {}})
}

fn checkout() -> Value {
    json!({"topology": "web", "receivers": [{"name": "ops", "email": {"to": ["ops@acme.example"]}}]})
}

/// What the definitions' schemas and rules refuse, with the field that the message must name.
async fn invalid_resources_are_refused(cluster: &Cluster) {
    for (kind, spec) in [("Customer", acme()), ("Topology", web()), ("Alert", checkout())] {
        cluster.apply(kind, "good", spec).await.unwrap();
    }
    let with = |mut spec: Value, field: &str, value: Value| {
        *spec.pointer_mut(field).unwrap_or_else(|| panic!("{field}")) = value;
        spec
    };
    let more = |mut spec: Value, field: &str, value: Value| {
        spec[field] = value;
        spec
    };
    let in_analytic = |field: &str, value: Value| with(web(), "/analytics/0", more(analytic(), field, value));
    let in_source = |field: &str, value: Value| {
        with(web(), "/sources/0", more(json!({"name": "pages", "type": "statsd"}), field, value))
    };
    let hook = |webhook: Value| with(checkout(), "/receivers/0", json!({"name": "hook", "webhook": webhook}));
    let cases = [
        ("Customer", "good", with(acme(), "/region", json!("elsewhere")), "region"),
        ("Customer", "good", with(acme(), "/provider", json!("gcp")), "provider"),
        ("Customer", "new", with(acme(), "/region", json!("US West")), "region"),
        ("Customer", "new", more(acme(), "limits", json!({"connections": 0})), "connections"),
        ("Customer", "new", more(acme(), "limits", json!({"retention": "much"})), "retention"),
        ("Customer", "new", more(acme(), "deletionPolicy", json!("Keep")), "deletionPolicy"),
        ("Customer", "new", more(acme(), "contact", json!([])), "contact"),
        ("Customer", "new", with(acme(), "/clients/0/name", json!("-web")), "name"),
        ("Customer", "new", with(acme(), "/clients/0", json!({"name": "web"})), "profile"),
        (
            "Customer",
            "new",
            with(acme(), "/clients", json!([{"name": "a", "profile": "a"}, {"name": "a", "profile": "b"}])),
            "clients",
        ),
        ("Customer", "dotted.name", acme(), "metadata.name"),
        ("Customer", "a-name-of-more-than-forty-characters-is-too-long", acme(), "metadata.name"),
        ("Topology", "good", with(web(), "/customer", json!("other")), "customer"),
        ("Topology", "new", with(web(), "/sources", json!([])), "sources"),
        ("Topology", "new", in_source("type", json!("syslog")), "type"),
        ("Topology", "new", in_source("interval", json!("10 seconds")), "interval"),
        ("Topology", "new", in_source("origin", json!({"header": "a", "tag": "b"})), "origin"),
        ("Topology", "new", in_analytic("source", json!("hosts")), "source"),
        ("Topology", "new", in_analytic("statistic", json!("median")), "statistic"),
        ("Topology", "new", in_analytic("threshold", json!({"above": 1})), "analytics"),
        ("Topology", "new", in_analytic("cluster", Value::Null), "analytics"),
        ("Topology", "new", in_analytic("cluster", json!({"deviation": 0})), "deviation"),
        ("Topology", "new", in_analytic("cluster", json!({"minFeeds": 2})), "minFeeds"),
        ("Topology", "new", in_analytic("persistence", json!({"windows": 3, "of": 2})), "windows"),
        ("Topology", "new", more(web(), "analyzer", json!({"partitions": 65})), "partitions"),
        ("Alert", "good", with(checkout(), "/topology", json!("other")), "topology"),
        ("Alert", "new", with(checkout(), "/receivers", json!([])), "receivers"),
        ("Alert", "new", with(checkout(), "/receivers/0", json!({"name": "none"})), "receivers"),
        ("Alert", "new", hook(json!({"onFailure": "Retry"})), "url"),
        ("Alert", "new", hook(json!({"url": "https://x.example", "onFailure": "Drop"})), "onFailure"),
        ("Alert", "new", more(checkout(), "groupBy", json!(["colour"])), "groupBy"),
        ("Alert", "new", more(checkout(), "mute", json!([{"timeZone": "UTC", "times": ["8-9"]}])), "times"),
        ("Alert", "new", more(checkout(), "match", json!({"minScore": -1})), "minScore"),
    ];
    for (kind, name, spec, field) in cases {
        let error = cluster
            .apply(kind, name, spec.clone())
            .await
            .map(|()| panic!("taken: {kind} {name} {spec}"))
            .unwrap_err();
        let kube::Error::Api(status) = error else { panic!("{error}") };
        assert!(
            status.message.contains(field),
            "{kind} {spec}: the message does not name {field}: {}",
            status.message
        );
    }
    cluster.api::<Customer>().delete("good", &DeleteParams::default()).await.unwrap();
    cluster.api::<Topology>().delete("good", &DeleteParams::default()).await.unwrap();
    cluster.api::<Alert>().delete("good", &DeleteParams::default()).await.unwrap();
}

async fn from_apply_to_nothing_left(cluster: &Cluster) {
    let stop = CancellationToken::new();
    let (running, _) = cluster.operator("one", &stop);
    // In the wrong order: each waits for what it refers to.
    cluster.apply("Alert", "checkout", checkout()).await.unwrap();
    cluster.apply("Topology", "web", web()).await.unwrap();
    reason::<Topology>(cluster, "web", "CustomerMissing").await;
    reason::<Alert>(cluster, "checkout", "Ready").await;
    cluster.apply("Customer", "acme", acme()).await.unwrap();
    reason::<Customer>(cluster, "acme", "Ready").await;
    // No pods run here: that they are wanted is as far as it goes.
    reason::<Topology>(cluster, "web", "Starting").await;
    assert!(cluster.api::<StatefulSet>().get_opt("web-analyzer-0").await.unwrap().is_some());
    let first = cluster.api::<Secret>().get("acme-client-web").await.unwrap();

    let own = Api::<Secret>::namespaced(cluster.client.clone(), OWN);
    eventually("the alert service's certificate", async || {
        own.get_opt("kinetic-alert-tls").await.unwrap().is_some()
    })
    .await;
    let before = versions(cluster).await;
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert_eq!(versions(cluster).await, before, "nothing changes, and nothing is written");

    // Somebody deletes a user, an exchange's queue and a Secret: all is back.
    for gone in ["users/c-real.aws.acme%2Falert", "queues/c-real.aws.acme/kinetic.metrics.web.pages"] {
        RabbitMq::shared().http("DELETE", &format!("/api/{gone}"), "");
    }
    cluster.api::<Secret>().delete("acme-client-web", &DeleteParams::default()).await.unwrap();
    eventually("what was deleted to be back", async || {
        let queues = RabbitMq::shared().http("GET", "/api/queues/c-real.aws.acme", "");
        let users = RabbitMq::shared().http("GET", "/api/users", "");
        let secret = cluster.api::<Secret>().get_opt("acme-client-web").await.unwrap();
        queues.contains("kinetic.metrics.web.pages")
            && users.contains("c-real.aws.acme/alert")
            && secret.is_some_and(|secret| secret.uid() != first.uid())
    })
    .await;

    cluster.api::<Customer>().delete("acme", &DeleteParams::default()).await.unwrap();
    reason::<Customer>(cluster, "acme", "InUse").await;
    cluster.api::<Topology>().delete("web", &DeleteParams::default()).await.unwrap();
    cluster.api::<Alert>().delete("checkout", &DeleteParams::default()).await.unwrap();
    eventually("the Customer to be gone", async || {
        cluster.api::<Customer>().get_opt("acme").await.unwrap().is_none()
    })
    .await;
    for kind in ["vhosts", "users"] {
        let left = RabbitMq::shared().http("GET", &format!("/api/{kind}"), "");
        assert!(!left.contains("c-real"), "{left}");
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}

async fn one_acts_and_another_takes_over(cluster: &Cluster) {
    let (one, two) = (CancellationToken::new(), CancellationToken::new());
    let (first, leads_first) = cluster.operator("one", &one);
    eventually("the first to act", async || leads_first.leads.get() == 1).await;
    let (second, leads_second) = cluster.operator("two", &two);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(
        (leads_first.leads.get(), leads_second.leads.get()),
        (1, 0),
        "one acts, for as long as it lives"
    );
    // As a crash: it does not let go.
    first.abort();
    let killed = Instant::now();
    eventually("the second to act", async || leads_second.leads.get() == 1).await;
    eprintln!("another took over {:.1} s after the first was killed", killed.elapsed().as_secs_f64());
    two.cancel();
    second.await.unwrap().unwrap();
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
    let api = Api::<K>::all(client.clone());
    let deadline = Instant::now() + PATIENCE;
    loop {
        match api.create(&PostParams::default(), object).await {
            Ok(_) => return,
            Err(kube::Error::Api(status)) if status.is_already_exists() => return,
            Err(error) => assert!(Instant::now() < deadline, "the API server takes nothing: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
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

/// The versions of everything that the operator makes and looks after.
async fn versions(cluster: &Cluster) -> Vec<String> {
    let all = ListParams::default();
    let mut versions = Vec::new();
    let of = |objects: Vec<(String, Option<String>)>| {
        objects.into_iter().map(|(name, version)| format!("{name} {version:?}"))
    };
    macro_rules! list {
        ($($kind:ty),*) => {$(
            let listed = Api::<$kind>::all(cluster.client.clone()).list(&all).await.unwrap();
            versions.extend(of(listed.iter().map(|object| (object.name_any(), object.resource_version())).collect()));
        )*};
    }
    list!(Customer, Topology, Alert, Secret, StatefulSet, ConfigMap, Deployment);
    versions
}

pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
