//! Names, labels and owners, by Kubernetes' conventions.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use crate::apply::{MANAGED_BY, MANAGER};

/// The label that says what part of Kinetic an object is of.
pub const COMPONENT: &str = "app.kubernetes.io/component";

/// The labels that select a component's instance.
#[must_use]
pub fn selected(component: &str, instance: &str) -> BTreeMap<String, String> {
    [("name", "kinetic"), ("component", component), ("instance", instance)]
        .map(|(key, value)| (format!("app.kubernetes.io/{key}"), value.to_owned()))
        .into()
}

/// All labels of an object of a component's instance.
#[must_use]
pub fn of(component: &str, instance: &str) -> BTreeMap<String, String> {
    let mut labels = selected(component, instance);
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels.insert("app.kubernetes.io/part-of".to_owned(), "kinetic".to_owned());
    labels
}

/// The selector of a component's instance.
#[must_use]
pub fn selector(component: &str, instance: &str) -> LabelSelector {
    LabelSelector { match_labels: Some(selected(component, instance)), ..LabelSelector::default() }
}

/// The same selector, as a list call takes it.
#[must_use]
pub fn query(component: &str, instance: &str) -> String {
    let pairs: Vec<_> =
        selected(component, instance).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

/// The metadata of an object that goes with its owner.
#[must_use]
pub fn owned(name: String, component: &str, instance: &str, owner: &Owned) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(owner.namespace.clone()),
        labels: Some(of(component, instance)),
        owner_references: Some(vec![owner.reference.clone()]),
        ..ObjectMeta::default()
    }
}

/// The metadata of an object of the operator's own.
#[must_use]
pub fn unowned(name: String, namespace: &str, component: &str, instance: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(namespace.to_owned()),
        labels: Some(of(component, instance)),
        ..ObjectMeta::default()
    }
}

/// Whose an object is, and in which namespace: owner references never cross namespaces.
#[derive(Clone, Debug, PartialEq)]
pub struct Owned {
    /// The namespace of both.
    pub namespace: String,
    /// The owner.
    pub reference: OwnerReference,
}

impl Owned {
    /// By this resource; `None` before it was given to an API server.
    pub fn by<K: Resource<DynamicType = ()>>(resource: &K) -> Option<Self> {
        Some(Self { namespace: resource.namespace()?, reference: resource.controller_owner_ref(&())? })
    }
}
