//! Asking an API server for resources, applying and deleting them: for people, who are told everything.

use kinetic_api::{GROUP, VERSION, resources::definitions};
use kube::{
    Api, Client, Error,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind, Status, response::StatusCause},
};
use serde_json::Value as Json;

use crate::{
    folder::Outcome,
    problem::{Problem, ResourceId},
    written::Written,
};

/// The field manager of what people apply by the command line.
pub const MANAGER: &str = "kinetic";

/// How to apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct Applying {
    /// Fields that another manager owns are taken over.
    pub force: bool,
    /// The API server checks, and keeps nothing.
    pub dry_run: bool,
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Gone,
    /// It goes once what was made for it is gone.
    Going,
    /// There was none.
    Missing,
}

fn api(client: &Client, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let names = definitions().into_iter().map(|definition| definition.spec.names);
    let plural = names.into_iter().find(|names| names.kind == kind).map(|names| names.plural);
    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(GROUP, VERSION, kind),
        &plural.unwrap_or_default(),
    );
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// A resource as people want to see it: with its kind, and without who wrote which field.
fn shown(mut object: DynamicObject, kind: &str) -> Json {
    object.metadata.managed_fields = None;
    let mut json = serde_json::to_value(object).unwrap_or_default();
    json["apiVersion"] = format!("{GROUP}/{VERSION}").into();
    json["kind"] = kind.into();
    json
}

/// All objects of a kind that there is a definition of, in a namespace or in all, by namespace and name.
pub async fn list(client: &Client, kind: &str, namespace: Option<&str>) -> Result<Vec<Json>, Error> {
    let mut listed = api(client, kind, namespace).list(&ListParams::default()).await?.items;
    listed.sort_by(|a, b| {
        (&a.metadata.namespace, &a.metadata.name).cmp(&(&b.metadata.namespace, &b.metadata.name))
    });
    Ok(listed.into_iter().map(|object| shown(object, kind)).collect())
}

/// One object of a kind that there is a definition of.
pub async fn get(client: &Client, kind: &str, namespace: &str, name: &str) -> Result<Option<Json>, Error> {
    let object = api(client, kind, Some(namespace)).get_opt(name).await?;
    Ok(object.map(|object| shown(object, kind)))
}

/// Applies a resource: server-side, strictly.
///
/// # Errors
/// Everything that the API server says is wrong with it, where it stands.
pub async fn apply(client: &Client, written: &Written, how: Applying) -> Result<Outcome, Vec<Problem>> {
    let id = &written.id;
    let api = api(client, id.kind.as_str(), Some(&id.namespace));
    let failed = |error: Error| problems(written, error);
    let before = api.get_opt(&id.name).await.map_err(failed)?;
    let parameters = PatchParams {
        dry_run: how.dry_run,
        force: how.force,
        ..PatchParams::apply(MANAGER).validation_strict()
    };
    let after = api.patch(&id.name, &parameters, &Patch::Apply(&written.json)).await.map_err(failed)?;
    Ok(match before {
        None => Outcome::Created,
        Some(before) if before.metadata.resource_version == after.metadata.resource_version => {
            Outcome::Unchanged
        }
        Some(_) => Outcome::Configured,
    })
}

/// Deletes a resource.
pub async fn delete(client: &Client, id: &ResourceId, dry_run: bool) -> Result<Deleted, Error> {
    let parameters = DeleteParams { dry_run, ..DeleteParams::default() };
    match api(client, id.kind.as_str(), Some(&id.namespace)).delete(&id.name, &parameters).await {
        // What is still there waits for finalizers.
        Ok(left) if left.as_ref().left().is_some_and(|object| object.metadata.finalizers.is_some()) => {
            Ok(Deleted::Going)
        }
        Ok(_) => Ok(Deleted::Gone),
        Err(Error::Api(status)) if status.is_not_found() => Ok(Deleted::Missing),
        Err(error) => Err(error),
    }
}

/// What an API server says is wrong, as problems of the file.
fn problems(written: &Written, error: Error) -> Vec<Problem> {
    let status = match error {
        Error::Api(status) => status,
        other => {
            let fix = "check the address, the credentials and the network: kubectl version";
            return vec![written.problem(
                "",
                format!("the API server cannot be asked: {}", chain(&other)),
                fix,
            )];
        }
    };
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let told: Vec<_> = causes.iter().filter(|cause| !cause.message.is_empty()).collect();
    if told.is_empty() {
        return vec![written.problem("", status.message.clone(), advice(&status))];
    }
    told.into_iter()
        .map(|StatusCause { field, message, .. }| {
            written.problem(field.trim_start_matches('.'), message.clone(), advice(&status))
        })
        .collect()
}

/// What to do about a refusal.
fn advice(status: &Status) -> &'static str {
    match status.code {
        401 => "log in: your credentials are not known to the API server",
        403 => {
            "ask for the right to do so: the ClusterRoles kinetic-tenant-editor (Topologies, Alerts) and kinetic-platform (Customers too) have it"
        }
        404 if status.message.contains("namespaces") => "create the namespace, or name another one",
        404 => "install the definitions: kinetic crd | kubectl apply --server-side -f -",
        409 => "leave the field to who owns it, or take it over by --force-conflicts",
        _ => "change the field, or the one that it depends on",
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::written::written_in;

    #[test]
    fn a_refusal_names_file_line_and_field() {
        let text = "apiVersion: kinetic.dev/v1alpha1\nkind: Customer\nmetadata: {name: acme}\nspec:\n  region: a\n  provider: b\n";
        let written = &written_in(Path::new("a.yaml"), text).unwrap()[0];
        let said = |status: Json| {
            let status: Status = serde_json::from_value(status).unwrap();
            let problems = problems(written, Error::Api(status.boxed()));
            problems.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let invalid = json!({"code": 422, "message": "Customer is invalid", "reason": "Invalid", "details": {"causes": [
            {"field": "spec.region", "message": "region is immutable", "reason": "FieldValueInvalid"}]}});
        assert_eq!(
            said(invalid),
            [
                "a.yaml:5:3: Customer acme: spec.region: region is immutable; change the field, or the one that it depends on"
            ]
        );
        let conflict = json!({"code": 409, "message": "conflict", "reason": "Conflict", "details": {"causes": [
            {"field": ".spec.provider", "message": "conflict with \"kubectl\"", "reason": "FieldManagerConflict"}]}});
        assert!(said(conflict)[0].starts_with(
            "a.yaml:6:3: Customer acme: spec.provider: conflict with \"kubectl\"; leave the field"
        ));
        let forbidden = json!({"code": 403, "message": "customers is forbidden", "reason": "Forbidden"});
        assert!(said(forbidden)[0].contains("kinetic-platform"));
    }
}
