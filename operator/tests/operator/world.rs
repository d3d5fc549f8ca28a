//! Resources that are applied, changed and deleted in a random order; and where that should end.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Namespace, Secret},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
};
use kinetic_api::resources::{Alert, Customer, Topology};
use kinetic_tests::rabbitmq::RabbitMq;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, made},
    foreign::Foreign,
    site::OWN,
};

/// Longer than the operator leaves an object alone: what it has not done after so long without a change it will not do.
const QUIET: Duration = Duration::from_secs(36);
const PATIENCE: Duration = Duration::from_mins(5);
const OURS: &str = "app.kubernetes.io/managed-by=kinetic-operator";

/// Two namespaces of resources with equal names, and one region of a broker.
pub struct World<'c> {
    cluster: &'c Cluster,
    pub region: &'static str,
    namespaces: [String; 2],
    random: StdRng,
    foreign: Foreign,
}

impl<'c> World<'c> {
    /// Prints the seed, which leads to the same steps again.
    pub async fn new(cluster: &'c Cluster, region: &'static str) -> Self {
        let seed =
            std::env::var("KINETIC_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
        eprintln!("{region}: KINETIC_SEED={seed} takes the same steps again");
        let namespaces = ["red", "blue"].map(|name| format!("{region}-{name}"));
        for name in &namespaces {
            let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
            made(&cluster.client, &namespace).await;
        }
        let foreign = Foreign::put(&cluster.client, region, &namespaces).await;
        Self { cluster, region, namespaces, random: StdRng::seed_from_u64(seed), foreign }
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.random.random_range(0..of.len())].clone()
    }

    fn chance(&mut self) -> bool {
        self.random.random_bool(0.5)
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.cluster.client.clone(), namespace)
    }

    /// So many steps, with pauses that let the operator come in between, or not.
    pub async fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step().await;
            let pause = self.one(&[0, 0, 50, 200, 800]);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// A moment in which anything may be under way.
    pub async fn moment(&mut self) {
        let milliseconds = self.random.random_range(0..1500);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    async fn step(&mut self) {
        let namespaces = self.namespaces.clone();
        let namespace = self.one(&namespaces);
        let n = self.random.random_range(0..4);
        match self.random.random_range(0..20) {
            0..4 => self.apply_customer(&namespace, n % 3).await,
            4..9 => self.apply_topology(&namespace, n).await,
            9..12 => self.apply_alert(&namespace, n).await,
            12 => self.delete::<Customer>(&namespace, &format!("c{}", n % 3)).await,
            13 | 14 => self.delete::<Topology>(&namespace, &format!("t{n}")).await,
            15 => self.delete::<Alert>(&namespace, &format!("a{n}")).await,
            16 => self.change_secret(&namespace, n % 2).await,
            17 => self.lose_an_object(&namespace).await,
            18 => self.lose_something_on_the_broker(),
            _ if n > 0 => {}
            _ => self.delete_all(&namespace).await,
        }
    }

    async fn apply_customer(&mut self, namespace: &str, n: usize) {
        let mut clients = vec![json!({"name": "web", "profile": "web"})];
        for name in ["db", "old"] {
            if self.chance() {
                clients.push(json!({"name": name, "profile": name}));
            }
        }
        let spec = json!({
            "region": self.region, "provider": "aws", "deletionPolicy": "Delete", "clients": clients,
            "limits": {"topologies": self.one(&[1, 2, 20])},
        });
        self.apply(namespace, "Customer", &format!("c{n}"), spec).await;
    }

    async fn apply_topology(&mut self, namespace: &str, n: usize) {
        let mut sources =
            vec![json!({"name": "pages", "type": "statsd", "profiles": [self.one(&["web", "db"])]})];
        if self.chance() {
            sources.push(json!({"name": "hosts", "type": "collectd", "retention": {"size": self.one(&["1Gi", "2Gi"])}}));
        }
        let analytic = json!({"name": "slow", "source": "pages", "match": {"metric": "**"}, "cluster": {}});
        let analytics = if self.chance() { vec![analytic] } else { Vec::new() };
        let partitions = self.one(&[1, 1, 2]);
        // A Topology's Customer never changes.
        let spec = json!({"customer": format!("c{}", n % 3), "sources": sources, "analytics": analytics, "analyzer": {"partitions": partitions}});
        self.apply(namespace, "Topology", &format!("t{n}"), spec).await;
    }

    async fn apply_alert(&mut self, namespace: &str, n: usize) {
        let receiver = if self.chance() {
            json!({"name": "ops", "email": {"to": ["ops@acme.example"]}})
        } else {
            let key = json!({"name": format!("s{}", n % 2), "key": "key"});
            json!({"name": "hook", "webhook": {"url": "https://hook.example", "signingSecretRef": key}})
        };
        let matches = if self.chance() { json!({"analytics": ["slow"]}) } else { json!({}) };
        let spec = json!({"topology": format!("t{n}"), "match": matches, "receivers": [receiver]});
        self.apply(namespace, "Alert", &format!("a{n}"), spec).await;
    }

    async fn apply(&self, namespace: &str, kind: &str, name: &str, spec: Value) {
        self.cluster.apply_in(namespace, kind, name, spec).await.unwrap();
    }

    async fn delete<K>(&self, namespace: &str, name: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        match self.api::<K>(namespace).delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            deleted => drop(deleted.unwrap()),
        }
    }

    /// As when a namespace is deleted, but for the namespace.
    async fn delete_all(&self, namespace: &str) {
        for n in 0..4 {
            self.delete::<Alert>(namespace, &format!("a{n}")).await;
            self.delete::<Customer>(namespace, &format!("c{n}")).await;
            self.delete::<Topology>(namespace, &format!("t{n}")).await;
        }
    }

    async fn change_secret(&mut self, namespace: &str, n: usize) {
        let name = format!("s{n}");
        if self.chance() {
            return self.delete::<Secret>(namespace, &name).await;
        }
        let key = self.one(&["one", "two"]);
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"key": key}});
        let parameters = PatchParams::apply("tests").force();
        self.api::<Secret>(namespace).patch(&name, &parameters, &Patch::Apply(secret)).await.unwrap();
    }

    /// Somebody deletes, or spoils, what the operator has made.
    async fn lose_an_object(&mut self, namespace: &str) {
        let ours = ListParams::default().labels(OURS);
        if self.chance() {
            let there = self.api::<Secret>(namespace).list(&ours).await.unwrap().items;
            if !there.is_empty() {
                let name = self.one(&there).name_any();
                self.delete::<Secret>(namespace, &name).await;
            }
            return;
        }
        let there = self.api::<ConfigMap>(namespace).list(&ours).await.unwrap().items;
        if there.is_empty() {
            return;
        }
        let name = self.one(&there).name_any();
        if self.chance() {
            return self.delete::<StatefulSet>(namespace, &format!("{name}-0")).await;
        }
        let spoilt = Patch::Merge(json!({"data": {"topology.yaml": "spoilt"}}));
        // It may have gone meanwhile.
        let _ = self.api::<ConfigMap>(namespace).patch(&name, &PatchParams::default(), &spoilt).await;
    }

    fn lose_something_on_the_broker(&mut self) {
        let kind = self.one(&["users", "queues", "policies"]);
        let Some(listed) = listed(kind) else { return };
        let its: Vec<_> = listed.into_iter().filter(|item| belongs(item, self.region)).collect();
        if its.is_empty() {
            return;
        }
        let gone = self.one(&its);
        let encoded = |field: &str| gone[field].as_str().unwrap_or_default().replace('/', "%2F");
        let path = if kind == "users" {
            encoded("name")
        } else {
            format!("{}/{}", encoded("vhost"), encoded("name"))
        };
        // The operator may be faster.
        let _ = RabbitMq::shared().try_http("DELETE", &format!("/api/{kind}/{path}"), "");
    }

    /// Ends what is half deleted: a Customer goes once its Topologies are gone.
    pub async fn settle(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut going = Vec::new();
            for namespace in &self.namespaces {
                let all = ListParams::default();
                let topologies = self.api::<Topology>(namespace).list(&all).await.unwrap();
                for customer in self.api::<Customer>(namespace).list(&all).await.unwrap() {
                    if customer.metadata.deletion_timestamp.is_none() {
                        continue;
                    }
                    let name = customer.name_any();
                    going.push(format!("{namespace}/{name}"));
                    for topology in topologies.iter().filter(|topology| *topology.spec.customer == *name) {
                        self.delete::<Topology>(namespace, &topology.name_any()).await;
                    }
                }
                let gone =
                    topologies.iter().filter(|topology| topology.metadata.deletion_timestamp.is_some());
                going.extend(gone.map(|topology| format!("{namespace}/{}", topology.name_any())));
            }
            if going.is_empty() {
                return self.collect().await;
            }
            assert!(Instant::now() < deadline, "not gone: {going:?}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// In place of the garbage collector: what has no owner any more goes.
    async fn collect(&self) {
        for namespace in &self.namespaces {
            let all = ListParams::default();
            let mut owners: Vec<_> = self
                .api::<Customer>(namespace)
                .list(&all)
                .await
                .unwrap()
                .iter()
                .filter_map(ResourceExt::uid)
                .collect();
            owners.extend(
                self.api::<Topology>(namespace).list(&all).await.unwrap().iter().filter_map(ResourceExt::uid),
            );
            macro_rules! collect {
                ($($kind:ty),*) => {$(
                    for object in self.api::<$kind>(namespace).list(&all.clone().labels(OURS)).await.unwrap() {
                        if !object.owner_references().iter().any(|owner| owners.contains(&owner.uid)) {
                            self.delete::<$kind>(namespace, &object.name_any()).await;
                        }
                    }
                )*};
            }
            collect!(Secret, ConfigMap, StatefulSet, NetworkPolicy, PodDisruptionBudget);
        }
    }

    /// Waits until the operator does nothing any more.
    pub async fn quiet(&self) {
        let deadline = Instant::now() + PATIENCE;
        let writes = || {
            let asked = self.cluster.kubernetes.requests();
            let writes = asked
                .iter()
                .filter(|r| r.resource != "leases" && !["get", "list", "watch"].contains(&r.verb.as_str()));
            writes.count() + RabbitMq::shared().http_writes().len()
        };
        let (mut before, mut since) = (writes(), Instant::now());
        while since.elapsed() < QUIET {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = writes();
            if now != before {
                (before, since) = (now, Instant::now());
            }
            assert!(Instant::now() < deadline, "it writes and writes");
        }
    }

    /// All that there is, but for what differs from one time to the next.
    pub async fn state(&self) -> BTreeMap<String, Value> {
        let mut state = BTreeMap::new();
        for kind in [
            "vhosts",
            "vhost-limits",
            "users",
            "permissions",
            "topic-permissions",
            "exchanges",
            "queues",
            "bindings",
            "policies",
        ] {
            let Some(listed) = listed(kind) else { continue };
            for mut item in listed.into_iter().filter(|item| belongs(item, self.region)) {
                let fields = [
                    "name",
                    "vhost",
                    "user",
                    "description",
                    "value",
                    "password_hash",
                    "configure",
                    "write",
                    "read",
                    "exchange",
                    "type",
                    "arguments",
                    "source",
                    "destination",
                    "routing_key",
                    "pattern",
                    "priority",
                    "definition",
                ];
                item.as_object_mut().unwrap().retain(|field, _| fields.contains(&field.as_str()));
                state.insert(format!("{kind} {item}"), Value::Null);
            }
        }
        let client = &self.cluster.client;
        for namespace in &self.namespaces {
            owned::<Secret>(client, namespace, &mut state).await;
            owned::<ConfigMap>(client, namespace, &mut state).await;
            owned::<StatefulSet>(client, namespace, &mut state).await;
            owned::<NetworkPolicy>(client, namespace, &mut state).await;
            owned::<PodDisruptionBudget>(client, namespace, &mut state).await;
            statuses::<Customer>(client, namespace, &mut state).await;
            statuses::<Topology>(client, namespace, &mut state).await;
            statuses::<Alert>(client, namespace, &mut state).await;
        }
        let keys = self.api::<Secret>(OWN).get_opt("kinetic-alert-keys").await.unwrap();
        state.insert("keys".to_owned(), json!(keys.and_then(|keys| keys.data)));
        state
    }

    /// Takes away all that an operator has made of the resources, and what it said of them. None may run.
    pub async fn wipe(&self) {
        for namespace in &self.namespaces {
            let ours = ListParams::default().labels(OURS);
            macro_rules! delete {
                ($($kind:ty),*) => {$(
                    for object in self.api::<$kind>(namespace).list(&ours).await.unwrap() {
                        self.delete::<$kind>(namespace, &object.name_any()).await;
                    }
                )*};
            }
            delete!(Secret, ConfigMap, StatefulSet, NetworkPolicy, PodDisruptionBudget);
            macro_rules! forget {
                ($($kind:ty),*) => {$(
                    for object in self.api::<$kind>(namespace).list(&ListParams::default()).await.unwrap() {
                        let nothing = Patch::Merge(json!({"status": null}));
                        let api = self.api::<$kind>(namespace);
                        api.patch_status(&object.name_any(), &PatchParams::default(), &nothing).await.unwrap();
                    }
                )*};
            }
            forget!(Customer, Topology, Alert);
        }
        self.delete::<Secret>(OWN, "kinetic-alert-keys").await;
        for kind in ["vhosts", "users"] {
            for item in listed(kind).unwrap_or_default() {
                let name = item["name"].as_str().unwrap().to_owned();
                if belongs(&item, self.region) {
                    RabbitMq::shared().http(
                        "DELETE",
                        &format!("/api/{kind}/{}", name.replace('/', "%2F")),
                        "",
                    );
                }
            }
        }
    }

    /// Waits until another operator, which has seen nothing of all that, has come to the same end.
    pub async fn comes_to(&self, end: &BTreeMap<String, Value>) {
        let deadline = Instant::now() + 2 * QUIET;
        let end = &without_mistaken(end);
        loop {
            let state = without_mistaken(&self.state().await);
            if state == *end {
                return;
            }
            if Instant::now() > deadline {
                for (key, value) in end {
                    if state.get(key) != Some(value) {
                        eprintln!(
                            "after the steps:  {key}: {value}\nfrom the resources: {:?}",
                            state.get(key)
                        );
                    }
                }
                for (key, value) in state.iter().filter(|(key, _)| !end.contains_key(*key)) {
                    eprintln!("from the resources only: {key}: {value}");
                }
                panic!("the steps have not led to what the resources describe");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// What is not the operator's is as it was.
    pub async fn nothing_foreign_was_touched(&self) {
        self.foreign.is_untouched(&self.cluster.client).await;
    }
}

/// What the broker lists; nothing while it is away.
fn listed(kind: &str) -> Option<Vec<Value>> {
    serde_json::from_str(&RabbitMq::shared().try_http("GET", &format!("/api/{kind}"), "").ok()?).ok()
}

/// Whether it is in the vhosts of a region's Customers, or one of them, or a user of theirs.
fn belongs(item: &Value, region: &str) -> bool {
    let of = item.get("vhost").unwrap_or(&item["name"]).as_str().unwrap_or_default();
    of.starts_with(&format!("{region}.")) && !of.starts_with(&format!("{region}.aws.c9"))
}

/// Without what a Topology with a mistake in it has left from before that: it goes on running as it was.
fn without_mistaken(state: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mistaken = |(key, status): (&String, &Value)| {
        let name = key.strip_prefix("status of Topology ")?;
        let conditions = status["conditions"].as_array()?;
        let bad = conditions.iter().any(|c| c["type"] == "Accepted" && c["status"] == "False");
        bad.then(|| name.to_owned())
    };
    let mistaken: Vec<_> = state.iter().filter_map(mistaken).collect();
    let left = |key: &str| {
        mistaken.iter().any(|of| {
            let name = of.rsplit('/').next().unwrap_or_default();
            key.contains(&format!(" {of}-analyzer")) || key.contains(&format!("kinetic.metrics.{name}."))
        })
    };
    state.iter().filter(|(key, _)| !left(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

async fn owned<K>(client: &Client, namespace: &str, state: &mut BTreeMap<String, Value>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Serialize
        + std::fmt::Debug,
{
    let api = Api::<K>::namespaced(client.clone(), namespace);
    for object in api.list(&ListParams::default().labels(OURS)).await.unwrap() {
        let whole = serde_json::to_value(&object).unwrap();
        let mut data = whole["data"].clone();
        // Since when analytics are active: another time each time.
        if data["active-since.json"].is_string() {
            data["active-since.json"] = json!("");
        }
        if K::kind(&()) == "Secret" {
            for key in ["tls.crt", "tls.key", "ca.crt"] {
                data[key] = json!(data[key].is_string());
            }
        }
        let owners: Vec<_> = object.owner_references().iter().map(|owner| owner.uid.clone()).collect();
        let rest = json!({"labels": object.labels(), "owners": owners, "data": data, "spec": whole["spec"]});
        state.insert(format!("{} {namespace}/{}", K::kind(&()), object.name_any()), rest);
    }
}

async fn statuses<K>(client: &Client, namespace: &str, state: &mut BTreeMap<String, Value>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Serialize
        + std::fmt::Debug,
{
    let api = Api::<K>::namespaced(client.clone(), namespace);
    for object in api.list(&ListParams::default()).await.unwrap() {
        let mut status = serde_json::to_value(&object).unwrap()["status"].take();
        for (list, fields) in [
            ("conditions", &["lastTransitionTime", "observedGeneration"][..]),
            ("clients", &["serial", "notAfter"]),
            ("analytics", &["activeSince"]),
        ] {
            for item in status[list].as_array_mut().into_iter().flatten() {
                item.as_object_mut().unwrap().retain(|field, _| !fields.contains(&field.as_str()));
            }
        }
        state.insert(format!("status of {} {namespace}/{}", K::kind(&()), object.name_any()), status);
    }
}
