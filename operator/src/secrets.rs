//! What is in Secrets that resources name.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, ResourceExt};

use crate::{context::Context, known::Key};

/// What a Secret holds: empty where it is not there. Asked of the API server once for each of its versions.
pub async fn data(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Arc<BTreeMap<String, ByteString>>, kube::Error> {
    let key = Key::new::<Secret>(namespace, name);
    if let Some(data) = context.known.memo(&key).and_then(|memo| memo.data) {
        return Ok(data);
    }
    if context.known.absent(&key) {
        return Ok(Arc::default());
    }
    let found = Api::<Secret>::namespaced(context.client.clone(), namespace).get_opt(name).await?;
    let Some(secret) = found else { return Ok(Arc::default()) };
    let version = secret.resource_version();
    let data = Arc::new(secret.data.unwrap_or_default());
    context.known.learned(key, version.as_deref(), |memo| memo.data = Some(Arc::clone(&data)));
    Ok(data)
}
