//! From a document to a resource: schema, the plan's rules, CEL rules, in one pass that tells everything.

use std::{path::PathBuf, sync::Arc};

use kinetic_api::{
    GROUP, VERSION, plan,
    plan::{AlertPlan, TopologyPlan},
    resources::{Alert, Customer, Topology},
    suggest::closest,
};
use kube::core::cel::{ErrorKind, validate_compiled};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::{
    definition,
    problem::{DEFAULT_NAMESPACE, Fault, Kind, Place, Problem, ResourceId},
    schema,
    snapshot::{CustomerPlan, Snapshot},
    yaml::{Node, Value, shorten},
};

/// A document that says which resource it is, whether or not that one is whole.
pub(crate) struct Document {
    pub id: ResourceId,
    pub file: Arc<PathBuf>,
    /// What is written there; none of what an API server keeps.
    pub node: Option<Node>,
    /// The resource, if nothing is wrong with it.
    pub resource: Option<Resource>,
}

impl Document {
    /// Where a field stands, or what of it is there.
    pub fn place(&self, field: &str) -> Place {
        Place { file: Arc::clone(&self.file), position: self.node.as_ref().map(|node| node.locate(field)) }
    }
}

/// A resource with what the roles act on.
pub(crate) enum Resource {
    Customer(Customer, CustomerPlan),
    Topology(Topology, TopologyPlan),
    Alert(Alert, AlertPlan),
}

/// Reads a document, and `kind: List` as the documents in it. `before` is what held until now: what is immutable must be as it was there.
pub(crate) fn read(
    node: Node,
    file: &Arc<PathBuf>,
    before: &Snapshot,
    documents: &mut Vec<Document>,
    problems: &mut Vec<Problem>,
) {
    if let (Some("v1"), Some("List")) = (node.text("apiVersion"), node.text("kind")) {
        let Value::Map(fields) = node.value else { return };
        for items in fields.into_iter().filter(|field| field.key == "items") {
            let Value::List(items) = items.node.value else { continue };
            for item in items {
                read(item, file, before, documents, problems);
            }
        }
        return;
    }
    match kind(&node) {
        Err(fault) => problems.push(fault.at(file, None)),
        Ok(kind) => {
            let id = id(kind, &node);
            let mut faults = Vec::from_iter(version(&node));
            let resource = resource(&id, &node, before, &mut faults);
            problems.extend(faults.into_iter().map(|fault| fault.at(file, Some(id.clone()))));
            documents.push(Document { id, file: Arc::clone(file), node: Some(node), resource });
        }
    }
}

fn api_version() -> String {
    format!("{GROUP}/{VERSION}")
}

/// What a document is, if it is one of ours.
fn kind(node: &Node) -> Result<Kind, Fault> {
    let fault = |field: &str, message: String, fix: String| Fault {
        position: node.locate(field),
        field: field.into(),
        message,
        fix,
    };
    let known = || Kind::ALL.map(Kind::as_str).join(", ");
    if !matches!(node.value, Value::Map(_)) {
        let fix = format!("begin with apiVersion: {} and kind: one of {}", api_version(), known());
        return Err(fault("", "this document is no resource".into(), fix));
    }
    let Some(kind) = node.text("kind") else {
        return Err(fault(
            "kind",
            "the document does not say what it is".into(),
            format!("set it to one of: {}", known()),
        ));
    };
    let Some(found) = Kind::ALL.into_iter().find(|known| known.as_str() == kind) else {
        let fix = match closest(kind, Kind::ALL.into_iter().map(Kind::as_str)) {
            Some(close) => format!("did you mean {close}? There are: {}", known()),
            None => format!("use one of: {}; keep other resources elsewhere", known()),
        };
        return Err(fault("kind", format!("Kinetic knows no kind `{}`", shorten(kind)), fix));
    };
    // Another group's resource has another group's fields: of ours, whatever the version, everything is checked.
    match node.text("apiVersion") {
        Some(text) if text.split('/').next() != Some(GROUP) => Err(unknown_version(node, text)),
        _ => Ok(found),
    }
}

/// What is wrong with the version of a document of ours.
fn version(node: &Node) -> Option<Fault> {
    match node.text("apiVersion") {
        Some(text) if text == api_version() => None,
        Some(other) => Some(unknown_version(node, other)),
        None => Some(version_fault(node, "the field is missing".into())),
    }
}

fn unknown_version(node: &Node, text: &str) -> Fault {
    version_fault(node, format!("this version of Kinetic knows no `{}`", shorten(text)))
}

fn version_fault(node: &Node, message: String) -> Fault {
    let fix = format!("set it to {}", api_version());
    Fault { position: node.locate("apiVersion"), field: "apiVersion".into(), message, fix }
}

/// What the document calls itself, as far as it does.
fn id(kind: Kind, node: &Node) -> ResourceId {
    let metadata = node.get("metadata").map(|field| &field.node);
    let text = |key| metadata.and_then(|metadata| metadata.text(key));
    ResourceId {
        kind,
        namespace: shorten(text("namespace").unwrap_or(DEFAULT_NAMESPACE)),
        name: shorten(text("name").unwrap_or_default()),
    }
}

/// Checks a resource by itself, whatever it names.
pub(crate) fn resource(
    id: &ResourceId,
    node: &Node,
    before: &Snapshot,
    faults: &mut Vec<Fault>,
) -> Option<Resource> {
    let definition = definition::of(id.kind);
    let rest = schema::check(node, &definition.schema, faults);
    let planned = rest.and_then(|json| match id.kind {
        Kind::Customer => {
            let customer: Customer = typed(node, json, faults)?;
            let plan = CustomerPlan { name: id.name.clone(), vhost: customer.vhost() };
            Some(Resource::Customer(customer, plan))
        }
        Kind::Topology => {
            let topology: Topology = typed(node, json, faults)?;
            let plan = planned(node, TopologyPlan::new(&topology), faults)?;
            Some(Resource::Topology(topology, plan))
        }
        Kind::Alert => {
            let alert: Alert = typed(node, json, faults)?;
            let plan = planned(node, AlertPlan::new(&alert), faults)?;
            Some(Resource::Alert(alert, plan))
        }
    });
    rules(id, node, before, faults);
    planned.filter(|_| faults.is_empty())
}

/// The wire type. The schema has checked nearly everything by now; what it cannot say, such as a number of bytes beyond 64 bits, fails here.
fn typed<T: DeserializeOwned>(node: &Node, mut json: Json, faults: &mut Vec<Fault>) -> Option<T> {
    if let Json::Object(fields) = &mut json {
        fields.remove("status");
    }
    match serde_path_to_error::deserialize(json) {
        Ok(resource) => Some(resource),
        Err(error) => {
            let field = error.path().to_string();
            let (message, fix) = split(&error.inner().to_string());
            faults.push(Fault { position: node.locate(&field), field, message, fix });
            None
        }
    }
}

fn planned<P>(node: &Node, plan: Result<P, Vec<plan::Problem>>, faults: &mut Vec<Fault>) -> Option<P> {
    let from_schema: Vec<_> = faults.iter().map(|fault| fault.field.clone()).collect();
    plan.map_err(|problems| {
        let fresh = problems.into_iter().filter(|problem| !explained(&problem.field, &from_schema));
        faults.extend(fresh.map(|plan::Problem { field, message, fix }| Fault {
            position: node.locate(&field),
            field,
            message,
            fix,
        }));
    })
    .ok()
}

/// The definition's CEL rules, on the document as it was written. What other checks have told more exactly is not told again; nor is a rule
/// that cannot be evaluated, if the schema has told of a value that it does not expect.
fn rules(id: &ResourceId, node: &Node, before: &Snapshot, faults: &mut Vec<Fault>) {
    let mut document = node.value.to_json();
    if let Json::Object(fields) = &mut document {
        fields.remove("status");
    }
    let Err(failures) =
        validate_compiled(&definition::of(id.kind).rules, &document, before.json(id).as_ref())
    else {
        return;
    };
    let told: Vec<_> = faults.iter().map(|fault| fault.field.clone()).collect();
    for failure in failures {
        let evaluated = failure.kind == ErrorKind::ValidationFailure;
        if (evaluated || told.is_empty()) && !explained(&failure.field_path, &told) {
            let (message, fix) = split(&failure.message);
            let position = node.locate(&failure.field_path);
            faults.push(Fault { position, field: failure.field_path, message, fix });
        }
    }
}

/// Whether a problem at this path follows from one that was told already: at the same path, in a field right below it, or in an entry of a list there. The
/// rules about the whole resource are about its metadata, those about the whole spec about how its lists fit together.
fn explained(path: &str, told: &[String]) -> bool {
    told.iter().any(|told| match told.strip_prefix(path) {
        Some(rest) if path.is_empty() => rest.starts_with("metadata"),
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('.')
            .is_some_and(|name| !name.contains('.') && (!name.contains('[') || path != "spec")),
        None => false,
    })
}

/// Messages of rules and parsers are written as `what is wrong: what to do`.
fn split(message: &str) -> (String, String) {
    match message.split_once(": ") {
        Some((what, fix)) => (what.to_owned(), fix.to_owned()),
        None => (message.to_owned(), "change the field, or the one that it depends on".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::explained;

    #[test]
    fn a_problem_explains_itself_and_its_parent() {
        let told = ["spec.analytics[0].clutser".to_owned(), "spec.x".to_owned()];
        for (path, expected) in [
            ("spec.analytics[0].clutser", true),
            ("spec.analytics[0]", true),
            ("spec.analytics[1]", false),
            ("spec.analytics", false),
            ("spec", true),
            ("spec.xy", false),
            ("", false),
        ] {
            assert_eq!(explained(path, &told), expected, "{path}");
        }
        assert!(explained("", &["metadata.name".to_owned()]));
    }
}
