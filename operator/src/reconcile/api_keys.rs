//! API keys: read where the Customers name them, told to the front doors as hashes.

use std::collections::BTreeMap;

use kinetic_api::resources::{Customer, customer::Client};
use kube::ResourceExt;

use super::wake::wake;
use crate::{
    apply::{Applied, apply},
    build::{
        api_keys::{api_keys, entry, hash},
        config_map::fingerprint,
        labels::query,
        redirector::COMPONENT,
    },
    config::Placement,
    context::{Context, Failure},
    secrets,
};

/// What makes the kubelet look at once at the hashes that a front door's pod has mounted.
const SEEN: &str = "kinetic.dev/keys";

/// The hash of a client's key, if it is allowed one; or why there is none.
pub(super) async fn of(
    customer: &Customer,
    client: &Client,
    context: &Context,
) -> Result<Option<Result<String, String>>, Failure> {
    let Some(key) = &client.api_key else { return Ok(None) };
    let namespace = customer.namespace().unwrap_or_default();
    let data = secrets::data(context, &namespace, &key.secret_ref.name).await?;
    let found = hash(&key.secret_ref, Some(&data));
    Ok(Some(found.map_err(|problem| format!("clients[{}].apiKey: {problem}", client.name))))
}

/// Brings a front door the hashes of its customers' keys.
pub(super) async fn bring(placement: &Placement, context: &Context) -> Result<(), Failure> {
    let here = |customer: &Customer| {
        let placed = customer.status.as_ref().is_some_and(|status| status.broker.is_some());
        let spec = &customer.spec;
        placed
            && customer.metadata.deletion_timestamp.is_none()
            && (&spec.region, &spec.provider) == (&placement.region, &placement.provider)
    };
    let mut hashes = BTreeMap::new();
    for customer in context.resources.all(here).await? {
        for client in &customer.spec.clients {
            if let Some(Ok(hash)) = of(&customer, client, context).await? {
                hashes.insert(entry(&customer.name_any(), &client.name), hash);
            }
        }
    }
    let told = fingerprint(&hashes);
    let secret = api_keys(&context.config, placement, hashes);
    let (name, changed) = (secret.name_any(), apply(context, &secret).await? == Applied::Written);
    if context.to_be_told(&name, changed) {
        let pods = query(COMPONENT, &placement.redirector_name());
        wake(context, &context.config.namespace, &pods, SEEN, &told).await?;
        context.told(&name);
    }
    Ok(())
}
