//! Who may do what: read off the rendered objects.

use std::collections::{BTreeMap, BTreeSet};

use kinetic_tests::helm;
use serde_json::Value;

use super::{VALUES, objects, text};
use crate::site::OWN;

/// A right: namespace (`*` for all), resource, verb.
type Right = (String, String, String);

/// All rights of each account and of the roles that nobody has yet, by name.
fn rights(objects: &[Value]) -> BTreeMap<String, BTreeSet<Right>> {
    let mut all: BTreeMap<String, BTreeSet<Right>> = BTreeMap::new();
    let roles = objects.iter().filter(|object| ["Role", "ClusterRole"].contains(&text(object, "/kind")));
    for role in roles {
        let (kind, name) = (text(role, "/kind"), text(role, "/metadata/name"));
        let namespace = text(role, "/metadata/namespace");
        let bindings = objects.iter().filter(|binding| {
            text(binding, "/roleRef/kind") == kind
                && text(binding, "/roleRef/name") == name
                && text(binding, "/metadata/namespace") == namespace
        });
        let mut who: Vec<_> = bindings.map(|binding| text(binding, "/subjects/0/name").to_owned()).collect();
        if who.is_empty() {
            who.push(name.to_owned());
        }
        for rule in role["rules"].as_array().unwrap() {
            let each = |field: &str| {
                rule[field]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|v| v.as_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
            };
            for resource in each("resources") {
                for verb in each("verbs") {
                    let scope = if kind == "Role" { namespace } else { "*" };
                    for who in &who {
                        all.entry(who.clone()).or_default().insert((
                            scope.to_owned(),
                            resource.clone(),
                            verb.clone(),
                        ));
                    }
                }
            }
        }
    }
    all
}

#[test]
fn nobody_but_the_operator_reads_secrets() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    for values in VALUES {
        let all = rights(&objects(values));
        let operator = if values == "everything" { "control" } else { "kinetic-operator" };
        for (who, rights) in &all {
            let secrets: BTreeSet<_> =
                rights.iter().filter(|(_, resource, _)| resource == "secrets").collect();
            match who.as_str() {
                who if who == operator => assert!(!secrets.is_empty()),
                // It deletes them by name and label. To list is to read: it has that for as long as it runs.
                "kinetic-uninstall" => {
                    assert!(secrets.iter().all(|(_, _, verb)| verb == "list" || verb == "delete"));
                }
                _ => assert!(secrets.is_empty(), "{values}: {who}: {secrets:?}"),
            }
            assert!(
                rights.iter().all(|(_, resource, verb)| resource != "*" && verb != "*"),
                "{values}: {who}"
            );
            let powers = [
                "roles",
                "rolebindings",
                "clusterroles",
                "clusterrolebindings",
                "pods/exec",
                "serviceaccounts/token",
            ];
            assert!(
                rights.iter().all(|(_, resource, _)| !powers.contains(&resource.as_str())),
                "{values}: {who}"
            );
        }
    }
}

#[test]
fn front_doors_and_alert_service_only_read_what_they_follow() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    for (values, alert, namespaces) in [
        ("trial", "kinetic-alert", &[OWN][..]),
        ("all-namespaces", "kinetic-alert", &["*"]),
        ("everything", "incidents", &["hosts", "shops"]),
    ] {
        let all = rights(&objects(values));
        for (who, resources) in [
            ("kinetic-redirector", &["customers", "enrollments", "topologies"][..]),
            (alert, &["alerts", "customers", "topologies"]),
        ] {
            let mut wanted: BTreeSet<Right> = namespaces
                .iter()
                .flat_map(|namespace| resources.iter().map(move |resource| (namespace, resource)))
                .flat_map(|(n, r)| {
                    ["get", "list", "watch"].map(|verb| ((*n).to_owned(), (*r).to_owned(), verb.to_owned()))
                })
                .collect();
            if who == "kinetic-redirector" {
                // Machines' requests are taken in; whoever decides writes their status.
                wanted.extend(namespaces.iter().flat_map(|namespace| {
                    ["get", "list", "watch", "create"]
                        .map(|verb| ((*namespace).to_owned(), "enrollments".to_owned(), verb.to_owned()))
                }));
            }
            assert_eq!(all[who], wanted, "{values}: {who}");
        }
    }
}

/// What is made where resources are can be looked after, and goes when the operator does. That the rights suffice for all else an API server says (`server.rs`).
#[test]
fn claims_and_enrollments_are_within_reach() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    for (values, operator, scopes) in [
        ("trial", "kinetic-operator", &[OWN][..]),
        ("all-namespaces", "kinetic-operator", &["*"]),
        ("everything", "control", &["hosts", "shops"]),
    ] {
        let all = rights(&objects(values));
        let of = |who: &str, resource: &str| -> BTreeSet<(String, String)> {
            let its = all[who].iter().filter(|(_, of, _)| of == resource);
            its.map(|(scope, _, verb)| (scope.clone(), verb.clone())).collect()
        };
        for (who, resource, verbs) in [
            (operator, "persistentvolumeclaims", &["get", "list", "watch", "create", "patch", "delete"][..]),
            ("kinetic-uninstall", "persistentvolumeclaims", &["list", "delete"]),
            ("kinetic-uninstall", "enrollments", &["list", "delete"]),
        ] {
            let each =
                |scope: &&str| verbs.iter().map(|verb| ((*scope).to_owned(), (*verb).to_owned())).collect();
            let wanted: BTreeSet<_> = scopes.iter().flat_map(|scope| -> Vec<_> { each(scope) }).collect();
            assert_eq!(of(who, resource), wanted, "{values}: {who}: {resource}");
        }
        let whose: Vec<_> = all.keys().filter(|who| !of(who, "persistentvolumeclaims").is_empty()).collect();
        assert_eq!(
            whose,
            BTreeSet::from([operator, "kinetic-uninstall"]).into_iter().collect::<Vec<_>>(),
            "{values}"
        );
    }
}

#[test]
fn cluster_wide_rights_are_for_whoever_asked_for_them() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    let bound = |values: &str| {
        let all = objects(values);
        all.iter().filter(|object| text(object, "/kind") == "ClusterRoleBinding").count()
    };
    assert_eq!((bound("trial"), bound("everything")), (1, 1), "the operator's, to take finalizers off");
    let all = rights(&objects("trial"));
    let everywhere = all["kinetic-operator"].iter().filter(|(scope, _, _)| scope == "*");
    let resources: BTreeSet<_> = everywhere.map(|(_, resource, _)| resource.as_str()).collect();
    let ours =
        ["alerts", "alerts/status", "customers", "customers/status", "topologies", "topologies/status"];
    assert_eq!(resources, BTreeSet::from(ours));
    assert_eq!(bound("all-namespaces"), 4, "operator, front doors, alert service, hook");
}

#[test]
fn tenants_edit_topologies_and_alerts_and_the_platform_team_customers() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    let all = rights(&objects("trial"));
    let may = |who: &str, resource: &str, verb: &str| {
        all[who].contains(&("*".to_owned(), resource.to_owned(), verb.to_owned()))
    };
    for (who, resource, read, write) in [
        ("kinetic-viewer", "customers", true, false),
        ("kinetic-viewer", "alerts", true, false),
        ("kinetic-tenant-editor", "customers", true, false),
        ("kinetic-tenant-editor", "topologies", true, true),
        ("kinetic-tenant-editor", "alerts", true, true),
        ("kinetic-platform", "customers", true, true),
        ("kinetic-platform", "topologies", true, true),
    ] {
        assert_eq!(
            (may(who, resource, "list"), may(who, resource, "delete")),
            (read, write),
            "{who} {resource}"
        );
    }
    let label = |values: &str, role: &str| {
        let all = objects(values);
        let role = all
            .iter()
            .find(|object| text(object, "/kind") == "ClusterRole" && text(object, "/metadata/name") == role)
            .unwrap();
        let labels = role["metadata"]["labels"].as_object().unwrap();
        labels
            .keys()
            .filter_map(|key| key.strip_prefix("rbac.authorization.k8s.io/aggregate-to-"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(label("trial", "kinetic-viewer"), ["view"]);
    assert_eq!(label("trial", "kinetic-tenant-editor"), ["edit"]);
    assert!(label("trial", "kinetic-platform").is_empty());
    assert!(label("everything", "kinetic-tenant-editor").is_empty());
}
