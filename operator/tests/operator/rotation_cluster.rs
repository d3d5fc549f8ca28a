//! The authority's replacement by the operator as it runs, against a real API server.

use std::{cell::RefCell, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Secret};
use kinetic_operator::config::Config;
use kinetic_pki::Trusted;
use kinetic_tests::kubernetes;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Cluster, eventually},
    site::OWN,
};

const REGION: &str = "c-rotate";

fn quick(config: &mut Config) {
    config.rotation.settle = "5s".parse().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_replaced_on_a_real_api_server() {
    if let Some(reason) = kubernetes::missing() {
        kinetic_tests::skip(&reason);
        return;
    }
    let cluster = Cluster::start().await;
    let stop = CancellationToken::new();
    let (running, metrics) = cluster.operator_in(REGION, quick, "one", &stop);
    let acme = json!({"region": REGION, "provider": "aws", "clients": [{"name": "web", "profile": "web"}], "deletionPolicy": "Delete"});
    let web = json!({"customer": "acme", "sources": [{"name": "pages", "type": "statsd", "profiles": ["web"]}], "analyzer": {"partitions": 2}});
    cluster.apply("Customer", "acme", acme).await.unwrap();
    cluster.apply("Topology", "web", web).await.unwrap();
    let watched = Watched { cluster: &cluster, before: RefCell::default() };
    eventually("all certificates to be there", async || watched.look().await == 5).await;
    let first = watched.certificates();

    watched.ask("1").await;
    watched.until("Trusted").await;
    assert_eq!(watched.certificates(), first);
    // As a crash; another goes on.
    running.abort();
    let (running, _) = cluster.operator_in(REGION, quick, "two", &stop);
    assert!(metrics.ca_stage.get() <= 1);
    watched.until("Used").await;
    eventually("all certificates to be issued anew", async || {
        watched.look().await;
        watched.certificates().iter().all(|certificate| !first.contains(certificate))
    })
    .await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(watched.stage().await, "Used", "copies of the former certificates may live for thirty days");
    watched.ask("2").await;
    watched.until("Settled").await;
    let events =
        Api::<Event>::namespaced(cluster.client.clone(), OWN).list(&ListParams::default()).await.unwrap();
    let mut told: Vec<_> = events.iter().filter_map(|event| event.reason.clone()).collect();
    told.sort();
    assert_eq!(told, ["FormerAuthorityRemoved", "NewAuthorityTrusted", "NewAuthorityUsed"]);
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// Looks again and again whether everybody believes everybody, those who still have what was there at the look before among them.
struct Watched<'c> {
    cluster: &'c Cluster,
    before: RefCell<Vec<(String, String)>>,
}

impl Watched<'_> {
    fn own(&self) -> Api<Secret> {
        Api::namespaced(self.cluster.client.clone(), OWN)
    }

    /// How many certificates there are.
    async fn look(&self) -> usize {
        let labels =
            "app.kubernetes.io/managed-by=kinetic-operator,app.kubernetes.io/component in (client,analyzer)";
        let mut secrets =
            self.cluster.api::<Secret>().list(&ListParams::default().labels(labels)).await.unwrap().items;
        for name in [format!("kinetic-redirector-{REGION}-aws"), "kinetic-alert-tls".to_owned()] {
            secrets.extend(self.own().get_opt(&name).await.unwrap());
        }
        let now: Vec<_> =
            secrets.iter().map(|secret| (text(secret, "tls.crt"), text(secret, "ca.crt"))).collect();
        let before = self.before.replace(now.clone());
        let all = || before.iter().chain(&now);
        for (certificate, _) in all() {
            for (_, trust) in all() {
                Trusted::from_pem(trust).vouch(certificate, Timestamp::now()).unwrap();
            }
        }
        now.len()
    }

    fn certificates(&self) -> Vec<String> {
        self.before.borrow().iter().map(|(certificate, _)| certificate.clone()).collect()
    }

    async fn stage(&self) -> String {
        let secret = self.own().get("kinetic-ca").await.unwrap();
        secret.annotations().get("kinetic.dev/stage").cloned().unwrap_or_default()
    }

    async fn until(&self, stage: &str) {
        eventually(&format!("the stage {stage}"), async || {
            self.look().await;
            self.stage().await == stage
        })
        .await;
    }

    async fn ask(&self, value: &str) {
        let patch = json!({"metadata": {"annotations": {"kinetic.dev/rotate": value}}});
        self.own().patch("kinetic-ca", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }
}

fn text(secret: &Secret, key: &str) -> String {
    let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.clone());
    String::from_utf8(bytes.unwrap_or_default()).unwrap()
}
