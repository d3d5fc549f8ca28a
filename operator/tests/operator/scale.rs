//! Many customers: how long until all are ready and it is known who is connected, and what it costs to keep them so.

use std::{
    collections::BTreeMap,
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Namespace, Pod},
};
use kinetic_api::resources::{Alert, Customer, Topology, customer::ClientState};
use kinetic_operator::build::{labels, redirector};
use kinetic_tests::{
    kubernetes::{self, Request},
    rabbitmq::RabbitMq,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    cluster::{Cluster, Conditions, analytic, made},
    process::Process,
    site::{OWN, broker},
};

const REGION: &str = "scale";
/// Topologies, and Alerts, of a customer.
const EACH: usize = 5;
/// The measure of 200 customers, on two cores.
const PATIENCE: Duration = Duration::from_mins(5);

/// `KINETIC_SCALE=200 cargo nextest run -p kinetic-operator scale:: --no-capture` is the whole of it.
#[tokio::test(flavor = "multi_thread")]
async fn many_customers_get_ready_and_then_nothing_is_written() {
    if let Some(reason) = kubernetes::missing() {
        kinetic_tests::skip(&reason);
        return;
    }
    let customers: usize = env::var("KINETIC_SCALE").map_or(4, |number| number.parse().unwrap());
    let cluster = Cluster::start().await;
    let pods = tokio::spawn(every_pod_is_ready(cluster.client.clone()));
    let door = tokio::spawn(front_door(listening(&cluster).await, customers));
    let admin = broker();
    let applied = Instant::now();
    apply_all(&cluster, customers).await;
    let count = format!("{customers} Customers, {0} Topologies, {0} Alerts", customers * EACH);
    eprintln!("{count}: applied in {:.0} s", applied.elapsed().as_secs_f64());

    let started = Instant::now();
    let operator = Process::start(&cluster, "scale", REGION, &admin);
    let mut told = Instant::now();
    loop {
        let waiting = waiting(&cluster).await;
        if waiting == [0; 3] {
            break;
        }
        if told.elapsed() > Duration::from_secs(20) {
            told = Instant::now();
            let at = started.elapsed().as_secs();
            eprintln!(
                "{at} s: not ready: {waiting:?} of Customers, Topologies, Alerts; {:?}",
                operator.used()
            );
        }
        assert!(started.elapsed() < PATIENCE, "not ready after {PATIENCE:?}: {waiting:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let ready = started.elapsed();
    let (memory, most, cpu) = operator.used();
    eprintln!(
        "all ready after {:.0} s; the operator: {memory:.0} MB ({most:.0} MB at most), {cpu:.0} s of a core",
        ready.as_secs_f64()
    );

    loop {
        let all = Api::<Customer>::all(cluster.client.clone());
        let all = all.list(&ListParams::default().match_any()).await.unwrap().items;
        let clients = |customer: &Customer| customer.status.as_ref().unwrap().clients.clone();
        let unknown =
            all.iter().filter(|c| clients(c).iter().any(|c| c.state != Some(ClientState::Connected)));
        match unknown.count() {
            0 => break,
            unknown => assert!(
                started.elapsed() < ready + PATIENCE,
                "of {unknown} Customers it is not known that their clients are connected"
            ),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    // Pods that only seem to be there are looked for now and then: real ones tell where they are once.
    let of_objects = |request: &Request| {
        !["leases", "pods"].contains(&request.resource.as_str())
            && !["list", "watch"].contains(&request.verb.as_str())
    };
    let asked = || cluster.kubernetes.requests().into_iter().filter(of_objects).collect::<Vec<_>>();
    // The watches still tell of what was written last.
    let mut before = asked().len();
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let now = asked().len();
        if now == before {
            break;
        }
        before = now;
    }
    let changes = RabbitMq::shared().http_writes().len();
    let cpu = operator.used().2;
    tokio::time::sleep(Duration::from_mins(1)).await;
    let asked = asked();
    let (memory, most, later) = operator.used();
    eprintln!(
        "a minute later: {} requests to the API server, {} changes at the broker; {memory:.0} MB ({most:.0} MB at most), {:.1} s of a core",
        asked.len() - before,
        RabbitMq::shared().http_writes().len() - changes,
        later - cpu
    );
    assert!(changes > customers, "the broker's log tells of its changes");
    assert_eq!(RabbitMq::shared().http_writes().len(), changes);
    assert!(asked.len() == before, "{:?}", &asked[before..]);
    assert!(most < 100.0, "the operator took {most:.0} MB");
    pods.abort();
    door.abort();
}

/// Where the front door's pod is.
const DOOR: &str = "127.0.81.84";

/// A pod of the placement's front door that an API server tells of, and the listener of what runs in it.
async fn listening(cluster: &Cluster) -> TcpListener {
    let listener = TcpListener::bind((DOOR, redirector::ADMIN)).await.unwrap();
    let labels = labels::of(redirector::COMPONENT, &format!("kinetic-redirector-{REGION}-aws"));
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "door", "namespace": OWN, "labels": labels},
        "spec": {"containers": [{"name": "redirector", "image": "kinetic:test"}]},
    }))
    .unwrap();
    let status =
        Patch::Merge(json!({"status": {"phase": "Running", "podIP": DOOR, "podIPs": [{"ip": DOOR}]}}));
    let api = Api::<Pod>::namespaced(cluster.client.clone(), OWN);
    api.create(&PostParams::default(), &pod).await.unwrap();
    api.patch_status("door", &PatchParams::default(), &status).await.unwrap();
    listener
}

/// In place of a front door: a client of every customer is connected.
async fn front_door(listener: TcpListener, customers: usize) {
    let all: BTreeMap<_, _> = (0..customers).map(|number| (format!("c{number}"), ["web"])).collect();
    let body = json!({"customers": all}).to_string();
    while let Ok((mut socket, _)) = listener.accept().await {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let _ = socket.read(&mut [0; 4096]).await;
        let _ = socket.write_all((head + &body).as_bytes()).await;
    }
}

/// Applies everything, a few at a time, in namespaces of ten customers each.
async fn apply_all(cluster: &Cluster, customers: usize) {
    for number in 0..customers.div_ceil(10) {
        let namespace: Namespace =
            serde_json::from_value(json!({"metadata": {"name": format!("shops-{number}")}})).unwrap();
        made(&cluster.client, &namespace).await;
    }
    let resources = (0..customers).flat_map(|number| {
        let namespace = format!("shops-{}", number / 10);
        let customer = format!("c{number}");
        let spec =
            json!({"region": REGION, "provider": "aws", "clients": [{"name": "web", "profile": "web"}]});
        let mut all = vec![(namespace.clone(), "Customer", customer.clone(), spec)];
        for n in 0..EACH {
            let name = format!("{customer}-{n}");
            let sources = json!([{"name": "pages", "type": "statsd", "profiles": ["web"]}]);
            let spec = json!({"customer": customer, "sources": sources, "analytics": [analytic()]});
            all.push((namespace.clone(), "Topology", name.clone(), spec));
            let receivers = json!([{"name": "ops", "email": {"to": ["ops@acme.example"]}}]);
            all.push((
                namespace.clone(),
                "Alert",
                name.clone(),
                json!({"topology": name, "receivers": receivers}),
            ));
        }
        all
    });
    stream::iter(resources)
        .for_each_concurrent(4, async |(namespace, kind, name, spec)| {
            cluster.apply_in(&namespace, kind, &name, spec).await.unwrap();
        })
        .await;
}

/// How many Customers, Topologies, Alerts are not ready.
async fn waiting(cluster: &Cluster) -> [usize; 3] {
    async fn of<K>(client: &Client) -> usize
    where
        K: Conditions + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        // From memory: the test should not slow down what it measures.
        let all = Api::<K>::all(client.clone()).list(&ListParams::default().match_any()).await.unwrap();
        let ready =
            |object: &&K| object.conditions().iter().any(|c| c.type_ == "Ready" && c.status == "True");
        all.items.len() - all.items.iter().filter(ready).count()
    }
    let client = &cluster.client;
    [of::<Customer>(client).await, of::<Topology>(client).await, of::<Alert>(client).await]
}

/// In place of a kubelet: every `StatefulSet`'s pod is ready.
async fn every_pod_is_ready(client: Client) {
    let all = Api::<PartialObjectMeta<StatefulSet>>::all(client.clone());
    let seen = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
    watcher(all, watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .try_for_each_concurrent(2, async |set| {
            if !seen.lock().unwrap().insert(set.uid()) {
                return Ok(());
            }
            let api = Api::<StatefulSet>::namespaced(client.clone(), &set.namespace().unwrap());
            let status: Value =
                json!({"status": {"replicas": 1, "readyReplicas": 1, "observedGeneration": 1}});
            let patched =
                api.patch_status(&set.name_any(), &PatchParams::default(), &Patch::Merge(&status)).await;
            if let Err(error) = patched {
                eprintln!("a StatefulSet's status: {error}");
            }
            Ok(())
        })
        .await
        .unwrap();
}
