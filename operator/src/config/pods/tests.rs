use k8s_openapi::api::core::v1::Capabilities;
use serde_json::json;

use super::*;

fn pod(written: Value) -> Result<PodSettings, String> {
    serde_json::from_value(written).map_err(|error| error.to_string())
}

fn container(written: Value) -> Result<ContainerSettings, String> {
    serde_json::from_value(written).map_err(|error| error.to_string())
}

#[test]
fn kubernetes_own_types_are_read_to_the_last_field() {
    let read = pod(json!({
        "tolerations": [{"key": "dedicated", "operator": "Exists", "tolerationSeconds": 5}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            [{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}]}},
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca", "items": [{"key": "a", "path": "b"}]}}],
        "podSecurityContext": {"runAsUser": null, "seLinuxOptions": {"level": "s0"}},
        "runtimeClassName": "gvisor",
    }))
    .unwrap();
    assert_eq!(read.tolerations[0].toleration_seconds, Some(5));
    assert_eq!(read.runtime_class_name.as_deref(), Some("gvisor"));
    for (written, named) in [
        (json!({"tolerations": [{"operater": "Exists"}]}), "[0].operater: there is no such field"),
        (json!({"affinity": {"nodeAfinity": {}}}), "nodeAfinity: there is no such field"),
        (json!({"affinity": {"nodeAffinity": 5}}), "nodeAffinity: invalid type"),
        (json!({"topologySpreadConstraints": [{"maxSkew": "1"}]}), "[0].maxSkew: invalid type"),
        (json!({"imagePullSecrets": ["pull"]}), "[0]: invalid type"),
        (json!({"podSecurityContext": {"runAsRoot": true}}), "runAsRoot: there is no such field"),
        (json!({"nodeselector": {}}), "unknown field `nodeselector`"),
        (json!({"podLabels": {"app.kubernetes.io/name": "mine"}}), "app.kubernetes.io/name"),
        (json!({"podAnnotations": {"kinetic.dev/config": "mine"}}), "kinetic.dev/config"),
    ] {
        let error = pod(written).unwrap_err();
        assert!(error.contains(named), "{named}: {error}");
    }
    for (written, named) in [
        (json!({"resources": {"limit": {}}}), "limit: there is no such field"),
        (json!({"resources": {"limits": {"memory": true}}}), "limits.memory: invalid type"),
        (json!({"extraEnv": [{"name": "A", "valueFrom": {"secret": {}}}]}), "[0].valueFrom.secret"),
        (json!({"securityContext": {"capabilities": {"drop": "ALL"}}}), "capabilities.drop: invalid type"),
    ] {
        let error = container(written).unwrap_err();
        assert!(error.contains(named), "{named}: {error}");
    }
}

#[test]
fn an_amount_may_be_a_number() {
    let read = resources(json!({"limits": {"cpu": 2, "memory": "1Gi"}, "requests": {"cpu": 0.5}})).unwrap();
    assert_eq!(read.limits.unwrap()["cpu"].0, "2");
    assert_eq!(read.requests.unwrap()["cpu"].0, "0.5");
}

#[test]
fn an_overlay_changes_what_it_says_and_no_more() {
    let own = SecurityContext {
        run_as_user: Some(65_533),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        ..SecurityContext::default()
    };
    let read = container(json!({"securityContext": {
        "runAsUser": null, "readOnlyRootFilesystem": false, "capabilities": {"add": ["NET_BIND_SERVICE"]},
    }}))
    .unwrap();
    let over = serde_json::to_value(read.security_context.over(&own)).unwrap();
    let wanted = json!({
        "readOnlyRootFilesystem": false, "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
    });
    assert_eq!(over, wanted);
    assert_eq!(Overlay::default().over(&own), own);
}

#[test]
fn what_does_not_go_together_is_told_by_field() {
    let volumes = |volumes: Value| pod(json!({"extraVolumes": volumes})).unwrap();
    let mounts = |mounts: Value| container(json!({"extraVolumeMounts": mounts})).unwrap();
    let ca = || volumes(json!([{"name": "ca", "emptyDir": {}}]));
    let told = |pod: &PodSettings, container: &ContainerSettings| {
        fault(pod, &[("sidecar", container)], &["config", "tls"]).map(|(field, _)| field)
    };
    let plain = ContainerSettings::default();
    assert_eq!(told(&ca(), &mounts(json!([{"name": "ca", "mountPath": "/etc/ssl/own"}]))), None);
    assert_eq!(told(&ca(), &mounts(json!([{"name": "ca", "mountPath": "/etc/kinetics"}]))), None);
    for (pod, container, field) in [
        (volumes(json!([{"name": "tls"}])), plain.clone(), "pod.extraVolumes[0].name"),
        (volumes(json!([{"name": "a"}, {"name": "a"}])), plain.clone(), "pod.extraVolumes[1].name"),
        // What holds the certificate is for the sidecar alone.
        (ca(), mounts(json!([{"name": "tls", "mountPath": "/x"}])), "sidecar.extraVolumeMounts[0].name"),
        (
            ca(),
            mounts(json!([{"name": "ca", "mountPath": "/etc/kinetic/tls/"}])),
            "sidecar.extraVolumeMounts[0].mountPath",
        ),
        (
            ca(),
            container(json!({"extraEnv": [{"name": "A"}, {"name": "A"}]})).unwrap(),
            "sidecar.extraEnv[1].name",
        ),
    ] {
        assert_eq!(told(&pod, &container).as_deref(), Some(field));
    }
}
