//! Secrets that resources name, and the operator's own two: asked of the API server once for each of their versions.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client, ResourceExt};

use crate::{
    context::Context,
    known::{Key, Known},
};

/// A Secret, if it is there.
pub async fn read(
    client: &Client,
    known: &Known,
    namespace: &str,
    name: &str,
) -> Result<Option<Arc<Secret>>, kube::Error> {
    let key = Key::new::<Secret>(namespace, name);
    if let Some(secret) = known.memo(&key).and_then(|memo| memo.secret) {
        return Ok(Some(secret));
    }
    let found = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await?;
    let found = found.map(Arc::new);
    if let Some(secret) = &found {
        let keep = Arc::clone(secret);
        known.learned(key, secret.resource_version().as_deref(), |memo| memo.secret = Some(keep));
    }
    Ok(found)
}

/// What a Secret holds that a resource names: nothing where it is not there.
pub async fn data(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<BTreeMap<String, ByteString>, kube::Error> {
    if context.known.absent(&Key::new::<Secret>(namespace, name)) {
        return Ok(BTreeMap::new());
    }
    let secret = read(&context.client, &context.known, namespace, name).await?;
    Ok(secret.and_then(|secret| secret.data.clone()).unwrap_or_default())
}
