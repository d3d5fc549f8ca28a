//! The program understands what the chart gives its pods: arguments and configuration. Each fails for what is not on this machine, and for nothing before it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, process::Command};

use kinetic_tests::{
    helm::{self, chart, helm},
    process::{binary, kinetic},
};
use serde_json::Value;

fn objects() -> Vec<Value> {
    let chart = chart("kinetic");
    let values = ["--set", "rabbitmq.enabled=true", "--set", "alert.mail.from=kinetic@acme.example"];
    let args =
        [&["template", "kinetic", chart.to_str().unwrap(), "--namespace", "kinetic-system"], &values[..]]
            .concat();
    let output = helm(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Vec<Value> = serde_saphyr::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap();
    all.into_iter().filter(|object| !object.is_null()).collect()
}

fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter().find(is).unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// A container's arguments.
fn args(pod: &Value) -> Vec<String> {
    let args = pod["containers"][0]["args"].as_array().unwrap();
    args.iter().map(|arg| arg.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_alert_service_reads_its_configuration() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    let objects = objects();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("alert.yaml");
    fs::write(
        &config,
        object(&objects, "ConfigMap", "kinetic-alert")["data"]["alert.yaml"].as_str().unwrap(),
    )
    .unwrap();
    let data = folder.path().join("data");
    let ended = kinetic(["alert", "--config", config.to_str().unwrap(), "--data", data.to_str().unwrap()]);
    assert!(ended.stderr.contains("/etc/kinetic/tls/tls.crt"), "{}", ended.stderr);
}

#[test]
fn operator_and_hook_understand_their_arguments() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    let objects = objects();
    let operator = object(&objects, "Deployment", "kinetic-operator");
    let hook = object(&objects, "Job", "kinetic-uninstall");
    for pod in [&operator["spec"]["template"]["spec"], &hook["spec"]["template"]["spec"]] {
        let ended = kinetic(args(pod));
        assert!(ended.stderr.contains("/etc/kinetic/config/operator.yaml"), "{}", ended.stderr);
    }
}

#[test]
fn helm_test_says_what_does_not_answer() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    let objects = objects();
    let mut args = args(&object(&objects, "Pod", "kinetic-test")["spec"]);
    // The authorities are a file of the cluster's.
    args.retain(|arg| !arg.starts_with("--ca") && !arg.starts_with("--patience"));
    args.push("--patience=1ms".to_owned());
    let output = Command::new(binary()).args(&args).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success());
    for asked in [
        "failed  http://kinetic-operator:8080/readyz",
        "failed  http://kinetic-alert:8183/readyz",
        "failed  amqps://kinetic-redirector-local-demo.kinetic-system.svc:5671",
    ] {
        assert!(said.contains(asked), "{said}");
    }
}
