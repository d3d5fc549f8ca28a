//! Rules across resources: what one names must exist, and nothing may exist twice.

use std::collections::{BTreeMap, HashMap};

use kinetic_api::{
    plan,
    resources::{Alert, Customer, Topology},
    suggest::{closest, list},
};

use crate::{
    document::{Document, Resource},
    problem::{Kind, Problem, ResourceId},
};

/// Everything that does not fit together. What names a resource that is there, but broken, is not blamed for it.
pub(crate) fn check(documents: &[Document]) -> Vec<Problem> {
    let mut index = Index::default();
    let mut problems = Vec::new();
    let mut firsts = Vec::new();
    for document in documents.iter().filter(|document| !document.id.name.is_empty()) {
        if let Some(first) = index.documents.get(&document.id) {
            problems.push(duplicate(document, first));
        } else {
            index.documents.insert(&document.id, document);
            firsts.push(document);
        }
    }
    let mut vhosts: HashMap<&str, &Document> = HashMap::new();
    let mut topologies: BTreeMap<ResourceId, u32> = BTreeMap::new();
    for document in firsts {
        let mut faults = Vec::new();
        match &document.resource {
            Some(Resource::Customer(_, plan)) => {
                if let Some(first) = vhosts.insert(&plan.vhost, document) {
                    faults.push(vhost_taken(first, &plan.vhost));
                }
            }
            Some(Resource::Topology(topology, _)) => {
                let customer = ResourceId {
                    kind: Kind::Customer,
                    name: topology.spec.customer.to_string(),
                    namespace: document.id.namespace.clone(),
                };
                let count = topologies.entry(customer.clone()).or_default();
                *count += 1;
                faults.extend(index.topology(topology, &customer, *count));
            }
            Some(Resource::Alert(alert, _)) => faults.extend(index.alert(&document.id, alert)),
            None => {}
        }
        problems.extend(faults.into_iter().map(|fault| at(document, fault)));
    }
    problems
}

/// What is wrong in a document, with its place.
fn at(document: &Document, fault: plan::Problem) -> Problem {
    let plan::Problem { field, message, fix } = fault;
    Problem { place: document.place(&field), resource: Some(document.id.clone()), field, message, fix }
}

fn duplicate(document: &Document, first: &Document) -> Problem {
    let field = "metadata.name";
    let message = format!("there is another {}, at {}", document.id, first.place(field));
    at(document, plan::Problem::new(field, message, "rename or remove one of the two"))
}

fn vhost_taken(first: &Document, vhost: &str) -> plan::Problem {
    plan::Problem::new(
        "metadata.name",
        format!("the vhost {vhost} belongs to the Customer of {}", first.place("")),
        "choose another name, region or provider: a vhost has one Customer, whatever the namespace",
    )
}

/// The first document of each name.
#[derive(Default)]
struct Index<'a> {
    documents: BTreeMap<&'a ResourceId, &'a Document>,
}

impl Index<'_> {
    /// A name that should be one of some names.
    fn unknown<'n>(
        field: &str,
        message: String,
        name: &str,
        known: impl Iterator<Item = &'n str> + Clone,
    ) -> plan::Problem {
        let all: Vec<_> = known.clone().collect();
        let fix = match (closest(name, known), all.as_slice()) {
            (Some(close), _) => format!("did you mean {close}?"),
            (None, []) => "add it".to_owned(),
            (None, all) => format!("add it, or use one of: {}", list(all)),
        };
        plan::Problem::new(field, message, fix)
    }

    fn names<'i>(&'i self, kind: Kind, namespace: &'i str) -> impl Iterator<Item = &'i str> + Clone {
        let fits = move |id: &&&ResourceId| id.kind == kind && id.namespace == namespace;
        self.documents.keys().filter(fits).map(|id| id.name.as_str())
    }

    fn topology(&self, topology: &Topology, customer: &ResourceId, count: u32) -> Vec<plan::Problem> {
        let Some(found) = self.documents.get(customer) else {
            let known = self.names(Kind::Customer, &customer.namespace);
            let message = format!("there is no {customer}");
            return vec![Self::unknown("spec.customer", message, &customer.name, known)];
        };
        let Some(Resource::Customer(Customer { spec, .. }, _)) = &found.resource else { return Vec::new() };
        let mut faults = Vec::new();
        if count > spec.limits.topologies {
            faults.push(plan::Problem::new(
                "spec.customer",
                format!(
                    "this is Topology number {count} of {customer}, and {} is its limit",
                    spec.limits.topologies
                ),
                format!("raise its spec.limits.topologies ({})", found.place("spec.limits.topologies")),
            ));
        }
        if !spec.clients.is_empty() {
            let profiles = || spec.clients.iter().map(|client| &*client.profile);
            for (s, source) in topology.spec.sources.iter().enumerate() {
                for (p, profile) in
                    source.profiles.iter().enumerate().filter(|(_, p)| profiles().all(|known| known != &***p))
                {
                    let field = format!("spec.sources[{s}].profiles[{p}]");
                    let message = format!("no client of {customer} has the profile `{profile}`");
                    faults.push(Self::unknown(&field, message, profile, profiles()));
                }
            }
        }
        faults
    }

    fn alert(&self, alert_id: &ResourceId, alert: &Alert) -> Vec<plan::Problem> {
        let namespace = alert_id.namespace.clone();
        let id = ResourceId { kind: Kind::Topology, name: alert.spec.topology.to_string(), namespace };
        let Some(found) = self.documents.get(&id) else {
            let known = self.names(Kind::Topology, &id.namespace);
            let message = format!("there is no {id}");
            return vec![Self::unknown("spec.topology", message, &id.name, known)];
        };
        let Some(Resource::Topology(Topology { spec, .. }, _)) = &found.resource else { return Vec::new() };
        let matches = &alert.spec.matches;
        let mut faults = Vec::new();
        let mut each = |list: &str, what: &str, names: &[kinetic_api::resources::Name], known: Vec<&str>| {
            for (n, name) in names.iter().enumerate().filter(|(_, name)| !known.contains(&&***name)) {
                let field = format!("spec.match.{list}[{n}]");
                let message = format!("{id} has no {what} `{name}`");
                faults.push(Self::unknown(&field, message, name, known.iter().copied()));
            }
        };
        each("analytics", "analytic", &matches.analytics, spec.analytics.iter().map(|a| &*a.name).collect());
        each("sources", "source", &matches.sources, spec.sources.iter().map(|s| &*s.name).collect());
        // A source without profiles is fed by whatever profile there is.
        if spec.sources.iter().all(|source| !source.profiles.is_empty()) {
            let fed = spec.sources.iter().flat_map(|source| &source.profiles).map(|p| &**p).collect();
            each("profiles", "source with the profile", &matches.profiles, fed);
        }
        faults
    }
}
