//! From objects to a snapshot: pure. What is left out of it, and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kinetic_api::{
    GROUP, VERSION,
    plan::{self, AlertPlan, TopologyPlan},
    resources::{Alert, Customer, Topology, customer::CustomerStatus},
};
use kube::{Resource as _, ResourceExt, core::error_boundary::DeserializeGuard};

use crate::{
    document::{Document, Resource},
    problem::{Kind, Problem, ResourceId},
    references,
    snapshot::{CustomerPlan, Snapshot},
};

/// A resource as it was read, or why it cannot be.
pub(super) type Guarded<K> = Arc<DeserializeGuard<K>>;

/// All objects that there are, in any order.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) customers: Vec<Guarded<Customer>>,
    pub(super) topologies: Vec<Guarded<Topology>>,
    pub(super) alerts: Vec<Guarded<Alert>>,
}

/// What fits together, and the rest.
#[derive(Debug)]
pub(super) struct Sifted {
    pub(super) snapshot: Snapshot,
    pub(super) left_out: BTreeMap<ResourceId, Why>,
}

/// Why a resource is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Another version of Kinetic wrote it, or nobody checked it.
    Unreadable(String),
    /// It breaks rules.
    Unfit(Vec<Problem>),
    /// A Customer has no vhost before it is assigned to a broker.
    NoVhost,
    /// It is being deleted.
    Deleted,
    /// What it refers to is left out.
    Without(ResourceId),
}

impl Why {
    /// Whether somebody has to mend something; the rest passes by itself.
    pub(super) fn is_mistake(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::Unfit(_))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::Unfit(problems) => {
                for (n, Problem { field, message, fix, .. }) in problems.iter().enumerate() {
                    write!(f, "{}{field}: {message}; {fix}", if n == 0 { "" } else { ". " })?;
                }
                Ok(())
            }
            Self::NoVhost => f.write_str(
                "it has no vhost yet: the operator gives it one, or says in its conditions why not",
            ),
            Self::Deleted => f.write_str("it is being deleted"),
            Self::Without(id) => write!(f, "{id} is left out"),
        }
    }
}

/// Sifts. A Customer is in once it has a vhost, and until it is deleted; where two claim the same, who was there first keeps it.
pub(super) fn sift(objects: &Objects) -> Sifted {
    let mut sieve = Sieve::default();
    sieve.add(Kind::Customer, &objects.customers, |customer| {
        let broker = customer.status.as_ref().and_then(|status| status.broker.clone());
        let broker = broker.ok_or(Why::NoVhost)?;
        let plan = CustomerPlan { name: customer.name_any(), vhost: customer.vhost() };
        // Of the status no more than what the roles go by: what else changes in it is no news to them.
        let status = CustomerStatus { broker: Some(broker), ..CustomerStatus::default() };
        let bare =
            Customer { metadata: bare(customer.meta()), spec: customer.spec.clone(), status: Some(status) };
        Ok(Resource::Customer(bare, plan))
    });
    sieve.shake();
    sieve.add(Kind::Topology, &objects.topologies, |topology| {
        let bare = Topology { metadata: bare(topology.meta()), spec: topology.spec.clone(), status: None };
        let plan =
            TopologyPlan::new(&bare).map_err(|problems| unfit(Kind::Topology, topology.meta(), problems))?;
        Ok(Resource::Topology(bare, plan))
    });
    sieve.shake();
    sieve.add(Kind::Alert, &objects.alerts, |alert| {
        let bare = Alert { metadata: bare(alert.meta()), spec: alert.spec.clone(), status: None };
        let plan = AlertPlan::new(&bare).map_err(|problems| unfit(Kind::Alert, alert.meta(), problems))?;
        Ok(Resource::Alert(bare, plan))
    });
    sieve.shake();
    Sifted { snapshot: Snapshot::of(sieve.documents), left_out: sieve.left_out }
}

/// What has been looked at so far.
#[derive(Default)]
struct Sieve {
    /// Those that are left out among them, as documents without a resource: who refers to one is not told that it is not there.
    documents: Vec<Document>,
    left_out: BTreeMap<ResourceId, Why>,
}

impl Sieve {
    /// Adds the objects of a kind, the oldest first.
    fn add<K>(&mut self, kind: Kind, objects: &[Guarded<K>], made: impl Fn(&K) -> Result<Resource, Why>)
    where
        K: kube::Resource<DynamicType = ()> + Clone,
    {
        let mut sorted: Vec<_> = objects.iter().map(|object| (age(object.meta()), object)).collect();
        sorted.sort_by(|one, other| one.0.cmp(&other.0));
        for (_, object) in sorted {
            let id = id(kind, object.meta());
            let resource = match &object.0 {
                Err(invalid) => Err(Why::Unreadable(invalid.error.clone())),
                Ok(_) if object.meta().deletion_timestamp.is_some() => Err(Why::Deleted),
                Ok(object) => made(object),
            };
            let resource = resource.map_err(|why| self.left_out.insert(id.clone(), why)).ok();
            self.documents.push(Document { file: path(&id), id, node: None, resource });
        }
    }

    /// Takes out what does not fit what is there. Called a kind at a time, for each refers to kinds before it only.
    fn shake(&mut self) {
        let out: BTreeSet<ResourceId> = self.left_out.keys().cloned().collect();
        for document in &mut self.documents {
            let named = document.resource.as_ref().and_then(|resource| refers(&document.id, resource));
            if let Some(named) = named.filter(|named| out.contains(named)) {
                document.resource = None;
                self.left_out.insert(document.id.clone(), Why::Without(named));
            }
        }
        let mut unfit: BTreeMap<ResourceId, Vec<Problem>> = BTreeMap::new();
        for problem in references::check(&self.documents) {
            if let Some(id) = problem.resource.clone() {
                unfit.entry(id).or_default().push(problem);
            }
        }
        for document in &mut self.documents {
            if let Some(problems) = unfit.remove(&document.id) {
                document.resource = None;
                self.left_out.insert(document.id.clone(), Why::Unfit(problems));
            }
        }
    }
}

/// What a resource refers to.
fn refers(id: &ResourceId, resource: &Resource) -> Option<ResourceId> {
    let (kind, name) = match resource {
        Resource::Customer(..) => return None,
        Resource::Topology(topology, _) => (Kind::Customer, topology.spec.customer.to_string()),
        Resource::Alert(alert, _) => (Kind::Topology, alert.spec.topology.to_string()),
    };
    Some(ResourceId { kind, namespace: id.namespace.clone(), name })
}

/// By age, and then by name: who was there first has the older right.
fn age(metadata: &ObjectMeta) -> (Option<Time>, Option<String>, Option<String>) {
    (metadata.creation_timestamp.clone(), metadata.namespace.clone(), metadata.name.clone())
}

fn id(kind: Kind, metadata: &ObjectMeta) -> ResourceId {
    ResourceId {
        kind,
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    }
}

/// What it is called, without what the API server notes of it.
fn bare(metadata: &ObjectMeta) -> ObjectMeta {
    ObjectMeta { name: metadata.name.clone(), namespace: metadata.namespace.clone(), ..ObjectMeta::default() }
}

/// Where the API server keeps a resource.
fn path(id: &ResourceId) -> Arc<PathBuf> {
    let plural = match id.kind {
        Kind::Customer => "customers",
        Kind::Topology => "topologies",
        Kind::Alert => "alerts",
    };
    let ResourceId { namespace, name, .. } = id;
    Arc::new(format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{plural}/{name}").into())
}

fn unfit(kind: Kind, metadata: &ObjectMeta, problems: Vec<plan::Problem>) -> Why {
    let id = id(kind, metadata);
    let place = crate::problem::Place { file: path(&id), position: None };
    let problem = |plan::Problem { field, message, fix }| Problem {
        place: place.clone(),
        resource: Some(id.clone()),
        field,
        message,
        fix,
    };
    Why::Unfit(problems.into_iter().map(problem).collect())
}

#[cfg(test)]
mod tests;
