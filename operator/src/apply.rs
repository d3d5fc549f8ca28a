//! Server-side apply with one field manager, that writes nothing where nothing would change, and nothing that is somebody else's.

use std::{collections::BTreeSet, fmt::Debug};

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    build::labels::{Owned, query},
    context::Context,
    known::Key,
};

mod amount;

/// As whom the operator writes.
pub const MANAGER: &str = "kinetic-operator";
/// The label by which its objects are known where there is no owner.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// What an object was last asked to be: a field that is no longer wanted would not show otherwise.
const APPLIED: &str = "kinetic.dev/applied";

/// What an object's application led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is as it was.
    Unchanged,
    /// It was made or changed.
    Written,
}

/// Why an object was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Its name is taken.
    #[error("there is a {kind} {namespace}/{name} that is not ours: delete or rename it")]
    Taken {
        /// What it is.
        kind: String,
        /// Where it is.
        namespace: String,
        /// What it is called.
        name: String,
    },
    /// The API server refused, or was away.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// It cannot be written as JSON.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

/// An object of a namespace, as the API knows them.
pub trait Applicable:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Serialize + Debug
{
}

impl<K> Applicable for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Serialize
        + Debug
{
}

/// Makes an object be as wanted. Asks nobody while it is known to be.
pub async fn apply<K: Applicable>(context: &Context, desired: &K) -> Result<Applied, ApplyError> {
    let wanted = Wanted::of(desired)?;
    let key = Key::of(desired);
    if context.known.memo(&key).is_some_and(|memo| memo.asked.as_ref() == Some(&wanted.fingerprint)) {
        return Ok(Applied::Unchanged);
    }
    let api = Api::<K>::namespaced(context.client.clone(), &desired.namespace().unwrap_or_default());
    let live = api.get_opt(&desired.name_any()).await?;
    wanted.bring(context, desired, live).await
}

/// Makes an object be as wanted that was read just now.
pub async fn bring<K: Applicable>(
    context: &Context,
    desired: &K,
    live: Option<K>,
) -> Result<Applied, ApplyError> {
    Wanted::of(desired)?.bring(context, desired, live).await
}

/// The same for an object that nothing is lost with: where it cannot become what is wanted, because a field of it cannot be changed once it is there (an earlier version
/// of the operator set another), it is made anew.
pub async fn apply_anew<K: Applicable>(context: &Context, desired: &K) -> Result<Applied, ApplyError> {
    match apply(context, desired).await {
        Err(ApplyError::Api(kube::Error::Api(status))) if unchangeable(&status) => {}
        other => return other,
    }
    let namespace = desired.namespace().unwrap_or_default();
    let api = Api::<K>::namespaced(context.client.clone(), &namespace);
    if let Some(live) = api.get_opt(&desired.name_any()).await?
        && ours(&live, desired)
    {
        delete(context, &api, (&namespace, &live.name_any()), live.uid()).await?;
    }
    bring(context, desired, None).await
}

/// Whether a change is refused as a whole, which no other value of a field would mend
/// (<https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#limitations>).
fn unchangeable(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 422
        && causes.into_iter().any(|cause| cause.field == "spec" && cause.reason == "FieldValueForbidden")
}

/// What is asked of the API server.
struct Wanted {
    object: Value,
    fingerprint: String,
}

impl Wanted {
    fn of<K: Applicable>(desired: &K) -> Result<Self, ApplyError> {
        let mut object = serde_json::to_value(desired)?;
        object["apiVersion"] = json!(K::api_version(&()));
        object["kind"] = json!(K::kind(&()));
        let fingerprint = fingerprint(&object);
        object["metadata"]["annotations"][APPLIED] = json!(fingerprint);
        Ok(Self { object, fingerprint })
    }

    async fn bring<K: Applicable>(
        self,
        context: &Context,
        desired: &K,
        live: Option<K>,
    ) -> Result<Applied, ApplyError> {
        let (namespace, name) = (desired.namespace().unwrap_or_default(), desired.name_any());
        let learn = |object: &K, status: &Value| {
            context.known.learned(Key::of(desired), object.resource_version().as_deref(), |memo| {
                memo.asked = Some(self.fingerprint.clone());
                memo.ready = ready(status);
            });
        };
        if let Some(live) = live {
            if !ours(&live, desired) {
                return Err(ApplyError::Taken { kind: K::kind(&()).into_owned(), namespace, name });
            }
            let found = serde_json::to_value(&live)?;
            if live.annotations().get(APPLIED) == Some(&self.fingerprint) && holds(&found, &self.object) {
                learn(&live, &found);
                return Ok(Applied::Unchanged);
            }
        }
        let api = Api::<K>::namespaced(context.client.clone(), &namespace);
        let patched =
            api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&self.object)).await?;
        tracing::info!(kind = %K::kind(&()), namespace, name, "applied");
        learn(&patched, &serde_json::to_value(&patched)?);
        Ok(Applied::Written)
    }
}

/// How many of its pods are ready, of an object that has any.
fn ready(object: &Value) -> Option<u32> {
    let replicas = object.pointer("/spec/replicas").is_some();
    let ready = object.pointer("/status/readyReplicas").and_then(Value::as_u64).unwrap_or_default();
    replicas.then(|| u32::try_from(ready).unwrap_or(u32::MAX))
}

/// Writes an object's status if it is another.
pub async fn status<K, S>(
    client: &Client,
    object: &K,
    before: Option<&S>,
    now: &S,
) -> Result<Applied, ApplyError>
where
    K: Applicable,
    S: Serialize + PartialEq,
{
    if before == Some(now) {
        return Ok(Applied::Unchanged);
    }
    let api = Api::<K>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": object.name_any()},
        "status": now,
    });
    let parameters = PatchParams::apply(MANAGER).force();
    api.patch_status(&object.name_any(), &parameters, &Patch::Apply(&patch)).await?;
    Ok(Applied::Written)
}

/// Deletes what of a component's objects belongs to this owner and is not to be kept. What is another's stays.
pub async fn prune<K: Applicable>(
    context: &Context,
    owner: &Owned,
    component: &str,
    instance: &str,
    keep: &BTreeSet<String>,
) -> Result<(), ApplyError> {
    let api = Api::<K>::namespaced(context.client.clone(), &owner.namespace);
    let uid = &owner.reference.uid;
    let there = match context.known.owned::<K>(&owner.namespace, uid, component) {
        Some(there) => there,
        None => api
            .list(&ListParams::default().labels(&query(component, instance)))
            .await?
            .into_iter()
            .filter(|object| object.owner_references().iter().any(|of| of.uid == *uid))
            .map(|object| (object.name_any(), object.uid().unwrap_or_default()))
            .collect(),
    };
    for (name, uid) in there.into_iter().filter(|(name, _)| !keep.contains(name)) {
        delete(context, &api, (&owner.namespace, &name), Some(uid)).await?;
    }
    Ok(())
}

/// Deletes an object; not one of its name that is there in its place.
async fn delete<K: Applicable>(
    context: &Context,
    api: &Api<K>,
    (namespace, name): (&str, &str),
    uid: Option<String>,
) -> Result<(), ApplyError> {
    context.known.forget(&Key::new::<K>(namespace, name));
    let exactly_this = Preconditions { uid, resource_version: None };
    match api.delete(name, &DeleteParams::background().preconditions(exactly_this)).await {
        Ok(_) => tracing::info!(kind = %K::kind(&()), namespace, name, "deleted"),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// An object with the owner that we would give it, or, without one, with our label. What we made for a former resource of the same name is taken over: it
/// may be there still when the name is used again.
fn ours<K: Resource>(live: &K, desired: &K) -> bool {
    let labelled = live.labels().get(MANAGED_BY).is_some_and(|by| by == MANAGER);
    match desired.owner_references().first() {
        Some(owner) => live.owner_references().iter().any(|of| {
            let same_name =
                (&of.api_version, &of.kind, &of.name) == (&owner.api_version, &owner.kind, &owner.name);
            of.uid == owner.uid || (labelled && same_name)
        }),
        None => labelled,
    }
}

/// The SHA-256 of what is wanted.
pub(crate) fn fingerprint(wanted: &Value) -> String {
    hex::encode(Sha256::digest(wanted.to_string()))
}

/// Whether a live object has all that is wanted; it may have more, by defaults and by others. Objects in lists are compared one by one.
fn holds(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| match live.get(key) {
                Some(live) if AMOUNTS.contains(&key.as_str()) => amounts(live, wanted),
                Some(live) => holds(live, wanted),
                // What is empty or absent is the same to the API.
                None => {
                    matches!(wanted, Value::Null) || wanted.as_object().is_some_and(serde_json::Map::is_empty)
                }
            })
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| holds(live, wanted))
        }
        _ => live == wanted,
    }
}

/// The fields that hold an amount, or a map of amounts.
const AMOUNTS: [&str; 4] = ["requests", "limits", "sizeLimit", "divisor"];

/// The API server writes an amount in its own way: `1Gi` for `1024Mi`.
fn amounts(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(of, wanted)| live.get(of).is_some_and(|live| amounts(live, wanted)))
        }
        (Value::String(live), Value::String(wanted)) => amount::same(live, wanted),
        _ => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_of_the_api_are_no_change_and_edits_are() {
        let wanted = json!({"spec": {"ports": [{"port": 5671}], "empty": {}}});
        let live = json!({"spec": {"ports": [{"port": 5671, "protocol": "TCP"}], "type": "ClusterIP"}});
        assert!(holds(&live, &wanted));
        let edited = json!({"spec": {"ports": [{"port": 5672, "protocol": "TCP"}]}});
        assert!(!holds(&edited, &wanted));
        let amounts = |memory: &str| json!({"resources": {"limits": {"memory": memory}}, "image": memory});
        let (wanted, mut live) = (amounts("1024Mi"), amounts("1Gi"));
        assert!(!holds(&live, &wanted), "an image is no amount");
        live["image"] = json!("1024Mi");
        assert!(holds(&live, &wanted));
        live["resources"]["limits"]["memory"] = json!("2Gi");
        assert!(!holds(&live, &wanted));
        let wanted = json!({"spec": {"ports": [{"port": 5671}], "empty": {}}});
        let longer = json!({"spec": {"ports": [{"port": 5671}, {"port": 1}], "empty": {}}});
        assert!(!holds(&longer, &wanted));
    }
}
