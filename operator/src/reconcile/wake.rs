//! Has the kubelet bring pods what was changed of their mounted files at once, instead of within a minute.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    apply::MANAGER,
    context::{Context, Failure},
};

/// Annotates pods (not their template: that would restart them) with a hash of what they should have mounted.
pub(super) async fn wake(
    context: &Context,
    namespace: &str,
    selector: &str,
    annotation: &str,
    fingerprint: &str,
) -> Result<(), Failure> {
    let api = Api::<Pod>::namespaced(context.client.clone(), namespace);
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    for pod in api.list(&ListParams::default().labels(selector)).await? {
        if pod.annotations().get(annotation).is_some_and(|seen| seen == fingerprint) {
            continue;
        }
        let patch = json!({"metadata": {"annotations": {annotation: fingerprint}}});
        match api.patch_metadata(&pod.name_any(), &parameters, &Patch::Merge(&patch)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            patched => drop(patched?),
        }
    }
    Ok(())
}
