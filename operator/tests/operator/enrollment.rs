//! Machines enrol on a real API server: the test is the front door and the person, the operator signs.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kinetic_api::resources::{
    Customer, Enrollment,
    enrollment::{EnrollmentSpec, EnrollmentState, EnrollmentStatus},
};
use kinetic_enroll::{
    ClusterStore, Decisions, EnrollmentId, IdKey, Requests, StoreError, Token, TokenRecord,
    cluster::tokens::{ClusterTokens, whoami},
    id::Wanted,
    person,
    token::admits,
    wire::{Say, Verdict},
};
use kinetic_pki::{PrivateKey, Trusted, request};
use kinetic_tests::kubernetes;
use kube::{Api, ResourceExt, api::PostParams};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Cluster, eventually, reason},
    site::OWN,
};

const REGION: &str = "c-enroll";

#[tokio::test(flavor = "multi_thread")]
async fn machines_enrol() {
    if let Some(reason) = kubernetes::missing() {
        kinetic_tests::skip(&reason);
        return;
    }
    let cluster = Cluster::start().await;
    let stop = CancellationToken::new();
    let (running, _) = cluster.operator_in(REGION, |_| (), "one", &stop);
    let allow = json!([{"client": "web", "names": ["web-*"]}]);
    let acme = json!({"region": REGION, "provider": "aws", "deletionPolicy": "Delete",
        "clients": [{"name": "web", "profile": "web"}], "enrollment": {"policy": "AllowList", "allow": allow}});
    cluster.apply("Customer", "acme", acme).await.unwrap();
    reason::<Customer>(&cluster, "acme", "Ready").await;
    let store = ClusterStore::watch(&cluster.client, &["shops".to_owned()]).await;

    a_token_is_known_by_its_hash(&cluster, &store).await;
    let issued = settled(&store, &ask(&store, "web-1").await).await;
    assert_eq!((issued.state, issued.decided_by.as_deref()), (EnrollmentState::Issued, Some("allow-list")));
    let own = Api::<Secret>::namespaced(cluster.client.clone(), OWN).get("kinetic-ca").await.unwrap();
    let trust = String::from_utf8(own.data.as_ref().unwrap()["trust.crt"].0.clone()).unwrap();
    let peer =
        Trusted::from_pem(&trust).vouch(issued.certificate.as_ref().unwrap(), Timestamp::now()).unwrap();
    let identity = peer.identity.to_string();
    assert_eq!(identity, "spiffe://kinetic.local/customers/acme/clients/web/machines/web-1");
    let promised = own.annotations().get("kinetic.dev/longest-lifetime-seconds").cloned();
    assert_eq!(
        promised.as_deref(),
        Some("2592000"),
        "the authority is trusted for as long after it is replaced"
    );

    assert_eq!(whoami(&cluster.client).await.unwrap(), "tests");
    a_person_decides(&store).await;
    whoever_saw_it_before_is_told_so(&store).await;
    nobody_asks_from_elsewhere(&cluster).await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

async fn a_token_is_known_by_its_hash(cluster: &Cluster, store: &ClusterStore) {
    let (token, now) = (Token::generate(), Timestamp::now());
    let record = TokenRecord::of(&token, "acme".parse().unwrap(), now, now + Duration::from_hours(1));
    let tokens = ClusterTokens::new(&cluster.client, "shops");
    let over = TokenRecord::of(&Token::generate(), "acme".parse().unwrap(), now, now);
    for record in [&over, &record] {
        tokens.keep(record, now).await.unwrap();
    }
    assert_eq!(tokens.all().await.unwrap(), std::slice::from_ref(&record), "what has run out is forgotten");
    let nobody = TokenRecord { customer: "nobody".parse().unwrap(), ..record.clone() };
    assert!(matches!(tokens.keep(&nobody, now).await, Err(StoreError::NoCustomer(_))));
    let customer = cluster.api::<Customer>().get("acme").await.unwrap();
    assert!(!format!("{customer:?}").contains(&token.reveal()[4..]), "only its hash is kept");
    let admitted = async || {
        let record = store.token(&token.id()).await.unwrap();
        admits(record.as_ref(), &token, &"acme".parse().unwrap(), now)
    };
    eventually("the token to be known", admitted).await;
    tokens.revoke("acme", &record.id).await.unwrap();
    eventually("the token to be forgotten", async || !admitted().await).await;
}

async fn a_person_decides(store: &ClusterStore) {
    let id = ask(store, "db-1").await;
    eventually("it to be said why it waits", async || {
        status(store, &id).await.reason.is_some_and(|reason| reason.contains("waits for a person"))
    })
    .await;
    let say = Say { verdict: Verdict::Approve, reason: Some("it is the new one".to_owned()) };
    person::decide(store, &id, &say, "ann", Timestamp::now()).await.unwrap();
    let issued = settled(store, &id).await;
    assert_eq!((issued.state, issued.decided_by.as_deref()), (EnrollmentState::Issued, Some("ann")));
    assert_eq!(issued.reason.as_deref(), Some("it is the new one"));
}

async fn whoever_saw_it_before_is_told_so(store: &ClusterStore) {
    let (id, spec) = request_of("web-2");
    let seen = store.add(&id, spec).await.unwrap();
    settled(store, &id).await;
    let late = store.set_status(&seen, EnrollmentStatus::default()).await;
    assert!(matches!(late, Err(StoreError::Changed(_))), "{late:?}");
    assert!(matches!(store.remove(&seen).await, Err(StoreError::Changed(_))));
}

/// A request that lies elsewhere than its Customer is nobody's: who may write there may not ask for acme's machines.
async fn nobody_asks_from_elsewhere(cluster: &Cluster) {
    let (id, spec) = request_of("web-3");
    let stray = Enrollment::new(id.as_str(), spec);
    let elsewhere = Api::<Enrollment>::namespaced(cluster.client.clone(), OWN);
    elsewhere.create(&PostParams::default(), &stray).await.unwrap();
    let everywhere = ClusterStore::watch(&cluster.client, &[]).await;
    assert!(everywhere.find(&id).await.unwrap().is_none());
    settled(&everywhere, &ask(&everywhere, "web-4").await).await;
    let stray = elsewhere.get(id.as_str()).await.unwrap();
    assert!(stray.status.is_none(), "{stray:?}");
}

fn request_of(machine: &str) -> (EnrollmentId, EnrollmentSpec) {
    let key = PrivateKey::generate().unwrap();
    let wanted = Wanted {
        customer: "acme".parse().unwrap(),
        client: "web".parse().unwrap(),
        machine: machine.parse().unwrap(),
        key: key.public().fingerprint(),
        renews: None,
    };
    let spec = EnrollmentSpec {
        customer: wanted.customer.clone(),
        client: wanted.client.clone(),
        name: machine.to_owned(),
        csr: request::make(&key).unwrap(),
        key_fingerprint: wanted.key.to_string(),
        address: "192.0.2.1".to_owned(),
        requested_at: Timestamp::now().to_string(),
        token: Some("0123456789abcdef".to_owned()),
        renewal: None,
    };
    (IdKey::derived(b"master").id(&wanted, 0), spec)
}

/// Asks as the front door does; twice, which is harmless.
async fn ask(store: &ClusterStore, machine: &str) -> EnrollmentId {
    let (id, spec) = request_of(machine);
    let first = store.add(&id, spec.clone()).await.unwrap();
    let again = store.add(&id, spec).await.unwrap();
    assert_eq!(first.uid(), again.uid());
    assert_eq!(first.owner_references()[0].name, "acme");
    id
}

async fn status(store: &ClusterStore, id: &EnrollmentId) -> EnrollmentStatus {
    let found: Option<Arc<Enrollment>> = store.find(id).await.unwrap();
    found.and_then(|found| found.status.clone()).unwrap_or_default()
}

async fn settled(store: &ClusterStore, id: &EnrollmentId) -> EnrollmentStatus {
    eventually("it to be decided", async || {
        !matches!(status(store, id).await.state, EnrollmentState::Pending | EnrollmentState::Approved)
    })
    .await;
    status(store, id).await
}
