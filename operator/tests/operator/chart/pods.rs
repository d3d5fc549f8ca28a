//! Every pod is as the restricted Pod Security Standard wants it, whatever the values say.

use kinetic_tests::helm;
use serde_json::{Value, json};

use super::{VALUES, made, objects, operators, pods};

#[test]
fn every_pod_is_restricted() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    for values in VALUES {
        let objects = objects(values);
        let (pods, made) = (pods(&objects), made(&operators(&objects)));
        assert!(
            pods.len() >= 4 && made.len() >= 2,
            "operator, alert service, hook and test; front door and analyzer"
        );
        for (name, pod) in pods.into_iter().chain(made) {
            let faults = faults(&pod["spec"]);
            assert!(faults.is_empty(), "{values}: {name}: {faults:?}");
        }
    }
}

/// What the standard (pod-security.kubernetes.io, `restricted`) would say; an API server says it again in `server.rs`.
fn faults(pod: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut want = |holds: bool, what: &str| {
        if !holds {
            faults.push(what.to_owned());
        }
    };
    let security = &pod["securityContext"];
    want(security["runAsNonRoot"] == true, "runAsNonRoot");
    want(security["runAsUser"].as_i64() != Some(0), "runAsUser");
    want(security["seccompProfile"]["type"] == "RuntimeDefault", "seccompProfile");
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        want(pod[field].is_null(), field);
    }
    let known =
        ["configMap", "secret", "emptyDir", "projected", "persistentVolumeClaim", "downwardAPI", "csi"];
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let kinds = volume.as_object().unwrap().keys().filter(|key| *key != "name");
        want(kinds.into_iter().all(|kind| known.contains(&kind.as_str())), "volumes");
    }
    let containers =
        ["containers", "initContainers"].iter().filter_map(|field| pod[*field].as_array()).flatten();
    for container in containers {
        let security = &container["securityContext"];
        want(security["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation");
        want(security["capabilities"] == json!({"drop": ["ALL"]}), "capabilities");
        want(security["privileged"].is_null(), "privileged");
        want(
            container["ports"].as_array().into_iter().flatten().all(|port| port["hostPort"].is_null()),
            "hostPort",
        );
        // The standard does not ask for these; we do.
        want(container["resources"]["limits"]["memory"].is_string(), "a limit of memory");
    }
    faults
}

#[test]
fn without_being_told_otherwise_nothing_can_be_written_to() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    for (name, pod) in pods(&objects("trial")) {
        let security = &pod["spec"]["containers"][0]["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
        // RabbitMQ is nobody's of Kubernetes, and the test neither.
        let token = pod["spec"]["automountServiceAccountToken"].as_bool().unwrap();
        assert_eq!(token, !name.contains("rabbitmq") && !name.contains("test"), "{name}");
    }
}
