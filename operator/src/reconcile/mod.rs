//! From resources to what they describe, one straight line each: dereference, validate, build, apply, status.

pub mod alert;
mod api_keys;
pub mod customer;
pub mod release;
pub mod rotation;
pub mod topology;
mod wake;

use std::time::Duration;

use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType},
};
use serde_json::json;

use crate::{
    apply::{Applicable, MANAGER},
    context::{Context, Failure},
};
use kinetic_api::resources::condition::Condition;

/// Keeps a resource until what it brought about is gone.
pub const FINALIZER: &str = "kinetic.dev/operator";
/// An object with this annotation is left as it is, whatever it holds; `false` counts as absent.
pub const PAUSED: &str = "kinetic.dev/paused";

/// A resource is looked at again after so long: what somebody else changed is found within a minute.
pub const AGAIN: Duration = Duration::from_secs(30);
/// Something is awaited that tells nobody when it comes.
pub const SOON: Duration = Duration::from_secs(5);

/// Whether a resource is to be left alone.
pub(crate) fn paused<K: Resource>(object: &K) -> bool {
    object.annotations().get(PAUSED).is_some_and(|value| value != "false")
}

/// Puts the finalizer on, or takes it off: unless somebody has changed the object meanwhile, then it is looked at anew.
async fn set_finalizer<K: Applicable>(context: &Context, object: &K, on: bool) -> Result<(), Failure> {
    let mut finalizers: Vec<_> = object.finalizers().iter().filter(|f| *f != FINALIZER).cloned().collect();
    if on {
        finalizers.push(FINALIZER.to_owned());
    }
    if finalizers == object.finalizers() {
        return Ok(());
    }
    let api = Api::<K>::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let patch = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": finalizers}});
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    match api.patch(&object.name_any(), &parameters, &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if status.is_not_found() && !on => Ok(()),
        patched => Ok(patched.map(drop)?),
    }
}

/// Tells people that a resource is ready, or no longer; an Event that cannot be written is no failure.
async fn tell<K: Resource<DynamicType = ()>>(context: &Context, object: &K, turned: Option<&Condition>) {
    let Some(condition) = turned else { return };
    let good = condition.status == "True";
    tracing::info!(
        kind = %K::kind(&()), namespace = object.namespace().unwrap_or_default(), name = object.name_any(),
        ready = good, reason = condition.reason, "{}", condition.message
    );
    let event = Event {
        type_: if good { EventType::Normal } else { EventType::Warning },
        reason: condition.reason.clone(),
        note: Some(condition.message.clone()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, &object.object_ref(&())).await {
        tracing::warn!(%error, "an Event could not be written");
    }
}
