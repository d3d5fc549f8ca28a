//! Which customers a front door lets in: the resources that it follows, in a ConfigMap.
//!
//! What does not fit together with the rest is left out, for a front door takes all of a folder or nothing.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;
use kinetic_api::{
    plan::TopologyPlan,
    resources::{Customer, Topology},
};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{
    config_map::{self, yaml},
    labels,
    redirector::COMPONENT,
};
use crate::config::{Config, Placement};

/// What the ConfigMap is called.
#[must_use]
pub fn name(placement: &Placement) -> String {
    format!("{}-routes", placement.redirector_name())
}

/// The ConfigMap: a file a Customer with its Topologies. A Customer is let in once it has a vhost, and until it is deleted.
#[must_use]
pub fn route_map(
    config: &Config,
    placement: &Placement,
    customers: &[Customer],
    topologies: &[Topology],
) -> ConfigMap {
    let name = placement.redirector_name();
    let mut vhosts = BTreeSet::new();
    let mut data = BTreeMap::new();
    for customer in customers {
        let here = customer.spec.region == placement.region && customer.spec.provider == placement.provider;
        if here && admitted(customer) && vhosts.insert(customer.vhost()) {
            let namespace = customer.namespace().unwrap_or_default();
            let documents: Vec<_> = std::iter::once(written(customer))
                .chain(
                    topologies
                        .iter()
                        .filter(|topology| fits(topology, customer))
                        .take(topologies_of(customer))
                        .map(config_map::topology),
                )
                .map(|document| yaml(&document))
                .collect();
            // Neither name holds a dot, so no two Customers share a file.
            data.insert(format!("{namespace}.{}.yaml", customer.name_any()), documents.join("---\n"));
        }
    }
    ConfigMap {
        metadata: labels::unowned(self::name(placement), &config.namespace, COMPONENT, &name),
        data: Some(data),
        ..ConfigMap::default()
    }
}

fn admitted(customer: &Customer) -> bool {
    customer.metadata.deletion_timestamp.is_none()
        && customer.status.as_ref().is_some_and(|status| status.broker.is_some())
}

fn topologies_of(customer: &Customer) -> usize {
    usize::try_from(customer.spec.limits.topologies).unwrap_or(usize::MAX)
}

fn fits(topology: &Topology, customer: &Customer) -> bool {
    let profiles: BTreeSet<_> = customer.spec.clients.iter().map(|client| &client.profile).collect();
    let known = |profile| profiles.is_empty() || profiles.contains(profile);
    topology.namespace() == customer.namespace()
        && *topology.spec.customer == *customer.name_any()
        && topology.metadata.deletion_timestamp.is_none()
        && topology.spec.sources.iter().flat_map(|source| &source.profiles).all(known)
        && TopologyPlan::new(topology).is_ok()
}

/// What the front door must know of it: not whom to write to, nor where API keys lie.
fn written(customer: &Customer) -> Value {
    let mut spec = customer.spec.clone();
    spec.contacts.clear();
    for client in &mut spec.clients {
        client.api_key = None;
    }
    json!({
        "apiVersion": "kinetic.dev/v1alpha1",
        "kind": "Customer",
        "metadata": {"name": customer.name_any(), "namespace": customer.namespace()},
        "spec": spec,
    })
}
