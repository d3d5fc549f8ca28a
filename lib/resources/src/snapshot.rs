//! The resources of one moment: parsed once, checked against each other, in a fixed order.

use kinetic_api::{
    plan::{AlertPlan, TopologyPlan},
    resources::{Alert, Customer, Topology},
};
use serde_json::Value as Json;

use crate::{
    document::{Document, Resource},
    problem::{Kind, Place, ResourceId},
};

/// All resources, sorted by namespace and name. Every reference between them holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The customers.
    pub customers: Vec<Entry<Customer, CustomerPlan>>,
    /// The topologies.
    pub topologies: Vec<Entry<Topology, TopologyPlan>>,
    /// The alerts.
    pub alerts: Vec<Entry<Alert, AlertPlan>>,
}

/// A resource, where it is written, and what the roles act on.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<R, P> {
    /// What it is called.
    pub id: ResourceId,
    /// Where it is written.
    pub place: Place,
    /// The resource in its wire form.
    pub resource: R,
    /// What the roles act on.
    pub plan: P,
}

/// A Customer, ready to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerPlan {
    /// The Customer's name.
    pub name: String,
    /// Its vhost: `{region}.{provider}.{name}`.
    pub vhost: String,
}

impl<R, P> Entry<R, P> {
    /// The resource's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.id.name
    }

    /// The resource's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.id.namespace
    }
}

impl Snapshot {
    /// Whether there is no resource at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids().next().is_none()
    }

    /// What all resources are called.
    pub fn ids(&self) -> impl Iterator<Item = &ResourceId> {
        let topologies = self.topologies.iter().map(|entry| &entry.id);
        let alerts = self.alerts.iter().map(|entry| &entry.id);
        self.customers.iter().map(|entry| &entry.id).chain(topologies).chain(alerts)
    }

    /// A resource as JSON.
    #[must_use]
    pub fn json(&self, id: &ResourceId) -> Option<Json> {
        fn find<R: serde::Serialize, P>(entries: &[Entry<R, P>], id: &ResourceId) -> Option<Json> {
            let found = entries.iter().find(|entry| entry.id == *id)?;
            serde_json::to_value(&found.resource).ok()
        }
        match id.kind {
            Kind::Customer => find(&self.customers, id),
            Kind::Topology => find(&self.topologies, id),
            Kind::Alert => find(&self.alerts, id),
        }
    }

    /// Of all documents that are whole.
    pub(crate) fn of(documents: Vec<Document>) -> Self {
        let mut snapshot = Self::default();
        for document in documents {
            let place = document.place("");
            let id = document.id;
            match document.resource {
                Some(Resource::Customer(resource, plan)) => {
                    snapshot.customers.push(Entry { id, place, resource, plan });
                }
                Some(Resource::Topology(resource, plan)) => {
                    snapshot.topologies.push(Entry { id, place, resource, plan });
                }
                Some(Resource::Alert(resource, plan)) => {
                    snapshot.alerts.push(Entry { id, place, resource, plan });
                }
                None => {}
            }
        }
        snapshot.sort();
        snapshot
    }

    fn sort(&mut self) {
        self.customers.sort_by(|a, b| a.id.cmp(&b.id));
        self.topologies.sort_by(|a, b| a.id.cmp(&b.id));
        self.alerts.sort_by(|a, b| a.id.cmp(&b.id));
    }
}
