//! What the reconcilers do when they are refused, by an API server in memory, by a broker, by what is missing or taken.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    thread,
};

use http::Method;
use serde_json::{Value, json};

use kinetic_operator::{context::Context, reconcile::release};

use crate::{
    api::Api,
    site::{OWN, Site, broker, config, core, path},
};

/// All of it with one broker, whose start takes longer.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_and_gets_done_later() {
    a_topology_gets_there_whatever_is_refused_once().await;
    what_may_not_be_written_stops_the_object_and_no_longer_than_that().await;
    without_its_claim_an_analyzer_is_made_all_the_same().await;
    a_front_door_that_is_refused_keeps_nothing_else_waiting().await;
    somebody_elses_config_map_is_left_alone().await;
    a_finalizer_is_not_put_on_what_has_changed_meanwhile().await;
    a_customer_stays_until_its_broker_answers().await;
    a_broker_that_refuses_is_told_of().await;
    an_alert_says_what_it_lacks().await;
    what_a_former_topology_left_is_taken_over().await;
}

/// A Customer that is ready, and a Topology that nobody has looked at.
async fn ready(region: &'static str) -> Site {
    let site = Site::new(region);
    site.customer("shops", &json!({}));
    site.topology("shops", &json!({}));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    site
}

async fn a_topology_gets_there_whatever_is_refused_once() {
    let site = ready("e-once").await;
    for (nth, code) in (0..48).zip([409, 429, 500, 503, 403].into_iter().cycle()) {
        let mut count = 0;
        site.api.refuse(move |_, _| {
            count += 1;
            (count == nth + 1).then_some(code)
        });
        // Whether it fails is none of this test's: that it goes on from there is.
        let _ = site.reconcile_topology("shops").await;
    }
    site.api.refuse_nothing();
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "topologies"), "Starting");
    site.api.writes();
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert_eq!(site.api.writes(), Vec::<String>::new());
}

async fn what_may_not_be_written_stops_the_object_and_no_longer_than_that() {
    for plural in ["configmaps", "networkpolicies", "poddisruptionbudgets", "secrets", "statefulsets"] {
        let site = ready("e-forbidden").await;
        site.api.refuse(move |method, path| {
            (*method == Method::PATCH && path.contains(&format!("/{plural}/"))).then_some(403)
        });
        let told = match site.reconcile_topology("shops").await.unwrap() {
            Ok(()) => {
                assert_eq!(site.ready("shops", "topologies"), "Refused", "{plural}");
                let object = site.api.get(&path("shops", "topologies", "web")).unwrap();
                object["status"]["conditions"][0]["message"].to_string()
            }
            // Without its certificate it is not looked at any further.
            Err(error) => {
                assert_eq!(plural, "secrets");
                error
            }
        };
        assert!(told.contains("refused by the test"), "{plural}: {told}");
        site.api.refuse_nothing();
        site.reconcile_topology("shops").await.unwrap().unwrap();
        assert_eq!(site.ready("shops", "topologies"), "Starting", "{plural}");
    }
}

async fn without_its_claim_an_analyzer_is_made_all_the_same() {
    let site = ready("e-claim").await;
    site.topology("shops", &json!({"analyzer": {"checkpoint": {}}}));
    site.api.refuse(|method, path| {
        (*method == Method::PATCH && path.contains("/persistentvolumeclaims/")).then_some(403)
    });
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "topologies"), "ClaimRefused");
    assert!(site.api.get("/apis/apps/v1/namespaces/shops/statefulsets/web-analyzer-0").is_some());
    site.api.refuse_nothing();
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "topologies"), "Starting");
}

async fn a_front_door_that_is_refused_keeps_nothing_else_waiting() {
    let (mut config, _folder) = config(&broker(), "e-doors");
    let mut other = config.placements[0].clone();
    other.region = "e-other".parse().unwrap();
    config.placements.push(other);
    let api = Api::new();
    let context = Context::new(api.client(), config).unwrap();
    let deployment =
        |region: &str| format!("/apis/apps/v1/namespaces/{OWN}/deployments/kinetic-redirector-{region}-aws");
    let refused = deployment("e-doors");
    api.refuse(move |method, path| (*method == Method::PATCH && path == refused).then_some(422));
    let error = release::reconcile(&context).await.unwrap_err().to_string();
    assert!(error.contains("refused by the test"), "{error}");
    assert!(api.get(&deployment("e-doors")).is_none() && api.get(&deployment("e-other")).is_some());
    assert!(api.get(&core(OWN, "secrets", "kinetic-alert-tls")).is_some());
}

async fn somebody_elses_config_map_is_left_alone() {
    let site = ready("e-taken").await;
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {"x": "y"}});
    let at = core("shops", "configmaps", "web-analyzer");
    site.api.put(&at, theirs);
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "topologies"), "NameTaken");
    assert_eq!(site.api.get(&at).unwrap()["data"], json!({"x": "y"}));
    site.api.delete(&at);
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "topologies"), "Starting");
}

async fn a_finalizer_is_not_put_on_what_has_changed_meanwhile() {
    let site = Site::new("e-conflict");
    site.customer("shops", &json!({}));
    let seen = site.api.get(&path("shops", "customers", "acme")).unwrap();
    site.customer("shops", &json!({"displayName": "Acme"}));
    let stale = serde_json::from_value(seen).unwrap();
    let error = kinetic_operator::reconcile::customer::reconcile(&stale, &site.context).await.unwrap_err();
    assert!(error.to_string().contains("Conflict"), "{error}");
    assert!(site.broker("vhosts").is_empty(), "nothing is made that nobody would remove");
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "customers"), "Ready");
}

async fn a_customer_stays_until_its_broker_answers() {
    let site = Site::with_broker("e-away", "http://127.0.0.1:9");
    site.customer("shops", &json!({}));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    site.api.delete(&path("shops", "customers", "acme"));
    site.reconcile_customer("shops").await.unwrap().unwrap_err();
    assert_eq!(site.ready("shops", "customers"), "BrokerUnreachable");
}

async fn a_broker_that_refuses_is_told_of() {
    for (answer, reason) in [
        ("401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}", "BrokerDenied"),
        ("500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}", "BrokerRefused"),
        ("200 OK\r\ncontent-length: 7\r\n\r\nnothing", "BrokerRefused"),
    ] {
        let site = Site::with_broker("e-refuses", &answering(answer));
        site.customer("shops", &json!({}));
        site.reconcile_customer("shops").await.unwrap().unwrap();
        assert_eq!(site.ready("shops", "customers"), reason, "{answer}");
        assert!(site.api.get(&core("shops", "secrets", "acme-client-web")).is_none());
    }
}

/// Answers every request alike.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            // Whoever asks may have gone.
            let _ = stream.read(&mut request);
            let _ = stream.write_all(
                format!("HTTP/1.1 {}", answer.replacen("\r\n", "\r\nconnection: close\r\n", 1)).as_bytes(),
            );
        }
    });
    url
}

async fn an_alert_says_what_it_lacks() {
    let site = Site::new("e-alert");
    let alert = |more: &Value| {
        let mut spec =
            json!({"topology": "web", "receivers": [{"name": "ops", "email": {"to": ["ops@acme.example"]}}]});
        spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let object =
            json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": "Alert", "metadata": {}, "spec": spec});
        site.api.put(&path("shops", "alerts", "web"), object);
    };
    let reconciled = async || {
        let object = site.api.get(&path("shops", "alerts", "web")).unwrap();
        let alert = serde_json::from_value(object).unwrap();
        kinetic_operator::reconcile::alert::reconcile(&alert, &site.context).await.unwrap();
        site.ready("shops", "alerts")
    };
    alert(&json!({}));
    assert_eq!(reconciled().await, "TopologyMissing");
    site.topology("shops", &json!({}));
    assert_eq!(reconciled().await, "Ready");
    alert(&json!({"match": {"analytics": ["slow"]}}));
    assert_eq!(reconciled().await, "UnknownReference");
    let analytic = json!({"name": "slow", "source": "pages", "match": {"metric": "**"}, "cluster": {}});
    site.topology("shops", &json!({"analytics": [analytic]}));
    assert_eq!(reconciled().await, "Ready");
    site.api.writes();
    assert_eq!(reconciled().await, "Ready");
    assert_eq!(site.api.writes(), Vec::<String>::new());
    site.api.refuse(|_, path| path.ends_with("/alerts/web/status").then_some(409));
    alert(&json!({"active": false}));
    let object = serde_json::from_value(site.api.get(&path("shops", "alerts", "web")).unwrap()).unwrap();
    let refused = kinetic_operator::reconcile::alert::reconcile(&object, &site.context).await;
    assert!(refused.unwrap_err().to_string().contains("refused by the test"));
    site.api.refuse_nothing();
    reconciled().await;
    assert_eq!(site.api.get(&path("shops", "alerts", "web")).unwrap()["status"]["state"], "Inactive");
}

/// The garbage collector may come after the next Topology of the name.
async fn what_a_former_topology_left_is_taken_over() {
    let site = ready("e-former").await;
    site.reconcile_topology("shops").await.unwrap().unwrap();
    let topology = path("shops", "topologies", "web");
    site.api.delete(&topology);
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert!(site.api.get(&topology).is_none());
    site.topology("shops", &json!({}));
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "topologies"), "Starting");
    let uid = site.api.get(&topology).unwrap()["metadata"]["uid"].clone();
    let config = site.api.get(&core("shops", "configmaps", "web-analyzer")).unwrap();
    assert_eq!(config["metadata"]["ownerReferences"][0]["uid"], uid);
}
