use kinetic_api::{
    plan::TopologyPlan,
    resources::{Customer, Topology},
};
use serde_json::json;

use super::*;
use crate::broker::desired::{self, MasterKey};

const VHOST: &str = "us-west.aws.acme";

fn key() -> MasterKey {
    MasterKey { key: b"master".to_vec(), version: 1 }
}

fn acme(clients: &[&str]) -> Customer {
    let clients: Vec<_> = clients.iter().map(|name| json!({"name": name, "profile": name})).collect();
    serde_json::from_value(json!({
        "apiVersion": "kinetic.dev/v1alpha1", "kind": "Customer",
        "metadata": {"name": "acme", "namespace": "shops"},
        "spec": {"region": "us-west", "provider": "aws", "clients": clients},
    }))
    .unwrap()
}

fn web(sources: &[(&str, &[&str])]) -> TopologyPlan {
    let sources: Vec<_> = sources
        .iter()
        .map(|(name, profiles)| json!({"name": name, "type": "statsd", "profiles": profiles}))
        .collect();
    let topology: Topology = serde_json::from_value(json!({
        "apiVersion": "kinetic.dev/v1alpha1", "kind": "Topology",
        "metadata": {"name": "web", "namespace": "shops"},
        "spec": {"customer": "acme", "sources": sources},
    }))
    .unwrap();
    TopologyPlan::new(&topology).unwrap()
}

fn carried_out(state: &BrokerState, changes: &[Change]) -> BrokerState {
    let mut state = state.clone();
    for change in changes {
        state.apply(change);
    }
    state
}

fn with(clients: &[&str], sources: &[(&str, &[&str])]) -> BrokerState {
    let customer = acme(clients);
    let mut state = BrokerState::default();
    for desired in
        [desired::customer(&customer, &key(), "operator"), desired::topology(&customer, &web(sources))]
    {
        state = carried_out(&state, &difference(&state, &desired).changes);
    }
    state
}

#[test]
fn from_nothing_to_a_customer_and_then_nothing_more() {
    let desired = desired::customer(&acme(&["web"]), &key(), "operator");
    let first = difference(&BrokerState::default(), &desired);
    assert!(first.conflicts.is_empty());
    assert_eq!(
        first.changes[0],
        Change::PutVhost { vhost: VHOST.into(), description: "kinetic.dev Customer shops/acme".into() }
    );
    let state = carried_out(&BrokerState::default(), &first.changes);
    assert_eq!(difference(&state, &desired), Difference::default());
    let users: Vec<_> =
        state.users.keys().map(|user| user.strip_prefix("us-west.aws.acme/").unwrap()).collect();
    assert_eq!(users, ["alert", "analyzer", "clients/web", "control"]);
    assert_eq!(state.vhosts[VHOST].exchanges.len(), 5);
}

#[test]
fn what_somebody_deleted_comes_back_and_only_that() {
    let desired = desired::customer(&acme(&["web"]), &key(), "operator");
    let mut state = with(&["web"], &[]);
    state.apply(&Change::DeleteUser { user: format!("{VHOST}/alert") });
    state.apply(&Change::DeleteQueue { vhost: VHOST.into(), queue: "kinetic.anomalies.alert".into() });
    let changes = difference(&state, &desired).changes;
    assert_eq!(changes.len(), 4, "user, permissions, queue, binding: {changes:?}");
    assert_eq!(carried_out(&state, &changes), with(&["web"], &[]));
}

#[test]
fn a_class_that_is_taken_out_loses_its_user() {
    let state = with(&["web", "db"], &[]);
    let changes = difference(&state, &desired::customer(&acme(&["web"]), &key(), "operator")).changes;
    assert_eq!(changes, [Change::DeleteUser { user: format!("{VHOST}/clients/db") }]);
}

#[test]
fn another_key_is_other_passwords_and_nothing_else() {
    let other = MasterKey { version: 2, ..key() };
    let changes =
        difference(&with(&["web"], &[]), &desired::customer(&acme(&["web"]), &other, "operator")).changes;
    assert_eq!(changes.len(), 4);
    assert!(changes.iter().all(|change| matches!(change, Change::PutUser { .. })));
}

#[test]
fn a_topologys_streams_follow_it_and_no_others() {
    let customer = acme(&["web", "db"]);
    let state = with(&["web", "db"], &[("pages", &["web"]), ("hosts", &[])]);
    let mut other = state.clone();
    for topology in ["web2", "we"] {
        let name = format!("kinetic.metrics.{topology}.pages");
        other.apply(&Change::PutQueue { vhost: VHOST.into(), queue: name, arguments: [].into() });
    }
    let changes = difference(&other, &desired::topology(&customer, &web(&[("pages", &["db"])]))).changes;
    let there = &carried_out(&other, &changes).vhosts[VHOST];
    let queues: Vec<_> = there.queues.keys().map(String::as_str).collect();
    assert_eq!(
        queues,
        [
            "kinetic.anomalies.alert",
            "kinetic.metrics.we.pages",
            "kinetic.metrics.web.pages",
            "kinetic.metrics.web2.pages"
        ]
    );
    let keys: Vec<_> =
        there.bindings.iter().filter(|b| b.queue.ends_with("web.pages")).map(|b| b.key.as_str()).collect();
    assert_eq!(keys, ["statsd.db.#", "tick.web.pages"]);
    let gone = desired::without_topology(VHOST, desired::owner(&customer), "web");
    let left = carried_out(&state, &difference(&state, &gone).changes);
    assert_eq!(left, with(&["web", "db"], &[]));
}

#[test]
fn a_vhost_of_somebody_else_is_not_touched() {
    for description in ["", "made by hand", "kinetic.dev Customer other/acme"] {
        let mut state = BrokerState::default();
        state.apply(&Change::PutVhost { vhost: VHOST.into(), description: description.into() });
        state.apply(&Change::PutUser { user: format!("{VHOST}/alert"), password_hash: "x".into() });
        let customer = acme(&["web"]);
        for desired in [
            desired::customer(&customer, &key(), "operator"),
            desired::topology(&customer, &web(&[("p", &[])])),
        ] {
            let difference = difference(&state, &desired);
            assert_eq!((difference.changes.len(), difference.conflicts.len()), (0, 1));
        }
        assert!(removal(&state, VHOST, &desired::owner(&customer), true).is_empty());
    }
}

#[test]
fn a_queue_of_another_type_is_told_of_and_left() {
    let mut state = with(&["web"], &[]);
    let name = "kinetic.metrics.web.pages";
    state.apply(&Change::PutQueue { vhost: VHOST.into(), queue: name.into(), arguments: [].into() });
    let difference = difference(&state, &desired::topology(&acme(&["web"]), &web(&[("pages", &[])])));
    assert!(difference.conflicts[0].contains(name), "{:?}", difference.conflicts);
    assert!(!difference.changes.iter().any(|change| matches!(change, Change::DeleteQueue { .. })));
}

#[test]
fn removal_takes_the_users_and_the_data_only_if_asked() {
    let state = with(&["web"], &[("pages", &[])]);
    let owner = desired::owner(&acme(&["web"]));
    let retained = carried_out(&state, &removal(&state, VHOST, &owner, false));
    assert!(retained.users.is_empty());
    assert!(retained.vhosts[VHOST].queues.contains_key("kinetic.metrics.web.pages"));
    let deleted = carried_out(&state, &removal(&state, VHOST, &owner, true));
    assert_eq!(deleted, BrokerState::default());
    assert!(removal(&deleted, VHOST, &owner, true).is_empty());
}
