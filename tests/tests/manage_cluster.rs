//! `kinetic get`, `apply`, `delete` and `status` on a real API server, where there is one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kinetic_api::resources::definitions;
use kinetic_tests::{
    kubernetes::{self, Kubernetes},
    process::{Ended, eventually, kinetic},
};
use kube::{
    Api, Client,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;

const SHOP: &str = "apiVersion: kinetic.dev/v1alpha1
kind: Customer
metadata: {name: shop}
spec:
  region: test
  provider: local
  clients: [{name: web, profile: web}]
";

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn resources_of_a_cluster_are_managed() {
    if let Some(reason) = kubernetes::missing() {
        return kinetic_tests::skip(&reason);
    }
    let kubernetes = Kubernetes::start();
    let kubeconfig = text(&kubernetes.kubeconfig());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.yaml");
    fs::write(&file, SHOP).unwrap();
    let run = |arguments: &[&str]| -> Ended { kinetic([arguments, &["--kubeconfig", &kubeconfig]].concat()) };
    let apply = |more: &[&str]| run(&[&["apply", "-f", &text(&file)], more].concat());

    // Before there are definitions the error says how to get them. An API server that has just started may refuse for a moment.
    eventually("the API server to know that it knows nothing", || apply(&[]).stderr.contains("kinetic crd"));
    tokio::runtime::Runtime::new().unwrap().block_on(define(&kubeconfig));
    eventually("the definitions to be served", || run(&["get", "all", "-A"]).status.success());

    let dry = apply(&["--dry-run"]).expect_success().stdout;
    assert_eq!(dry, "Customer shop created (dry run)\n");
    assert!(run(&["get", "customers"]).expect_success().stderr.contains("there are none"));
    assert_eq!(apply(&[]).expect_success().stdout, "Customer shop created\n");
    assert_eq!(apply(&[]).expect_success().stdout, "Customer shop unchanged\n");
    let elsewhere = apply(&["-n", "nowhere"]);
    assert!(
        !elsewhere.status.success() && elsewhere.stderr.contains("create the namespace"),
        "{}",
        elsewhere.stderr
    );

    // What files cannot know the API server says, with file, line and field.
    fs::write(&file, SHOP.replace("region: test", "region: moon")).unwrap();
    let refused = apply(&[]);
    let place = format!("{}:5:3: Customer shop: spec.region: ", text(&file));
    assert!(
        !refused.status.success() && refused.stderr.contains(&place) && refused.stderr.contains("immutable"),
        "{}",
        refused.stderr
    );
    // What files can know is said before it is asked.
    fs::write(&file, SHOP.replace("provider", "provder")).unwrap();
    assert!(apply(&[]).stderr.contains("did you mean provider?"));
    fs::write(&file, SHOP.replace("clients", "displayName: The shop\n  clients")).unwrap();
    assert_eq!(apply(&[]).expect_success().stdout, "Customer shop configured\n");

    let table = run(&["get", "kcust", "-A"]).expect_success().stdout;
    let heads: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heads, ["NAMESPACE", "NAME", "VHOST", "BROKER", "READY", "REASON", "AGE"]);
    assert!(table.lines().nth(1).unwrap().starts_with("default     shop"), "{table}");
    let json = run(&["get", "customer", "shop", "-o", "json"]).expect_success().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["spec"]["displayName"], "The shop");
    assert!(json["metadata"]["managedFields"].is_null());

    // Shown, changed, applied: a read is a file.
    let shown = run(&["get", "customer", "shop", "-o", "yaml"]).expect_success().stdout;
    fs::write(&file, shown.replace("The shop", "Our shop")).unwrap();
    assert_eq!(apply(&[]).expect_success().stdout, "Customer shop configured\n");

    let status = run(&["status", "shop"]);
    assert_eq!(status.status.code(), Some(1));
    for says in
        ["default/shop  test.local.shop", "?       broker", "there is no Topology", "broken at: streams"]
    {
        assert!(status.stdout.contains(says), "{}", status.stdout);
    }
    let nobody = run(&["status", "nobody"]);
    assert!(nobody.stderr.contains("there is no Customer nobody"), "{}", nobody.stderr);

    assert_eq!(run(&["delete", "customer", "shop"]).expect_success().stdout, "Customer shop deleted\n");
    let gone = run(&["delete", "customer", "shop"]);
    assert!(!gone.status.success() && gone.stderr.contains("there is no Customer shop"), "{}", gone.stderr);
    let context = run(&["get", "all", "--context", "other"]);
    assert!(!context.status.success() && context.stderr.contains("--kubeconfig"), "{}", context.stderr);
}

/// `kinetic crd | kubectl apply`, without kubectl.
async fn define(kubeconfig: &str) {
    // Another test of this process may have done so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
    let api = Api::<CustomResourceDefinition>::all(Client::try_from(config).unwrap());
    for definition in definitions() {
        api.create(&PostParams::default(), &definition).await.unwrap();
    }
}
