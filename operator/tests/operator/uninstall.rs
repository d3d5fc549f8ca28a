//! The operator goes for good.

use std::time::Duration;

use kinetic_operator::{
    config::IssuerRef,
    uninstall::{Left, Uninstall, UninstallError, uninstall},
};
use kinetic_tests::rabbitmq::RabbitMq;
use serde_json::{Value, json};

use crate::site::{OWN, Site, broker, config, core, path};

/// The operator's Deployment, which a test's API server has without a chart.
fn deployment() -> String {
    format!("/apis/apps/v1/namespaces/{OWN}/deployments/kinetic-operator")
}

async fn go(site: &Site, admin: &str, patience: Duration) -> Result<Left, UninstallError> {
    let (config, _folder) = config(admin, site.region);
    let how = Uninstall { deployment: Some("kinetic-operator".into()), patience };
    uninstall(site.api.client(), config, "hook".into(), &how).await
}

/// A Customer with a Topology, reconciled, beside things that are not the operator's.
async fn installed(region: &'static str, policy: &str) -> Site {
    let site = Site::new(region);
    site.api.put(
        &deployment(),
        json!({
            "metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"part": "operator"}}, "template": {}},
        }),
    );
    site.api.put(&core("shops", "secrets", "theirs"), json!({"metadata": {}, "data": {}}));
    site.customer("shops", &json!({"deletionPolicy": policy}));
    site.topology("shops", &json!({"analyzer": {"checkpoint": {}}}));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    site.reconcile_topology("shops").await.unwrap().unwrap();
    kinetic_operator::reconcile::release::reconcile(&site.context).await.unwrap();
    assert!(site.api.get(&core("shops", "secrets", "acme-client-web")).is_some());
    site.api.writes();
    site
}

/// A machine that asked, with a token that its Customer keeps the hash of.
fn enrolled(site: &Site) -> String {
    let request = path("shops", "enrollments", "web-1");
    let spec = json!({
        "customer": "acme", "client": "web", "name": "web-1", "csr": "…", "address": "192.0.2.1",
        "keyFingerprint": format!("sha256:{}", "0".repeat(64)), "requestedAt": "2026-11-22T00:00:00Z",
    });
    let issued = json!({"state": "Issued", "certificate": "…"});
    let whole = json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": "Enrollment", "metadata": {}, "spec": spec, "status": issued});
    site.api.put(&request, whole);
    let mut customer = site.api.get(&path("shops", "customers", "acme")).unwrap();
    customer["metadata"]["annotations"]["token.enrollment.kinetic.dev/0123456789abcdef"] = json!("{}");
    customer["metadata"]["annotations"]["example.com/theirs"] = json!("kept");
    site.api.replace(&path("shops", "customers", "acme"), customer);
    request
}

fn annotations(site: &Site) -> Value {
    site.api.get(&path("shops", "customers", "acme")).unwrap()["metadata"]["annotations"].clone()
}

/// What there is, by path.
fn there(site: &Site) -> Vec<String> {
    site.api.paths()
}

fn finalizers(site: &Site, plural: &str, name: &str) -> Value {
    site.api.get(&path("shops", plural, name)).unwrap()["metadata"]["finalizers"].clone()
}

/// One that stands by would take the Lease next, and make everything again.
#[tokio::test]
async fn nothing_is_removed_while_an_operator_is_left() {
    let site = installed("u-standby", "Delete").await;
    let pod = core(OWN, "pods", "kinetic-operator-2");
    let labels = json!({"metadata": {"labels": {"part": "operator"}}, "status": {"phase": "Running"}});
    site.api.put(&pod, labels);
    let error = go(&site, &broker(), Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, UninstallError::Acting { .. }), "{error}");
    assert!(site.api.get(&core("shops", "secrets", "acme-client-web")).is_some());
    site.api.delete(&pod);
    assert_eq!(go(&site, &broker(), Duration::from_secs(20)).await.unwrap(), Left::new());
}

#[tokio::test]
async fn nothing_is_left_but_what_others_wrote() {
    let site = installed("u-delete", "Delete").await;
    enrolled(&site);
    let claim = core("shops", "persistentvolumeclaims", "web-analyzer-0");
    assert!(site.api.get(&claim).is_some());
    site.api.put(&core("shops", "persistentvolumeclaims", "theirs"), json!({"metadata": {}, "spec": {}}));
    assert_eq!(go(&site, &broker(), Duration::from_secs(20)).await.unwrap(), Left::new());
    assert_eq!(
        there(&site),
        [
            core("shops", "persistentvolumeclaims", "theirs"),
            core("shops", "secrets", "theirs"),
            deployment(),
            path("shops", "customers", "acme"),
            path("shops", "topologies", "web")
        ]
    );
    assert_eq!(annotations(&site), json!({"example.com/theirs": "kept"}), "no token lets anybody in");
    assert_eq!(site.api.get(&deployment()).unwrap()["spec"]["replicas"], 0, "it would make everything again");
    assert_eq!(
        (finalizers(&site, "customers", "acme"), finalizers(&site, "topologies", "web")),
        (json!([]), json!([]))
    );
    assert!(site.broker("vhosts").is_empty() && site.broker("users").is_empty());
    // Again, as after a crash at the end: there is nothing to be done.
    assert_eq!(go(&site, &broker(), Duration::from_secs(20)).await.unwrap(), Left::new());
}

#[tokio::test]
async fn who_is_retained_keeps_data_and_authority() {
    let site = installed("u-retain", "Retain").await;
    let (streams, request) = (site.broker("queues"), enrolled(&site));
    assert!(!streams.is_empty());
    assert_eq!(go(&site, &broker(), Duration::from_secs(20)).await.unwrap(), Left::new());
    assert_eq!(
        there(&site),
        [
            core(OWN, "secrets", "kinetic-ca"),
            core(OWN, "secrets", "kinetic-master-key"),
            core("shops", "secrets", "theirs"),
            deployment(),
            path("shops", "customers", "acme"),
            request,
            path("shops", "topologies", "web"),
        ]
    );
    assert_eq!(annotations(&site).as_object().unwrap().len(), 2, "who asked is known when it is back");
    assert_eq!(site.broker("queues"), streams, "its data stays");
    assert!(site.broker("users").is_empty(), "nobody comes in any more");
    assert_eq!(finalizers(&site, "customers", "acme"), json!([]));
    // Looked after again, all is back.
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "customers"), "Ready");
}

#[tokio::test]
async fn what_cert_manager_was_asked_for_goes_too() {
    let site = installed("u-issuer", "Delete").await;
    let ours = json!({"app.kubernetes.io/managed-by": "kinetic-operator"});
    let certificate = |namespace: &str, name: &str| {
        format!("/apis/cert-manager.io/v1/namespaces/{namespace}/certificates/{name}")
    };
    for (namespace, name) in [("shops", "acme-client-web"), (OWN, "kinetic-alert-tls")] {
        let spec = json!({"secretName": name});
        site.api.put(&certificate(namespace, name), json!({"metadata": {"labels": ours}, "spec": spec}));
    }
    let theirs = certificate("shops", "theirs");
    site.api.put(&theirs, json!({"metadata": {"labels": {}}, "spec": {"secretName": "theirs"}}));
    let (mut config, _folder) = config(&broker(), site.region);
    config.issuer =
        Some(IssuerRef { name: "ours".into(), kind: "Issuer".into(), group: "cert-manager.io".into() });
    let how = Uninstall { deployment: None, patience: Duration::from_secs(20) };
    assert_eq!(uninstall(site.api.client(), config, "hook".into(), &how).await.unwrap(), Left::new());
    let left: Vec<_> = there(&site).into_iter().filter(|path| path.contains("/certificates/")).collect();
    assert_eq!(left, [theirs]);
}

#[tokio::test]
async fn a_broker_that_is_away_is_given_up_and_told_of() {
    let site = installed("u-away", "Delete").await;
    let left = go(&site, "http://127.0.0.1:9", Duration::from_secs(3)).await.unwrap();
    assert_eq!(left.len(), 1);
    assert!(left[0].contains("u-away.aws.acme") && left[0].contains("aws-1"), "{left:?}");
    assert!(site.api.events().contains(&"LeftOnBroker".to_owned()));
    assert_eq!(finalizers(&site, "customers", "acme"), json!([]));
    RabbitMq::shared().http("DELETE", "/api/vhosts/u-away.aws.acme", "");
}

#[tokio::test]
async fn a_paused_customers_vhost_is_left_alone() {
    let site = installed("u-paused", "Delete").await;
    let mut customer = site.api.get(&path("shops", "customers", "acme")).unwrap();
    customer["metadata"]["annotations"] = json!({"kinetic.dev/paused": "true"});
    site.api.replace(&path("shops", "customers", "acme"), customer);
    assert_eq!(go(&site, &broker(), Duration::from_secs(20)).await.unwrap(), Left::new());
    assert_eq!(site.broker("users").len(), 4);
    assert!(there(&site).contains(&core(OWN, "secrets", "kinetic-ca")));
    assert_eq!(finalizers(&site, "customers", "acme"), json!([]));
    RabbitMq::shared().http("DELETE", "/api/vhosts/u-paused.aws.acme", "");
}

#[tokio::test]
async fn whatever_the_api_server_refuses_it_ends_if_it_is_done_again() {
    let site = installed("u-faults", "Delete").await;
    let mut done = 0;
    // A later request fails each time, until there are no so many.
    for nth in (0..).step_by(3) {
        let mut count = 0;
        site.api.refuse(move |_, path| {
            // The Lease's refusals are waited out: that takes time, and is tested elsewhere.
            count += i32::from(!path.contains("/leases"));
            (count == nth + 1).then_some(500)
        });
        if go(&site, &broker(), Duration::from_secs(20)).await.is_ok() {
            done += 1;
            break;
        }
    }
    assert_eq!(done, 1);
    assert_eq!(there(&site).len(), 4);
    assert!(site.broker("vhosts").is_empty());
}

#[tokio::test]
async fn nothing_is_touched_while_another_operator_acts() {
    let site = installed("u-acting", "Delete").await;
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{OWN}/leases/kinetic-operator");
    let spec = json!({"holderIdentity": "another", "leaseDurationSeconds": 60, "renewTime": "2026-11-22T01:00:00.000000Z"});
    site.api.put(&lease, json!({"metadata": {}, "spec": spec}));
    let before = there(&site);
    let error = go(&site, &broker(), Duration::from_secs(3)).await.unwrap_err().to_string();
    assert!(error.contains("another operator acts") && error.contains(OWN), "{error}");
    assert_eq!(there(&site), before);
    assert_eq!(finalizers(&site, "customers", "acme"), json!(["kinetic.dev/operator"]));
    RabbitMq::shared().http("DELETE", "/api/vhosts/u-acting.aws.acme", "");
}
