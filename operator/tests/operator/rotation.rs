//! The authority's replacement, against an API server in memory.

use std::sync::atomic::{AtomicI64, Ordering};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use kinetic_operator::{context::Context, reconcile};
use kinetic_pki::{Trusted, rotation::Stage};
use kube::core::ObjectMeta;
use serde_json::{Value, json};

use crate::site::{OWN, Site, core};

/// The clock is ahead by so many seconds: of all that is here, which is why it is one test.
static AHEAD: AtomicI64 = AtomicI64::new(0);

fn clock() -> Timestamp {
    Timestamp::now() + jiff::SignedDuration::from_secs(AHEAD.load(Ordering::SeqCst))
}

fn pass(seconds: i64) {
    AHEAD.fetch_add(seconds, Ordering::SeqCst);
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A customer with a topology; its client's certificate lives ten days.
fn site(region: &'static str) -> Site {
    let mut site = Site::new(region);
    site.context.clock = clock;
    let certificate = json!({"lifetime": "240h", "renewBefore": "80h"});
    site.customer(
        "shops",
        &json!({"clients": [{"name": "web", "profile": "web", "certificate": certificate}]}),
    );
    site.topology("shops", &json!({"analyzer": {"partitions": 2}}));
    site
}

/// Brings all of it to where it should be; a request may be refused.
async fn everything(site: &Site) -> Result<Stage, String> {
    let looked = reconcile::rotation::reconcile(&site.context).await.map_err(|error| error.to_string())?;
    site.reconcile_customer("shops").await.unwrap()?;
    site.reconcile_topology("shops").await.unwrap()?;
    reconcile::release::reconcile(&site.context).await.map_err(|error| error.to_string())?;
    Ok(looked.stage)
}

/// What each Secret with a certificate holds: its certificate and whom its holder trusts.
fn held(site: &Site) -> Vec<(String, String)> {
    let door = format!("kinetic-redirector-{}-aws", site.region);
    let places = [
        ("shops", "acme-client-web"),
        ("shops", "web-analyzer-0"),
        ("shops", "web-analyzer-1"),
        (OWN, &door),
        (OWN, "kinetic-alert-tls"),
    ];
    let secrets =
        places.iter().filter_map(|(namespace, name)| site.api.get(&core(namespace, "secrets", name)));
    secrets.map(|secret| (text(&secret, "tls.crt"), text(&secret, "ca.crt"))).collect()
}

fn text(secret: &Value, key: &str) -> String {
    let bytes = BASE64_STANDARD.decode(secret["data"][key].as_str().unwrap_or_default()).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn ask(site: &Site, value: &str) {
    let path = core(OWN, "secrets", "kinetic-ca");
    let mut secret = site.api.get(&path).unwrap();
    secret["metadata"]["annotations"]["kinetic.dev/rotate"] = json!(value);
    site.api.delete(&path);
    site.api.put(&path, secret);
}

/// Everybody believes everybody: those that have their Secrets' newest, and those who still have what was there before.
fn all_are_believed(before: &[(String, String)], now: &[(String, String)]) {
    for (certificate, _) in before.iter().chain(now) {
        for (_, trust) in before.iter().chain(now) {
            Trusted::from_pem(trust).vouch(certificate, clock()).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_replaced() {
    by_hand_in_its_own_time().await;
    by_itself_at_two_thirds_of_its_life().await;
    whoever_is_killed_when().await;
    Box::pin(a_secret_that_is_not_brought_up_to_date_holds_it_up()).await;
}

async fn by_hand_in_its_own_time() {
    let site = site("k-hand");
    for _ in 0..2 {
        assert_eq!(everything(&site).await, Ok(Stage::Settled));
    }
    let first = held(&site);
    assert_eq!(first.len(), 5);
    site.api.writes();
    assert_eq!(everything(&site).await, Ok(Stage::Settled));
    assert_eq!(site.api.writes(), Vec::<String>::new(), "nothing is written while nothing changes");

    ask(&site, "now");
    assert_eq!(everything(&site).await, Ok(Stage::Trusted));
    let trusted = held(&site);
    all_are_believed(&first, &trusted);
    assert!(trusted.iter().zip(&first).all(|(now, before)| now.0 == before.0), "nothing is issued anew");
    assert!(trusted.iter().all(|(_, trust)| trust.matches("BEGIN").count() == 2));
    pass(10);
    assert_eq!(everything(&site).await, Ok(Stage::Trusted));
    pass(DAY - 60);
    assert_eq!(everything(&site).await, Ok(Stage::Trusted), "who fetches by hand has a day");
    pass(120);
    assert_eq!(everything(&site).await, Ok(Stage::Used));
    let used = held(&site);
    all_are_believed(&trusted, &used);
    assert!(used.iter().zip(&first).all(|(now, before)| now.0 != before.0), "all is issued anew");
    for days in 0..10 {
        assert_eq!(
            everything(&site).await,
            Ok(Stage::Used),
            "{days}: a copy of the former certificate may live"
        );
        pass(DAY);
    }
    pass(HOUR);
    assert_eq!(everything(&site).await, Ok(Stage::Settled));
    let last = held(&site);
    assert!(last.iter().all(|(_, trust)| trust.matches("BEGIN").count() == 1));
    all_are_believed(&last, &last);
    let secret = site.api.get(&core(OWN, "secrets", "kinetic-ca")).unwrap();
    assert_eq!(secret["data"].as_object().unwrap().len(), 3, "no key is left over");
    let told: Vec<_> =
        site.api.events().into_iter().filter(|reason| reason != "Ready" && reason != "Starting").collect();
    let expected = [
        "NewAuthorityTrusted",
        "NewAuthorityTrusted",
        "NewAuthorityUsed",
        "NewAuthorityUsed",
        "FormerAuthorityRemoved",
        "Issued",
    ];
    assert_eq!(told, expected, "on the authority's Secret, and on the Customer");
}

async fn by_itself_at_two_thirds_of_its_life() {
    let site = site("k-age");
    assert_eq!(everything(&site).await, Ok(Stage::Settled));
    pass(10 * 365 * DAY / 3 * 2 - HOUR);
    assert_eq!(everything(&site).await, Ok(Stage::Settled));
    pass(2 * HOUR);
    assert_eq!(everything(&site).await, Ok(Stage::Trusted));
}

/// Every round a request is refused, and the operator is started anew: at every moment everybody is believed, and in the end it is done.
async fn whoever_is_killed_when() {
    let mut site = site("k-killed");
    assert_eq!(everything(&site).await, Ok(Stage::Settled));
    ask(&site, "now");
    let (mut before, mut refused_at, mut stages) = (held(&site), 0, Vec::new());
    for round in 0..400 {
        refused_at = (refused_at + 7) % 40;
        let mut count = 0;
        site.api.refuse(move |_, _| {
            count += 1;
            (count == refused_at).then_some(500)
        });
        // Whether it fails is none of this test's.
        let _ = everything(&site).await;
        site.api.refuse_nothing();
        let now = held(&site);
        all_are_believed(&before, &now);
        let secret = site.api.get(&core(OWN, "secrets", "kinetic-ca")).unwrap();
        stages.push(secret["metadata"]["annotations"]["kinetic.dev/stage"].as_str().unwrap().to_owned());
        if round > 20 && stages[round] == "Settled" {
            break;
        }
        before = now;
        site.context = Context::new(site.api.client(), site.context.config.clone()).unwrap();
        site.context.clock = clock;
        pass(3 * HOUR);
    }
    stages.dedup();
    assert_eq!(stages.join(" "), "Trusted Used Settled");
}

async fn a_secret_that_is_not_brought_up_to_date_holds_it_up() {
    let site = site("k-stuck");
    assert_eq!(everything(&site).await, Ok(Stage::Settled));
    // As that of a Topology that is paused.
    let labels = json!({
        "app.kubernetes.io/managed-by": "kinetic-operator", "app.kubernetes.io/component": "analyzer",
    });
    let metadata = ObjectMeta { labels: serde_json::from_value(labels).unwrap(), ..ObjectMeta::default() };
    let paused = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"ca.crt": ""}});
    site.api.put(&core("shops", "secrets", "paused-analyzer-0"), paused);
    ask(&site, "1");
    assert_eq!(everything(&site).await, Ok(Stage::Trusted));
    ask(&site, "2");
    for _ in 0..3 {
        pass(2 * DAY);
        assert_eq!(everything(&site).await, Ok(Stage::Trusted), "whoever asks");
    }
    site.api.delete(&core("shops", "secrets", "paused-analyzer-0"));
    assert_eq!(everything(&site).await, Ok(Stage::Used), "somebody had asked: it waits for no time");
    ask(&site, "3");
    assert_eq!(everything(&site).await, Ok(Stage::Used));
    pass(10);
    assert_eq!(everything(&site).await, Ok(Stage::Settled));
}
