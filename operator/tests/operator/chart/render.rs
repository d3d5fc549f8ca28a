//! What comes of values.

use kinetic_operator::config::{Config, Redirector, pods::ContainerSettings};
use kinetic_tests::helm::{self, chart};
use serde_json::{Value, json};

use super::{VALUES, objects, operators, parsed, rendered, template, text};

#[test]
fn as_it_was() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    for name in VALUES {
        insta::assert_snapshot!(format!("chart_{name}"), rendered(name));
    }
}

#[test]
fn helm_finds_nothing_to_complain_of() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    for name in ["kinetic", "kinetic-crds"] {
        let output = helm::helm(&["lint", "--strict", chart(name).to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// The operator's own parser reads what the chart writes.
#[test]
fn the_operator_can_read_its_configuration() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    let read = |name: &str| operators(&objects(name));
    let trial = read("trial");
    assert_eq!(
        (trial.namespace.as_str(), trial.watch_namespaces.as_slice()),
        (crate::site::OWN, &[crate::site::OWN.to_owned()][..])
    );
    let broker = &trial.placements[0].brokers[0];
    assert_eq!(broker.nodes, ["kinetic-rabbitmq.kinetic-system.svc:5672"]);
    assert_eq!(broker.admin.url, "http://kinetic-rabbitmq.kinetic-system.svc:15672");
    assert_eq!(
        trial.placement("local", "demo").unwrap().internal_host(crate::site::OWN),
        door(&objects("trial"))
    );

    assert!(read("all-namespaces").watch_namespaces.is_empty());
    let every = read("everything");
    assert_eq!(every.watch_namespaces, ["shops", "hosts"]);
    assert_eq!((every.trust_domain.as_str(), every.master_key_version), ("metrics.example", 2));
    assert_eq!(
        every.issuer.as_ref().map(|issuer| (issuer.name.as_str(), issuer.kind.as_str())),
        Some(("platform", "Issuer"))
    );
    assert!(trial.issuer.is_none());
    assert_eq!(every.rotation.reissues_per_second, 5);
    assert!(every.image.starts_with("registry.example/kinetic@sha256:"));
    assert_eq!(every.placements[0].brokers[0].max_customers, 100);
    assert_eq!(every.placements[0].brokers[1].nodes, ["rabbit.kinetic-system.svc:5672"]);
    doors_and_analyzers_are_as_the_values_say(&every);
}

/// A placement's own values lie over those of all, field by field.
fn doors_and_analyzers_are_as_the_values_say(config: &Config) {
    let [west, local] = [0, 1].map(|n| &config.placements[n].redirector);
    assert_eq!((west.replicas, local.replicas), (3, 0));
    let service = |door: &Redirector| {
        (door.service.kind.clone().unwrap(), door.service.annotations["example.com/zone"].clone())
    };
    assert_eq!(service(west), ("LoadBalancer".to_owned(), "a".to_owned()));
    assert_eq!(service(local), ("NodePort".to_owned(), "all".to_owned()));
    assert_eq!(west.service.annotations["example.com/team"], "platform");
    assert_eq!((west.pod.tolerations.len(), local.pod.tolerations.len()), (0, 1));
    assert_eq!((west.pod.node_selector.len(), local.pod.node_selector.len()), (2, 1));
    assert_eq!(west.pod.pod_annotations["example.com/note"], "west");
    assert_eq!(west.pod.pod_annotations["example.com/other"], "pod");
    let limits = |container: &ContainerSettings| {
        let limits = container.resources.clone().unwrap().limits.unwrap();
        ["memory", "cpu", "ephemeral-storage"].map(|of| limits.get(of).map(|amount| amount.0.clone()))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(limits(&west.container), [some("1Gi"), some("2"), some("3Gi")]);
    assert_eq!(limits(&local.container), [some("2Gi"), None, some("3Gi")]);
    assert_eq!(west.pod.image_pull_secrets[0].name, "pull");

    let of = &config.analyzer;
    assert_eq!(of.pod.image_pull_secrets[0].name, "tenants-pull");
    assert_eq!(of.pod.tolerations[0].toleration_seconds, Some(3600));
    assert_eq!(of.pod.runtime_class_name.as_deref(), Some("gvisor"));
    assert_eq!(limits(&of.container), [some("2Gi"), None, some("3Gi")]);
    assert_eq!(of.sidecar.extra_env[0].value.as_deref(), Some("info"));
    assert_eq!(limits(&of.sidecar), [some("128Mi"), None, some("512Mi")]);
}

/// The front door that `helm test` asks.
fn door(objects: &[Value]) -> String {
    let pod = objects.iter().find(|object| text(object, "/kind") == "Pod").unwrap();
    let args = pod["spec"]["containers"][0]["args"].as_array().unwrap();
    let url = args.iter().filter_map(Value::as_str).find_map(|arg| arg.strip_prefix("amqps://")).unwrap();
    url.trim_end_matches(":5671").to_owned()
}

/// What a StatefulSet selects and claims cannot be changed: an upgrade with a word of it changed would be refused.
#[test]
fn no_version_stands_where_it_could_not_change() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    let mut looked_at = 0;
    for object in objects("trial").iter().filter(|object| text(object, "/kind") == "StatefulSet") {
        let selected = &object["spec"]["selector"]["matchLabels"];
        assert_eq!(selected.as_object().unwrap().len(), 3, "{selected}");
        for claim in object["spec"]["volumeClaimTemplates"].as_array().unwrap() {
            assert_eq!(claim["metadata"], json!({"name": "data", "labels": selected}));
            looked_at += 1;
        }
    }
    assert_eq!(looked_at, 2);
}

/// The name of whatever the operator makes by itself must not be the chart's.
#[test]
fn releases_by_other_names_are_told_apart() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    let chart = chart("kinetic");
    let long = "a-release-whose-name-is-as-long-as-helm-will-take-it";
    let output = helm::helm(&["template", long, chart.to_str().unwrap(), "--set", "rabbitmq.enabled=true"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for object in parsed(&String::from_utf8(output.stdout).unwrap()) {
        let name = text(&object, "/metadata/name");
        assert!(name.len() <= 63, "{name}");
        if text(&object, "/kind") == "StatefulSet" {
            // The pod's name and a hash of ten digits become a label.
            assert!(name.len() <= 52, "{name}");
        }
    }
}

#[test]
fn a_placement_without_a_broker_is_refused() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    let error = template(&["--set-json", r#"placements=[{"region":"r","provider":"p"}]"#]).unwrap_err();
    assert!(error.contains("placements[0].brokers") && error.contains("rabbitmq.enabled"), "{error}");
}
