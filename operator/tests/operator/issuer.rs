//! Certificates by cert-manager, on a real API server, where the test does what cert-manager would. The definition is a stand-in, unless `CERT_MANAGER_CRD` names a file with
//! cert-manager's own (`deploy/crds/cert-manager.io_certificates.yaml` of its sources).

use std::{env, fs, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kinetic_api::resources::{Customer, Topology};
use kinetic_operator::{build::certificate::Certificate, config::Config};
use kinetic_pki::{Authority, Identity, Leaf, PrivateKey};
use kinetic_tests::kubernetes;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Cluster, eventually, made, reason},
    site::OWN,
};

const REGION: &str = "c-issuer";

fn asks(config: &mut Config) {
    config.issuer = Some(serde_json::from_value(json!({"name": "ours"})).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_asked_of_cert_manager() {
    if let Some(reason) = kubernetes::missing() {
        kinetic_tests::skip(&reason);
        return;
    }
    let cluster = Cluster::start().await;
    made::<CustomResourceDefinition>(&cluster.client, &definition()).await;
    eventually("Certificates to be served", async || {
        Api::<Certificate>::all(cluster.client.clone()).list(&ListParams::default()).await.is_ok()
    })
    .await;
    let stop = CancellationToken::new();
    let (running, _) = cluster.operator_in(REGION, asks, "one", &stop);
    let client = |lifetime: &str| {
        let certificate = json!({"lifetime": lifetime, "renewBefore": "20m"});
        json!({"region": REGION, "provider": "aws", "deletionPolicy": "Delete",
            "clients": [{"name": "web", "profile": "web", "certificate": certificate}]})
    };
    let web =
        json!({"customer": "acme", "sources": [{"name": "pages", "type": "statsd", "profiles": ["web"]}]});
    cluster.apply("Customer", "acme", client("30m")).await.unwrap();
    reason::<Customer>(&cluster, "acme", "InvalidLifetime").await;
    cluster.apply("Customer", "acme", client("2h")).await.unwrap();
    cluster.apply("Topology", "web", web).await.unwrap();
    reason::<Customer>(&cluster, "acme", "AwaitingIssuer").await;
    reason::<Topology>(&cluster, "web", "AwaitingIssuer").await;
    let own = Api::<Secret>::namespaced(cluster.client.clone(), OWN);
    assert!(
        own.get_opt("kinetic-ca").await.unwrap().is_none(),
        "there is no authority of the operator's own"
    );

    let authority =
        Authority::generate(&"kinetic.local".parse().unwrap(), Duration::from_hours(9), Timestamp::now())
            .unwrap();
    for certificate in asked(&cluster).await {
        issue(&cluster, &certificate, &authority).await;
    }
    reason::<Customer>(&cluster, "acme", "Ready").await;
    reason::<Topology>(&cluster, "web", "Starting").await;
    let beside = cluster.api::<ConfigMap>().get("acme-client-web").await.unwrap().data.unwrap();
    assert_eq!(beside.keys().collect::<Vec<_>>(), ["collectd.conf", "sidecar.yaml", "statsd.js"]);
    let issued = cluster.api::<Secret>().get("acme-client-web").await.unwrap();
    let owner = &issued.owner_references()[0];
    assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("Certificate", "acme-client-web"));
    let status = cluster.api::<Customer>().get("acme").await.unwrap().status.unwrap();
    assert_eq!(status.clients[0].secret_name, "acme-client-web");
    let names: Vec<_> = asked(&cluster).await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(
        names,
        ["kinetic-alert-tls", "kinetic-redirector-c-issuer-aws", "acme-client-web", "web-analyzer-0"]
    );

    // cert-manager renews: nothing is to be done but to tell.
    let before = status.clients[0].serial.clone();
    let certificate = cluster.api::<Certificate>().get("acme-client-web").await.unwrap();
    issue(&cluster, &certificate, &authority).await;
    eventually("the new serial number to be told", async || {
        let status = cluster.api::<Customer>().get("acme").await.unwrap().status.unwrap();
        status.clients.first().is_some_and(|client| client.serial != before)
    })
    .await;

    // A class that is no more has no certificate any longer.
    let none = json!({"region": REGION, "provider": "aws", "deletionPolicy": "Delete", "clients": [{"name": "db", "profile": "web"}]});
    cluster.apply("Customer", "acme", none).await.unwrap();
    eventually("the former Certificate to be gone", async || {
        cluster.api::<Certificate>().get_opt("acme-client-web").await.unwrap().is_none()
            && cluster.api::<ConfigMap>().get_opt("acme-client-web").await.unwrap().is_none()
    })
    .await;
    cluster.api::<Topology>().delete("web", &DeleteParams::default()).await.unwrap();
    cluster.api::<Customer>().delete("acme", &DeleteParams::default()).await.unwrap();
    eventually("the Customer to be gone", async || {
        cluster.api::<Customer>().get_opt("acme").await.unwrap().is_none()
    })
    .await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// Every Certificate, by namespace and name.
async fn asked(cluster: &Cluster) -> Vec<Certificate> {
    let api = Api::<Certificate>::all(cluster.client.clone());
    api.list(&ListParams::default()).await.unwrap().items
}

/// As cert-manager: a new key, a certificate, and the Secret.
async fn issue(cluster: &Cluster, certificate: &Certificate, authority: &Authority) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rest = &certificate.spec.rest;
    let identity: Identity = text(&rest["uris"][0]).parse().unwrap();
    let lifetime = text(&rest["duration"]).parse::<kinetic_api::duration::Duration>().unwrap().std();
    let mut leaf = Leaf::new(identity.subject, lifetime);
    leaf.dns.extend(rest["dnsNames"].as_array().unwrap().iter().map(|name| text(name).try_into().unwrap()));
    let key = PrivateKey::generate().unwrap();
    let issued = authority.issue(&leaf, key.public(), Timestamp::now()).unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {
            "name": certificate.spec.secret_name,
            "labels": rest["secretTemplate"]["labels"],
            "annotations": {"cert-manager.io/certificate-name": certificate.name_any()},
        },
        "stringData": {"tls.crt": issued.certificate, "tls.key": key.pem(), "ca.crt": authority.certificate()},
    });
    Api::<Secret>::namespaced(cluster.client.clone(), &certificate.namespace().unwrap())
        .patch(
            &certificate.spec.secret_name,
            &PatchParams::apply("cert-manager").force(),
            &Patch::Apply(&secret),
        )
        .await
        .unwrap();
}

fn definition() -> CustomResourceDefinition {
    if let Some(path) = env::var_os("CERT_MANAGER_CRD") {
        return serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    }
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    serde_json::from_value(json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "certificates.cert-manager.io"},
        "spec": {
            "group": "cert-manager.io",
            "scope": "Namespaced",
            "names": {"kind": "Certificate", "plural": "certificates", "singular": "certificate", "listKind": "CertificateList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}},
            }],
        },
    }))
    .unwrap()
}
