//! What belongs to no single resource: the front door of each placement, and the keys of the alert service.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kinetic_api::resources::{Alert, Customer, Topology};
use kinetic_pki::Subject;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use super::alert;
use crate::{
    apply::{Applied, MANAGER, apply},
    build::{
        alert_keys::{self, alert_keys},
        config_map::fingerprint,
        disruption_budget::disruption_budget,
        labels::{query, unowned},
        redirector::{self, COMPONENT},
        route_map::route_map,
    },
    certificate,
    config::Placement,
    context::{Context, Failure},
    leaf::{Pair, Wanted},
    resources::Kind,
    secrets,
};

/// Brings all of it to where it should be.
pub async fn reconcile(context: &Context) -> Result<(), Failure> {
    let customers = listed::<Customer>(context).await?;
    let topologies = listed::<Topology>(context).await?;
    for placement in &context.config.placements {
        front_door(placement, &customers, &topologies, context).await?;
    }
    keys(&listed::<Alert>(context).await?, context).await
}

/// All resources of a kind that can be read, sorted, so that equal lists lead to equal objects.
async fn listed<K: Kind>(context: &Context) -> Result<Vec<K>, Failure> {
    let mut all = context.resources.all::<K>(|_| true).await?;
    all.sort_by_key(|object| (object.namespace(), object.name_any()));
    Ok(all)
}

async fn front_door(
    placement: &Placement,
    customers: &[Customer],
    topologies: &[Topology],
    context: &Context,
) -> Result<(), Failure> {
    let config = &context.config;
    let name = placement.redirector_name();
    let material = context.vault.material((context.clock)()).await?;
    let wanted =
        Wanted { dns: redirector::names(placement, &config.namespace), ..Wanted::new(Subject::Redirector) };
    let secret = |pair: &Pair| redirector::certificate(config, placement, pair, &material.trust);
    certificate::keep(context, &material, &wanted, secret).await?;
    let routes = route_map(config, placement, customers, topologies);
    let changed = apply(context, &routes).await? == Applied::Written;
    let settings = redirector::config_map(config, placement);
    apply(context, &settings).await?;
    apply(context, &redirector::service(config, placement)).await?;
    let settings = fingerprint(&settings.data.unwrap_or_default());
    apply(context, &redirector::deployment(config, placement, &settings)).await?;
    let metadata = unowned(name.clone(), &config.namespace, COMPONENT, &name);
    apply(context, &disruption_budget(metadata, COMPONENT, &name)).await?;
    if context.to_be_told(&name, changed) {
        wake(&name, &fingerprint(&routes.data.unwrap_or_default()), context).await?;
        context.told(&name);
    }
    Ok(())
}

/// Annotates the pods with the routes that they should have, so that the kubelet brings them at once.
async fn wake(name: &str, routes: &str, context: &Context) -> Result<(), Failure> {
    const SEEN: &str = "kinetic.dev/routes";
    let api = Api::<Pod>::namespaced(context.client.clone(), &context.config.namespace);
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    for pod in api.list(&ListParams::default().labels(&query(COMPONENT, name))).await? {
        if pod.annotations().get(SEEN).is_some_and(|seen| seen == routes) {
            continue;
        }
        let patch = json!({"metadata": {"annotations": {SEEN: routes}}});
        match api.patch_metadata(&pod.name_any(), &parameters, &Patch::Merge(&patch)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            patched => drop(patched?),
        }
    }
    Ok(())
}

async fn keys(alerts: &[Alert], context: &Context) -> Result<(), Failure> {
    let mut keys = BTreeMap::new();
    for alert in alerts {
        let namespace = alert.namespace().unwrap_or_default();
        for (secret, key) in alert::keys(alert) {
            let value = secrets::data(context, &namespace, secret).await?.get(key).cloned();
            keys.extend(value.map(|value| (alert_keys::entry(&namespace, secret, key), value)));
        }
    }
    apply(context, &alert_keys(&context.config.namespace, keys)).await?;
    Ok(())
}
