//! The operator as it runs, against a real API server and a real RabbitMQ.

use std::time::{Duration, Instant};

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Secret};
use kinetic_api::resources::{Alert, Customer, Topology};
use kinetic_tests::{
    kubernetes::{self, Request},
    rabbitmq::RabbitMq,
};
use kube::{Api, ResourceExt, api::DeleteParams};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Cluster, acme, checkout, eventually, reason, web},
    invalid::invalid_resources_are_refused,
    site::OWN,
};

#[tokio::test(flavor = "multi_thread")]
async fn on_a_real_api_server() {
    if let Some(reason) = kubernetes::missing() {
        kinetic_tests::skip(&reason);
        return;
    }
    let cluster = Cluster::start().await;
    invalid_resources_are_refused(&cluster).await;
    from_apply_to_nothing_left(&cluster).await;
    one_acts_and_another_takes_over(&cluster).await;
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
    nothing_is_asked(cluster).await;

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

/// While nothing changes, the API server is neither read nor written: but for the Lease, and lists and watches that begin anew.
async fn nothing_is_asked(cluster: &Cluster) {
    let of_objects = |request: &Request| {
        request.resource != "leases" && !["list", "watch"].contains(&request.verb.as_str())
    };
    // What was written last is still told of by the watches, and looked at.
    eventually("the operator to have nothing to do", async || {
        let before = cluster.kubernetes.requests().len();
        tokio::time::sleep(Duration::from_secs(5)).await;
        !cluster.kubernetes.requests()[before..].iter().any(of_objects)
    })
    .await;
    let before = cluster.kubernetes.requests().len();
    tokio::time::sleep(Duration::from_secs(65)).await;
    let asked: Vec<_> = cluster.kubernetes.requests().drain(before..).filter(of_objects).collect();
    assert!(asked.is_empty(), "{asked:?}");
}
