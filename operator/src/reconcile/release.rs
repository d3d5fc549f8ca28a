//! What belongs to no single resource: the front door of each placement, and the certificate and keys of the alert service.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kinetic_api::resources::Alert;
use kinetic_pki::Subject;
use kube::{Api, ResourceExt};

use super::alert;
use crate::{
    apply::apply,
    build::{
        alert_keys::{self, alert_keys},
        config_map::fingerprint,
        disruption_budget::disruption_budget,
        labels::unowned,
        redirector::{self, COMPONENT},
    },
    config::Placement,
    context::{Context, Failure},
    leaf::{Pair, Wanted, issue, judge},
    resources::Kind,
};

/// Brings all of it to where it should be.
pub async fn reconcile(context: &Context) -> Result<(), Failure> {
    for placement in &context.config.placements {
        front_door(placement, context).await?;
    }
    alert_service(context).await
}

/// All resources of a kind that can be read, sorted, so that equal lists lead to equal objects.
async fn listed<K: Kind>(context: &Context) -> Result<Vec<K>, Failure> {
    let mut all = context.resources.all::<K>(|_| true).await?;
    all.sort_by_key(|object| (object.namespace(), object.name_any()));
    Ok(all)
}

async fn front_door(placement: &Placement, context: &Context) -> Result<(), Failure> {
    let (client, config) = (&context.client, &context.config);
    let name = placement.redirector_name();
    let wanted =
        Wanted { dns: redirector::names(placement, &config.namespace), ..Wanted::new(Subject::Redirector) };
    let (pair, trust) = vouched(&name, &wanted, context).await?;
    apply(client, &redirector::certificate(config, placement, &pair, &trust)).await?;
    let settings = redirector::config_map(config, placement);
    apply(client, &settings).await?;
    apply(client, &redirector::service(config, placement)).await?;
    let settings = fingerprint(&settings.data.unwrap_or_default());
    apply(client, &redirector::deployment(config, placement, &settings)).await?;
    let metadata = unowned(name.clone(), &config.namespace, COMPONENT, &name);
    apply(client, &disruption_budget(metadata, COMPONENT, &name)).await?;
    Ok(())
}

/// What the alert service has mounted.
async fn alert_service(context: &Context) -> Result<(), Failure> {
    let (client, namespace) = (&context.client, &context.config.namespace);
    let (pair, trust) = vouched(alert_keys::CERTIFICATE, &Wanted::new(Subject::Alert), context).await?;
    apply(client, &alert_keys::certificate(namespace, &pair, &trust)).await?;
    keys(&listed::<Alert>(context).await?, context).await
}

/// The certificate of a Secret of our own namespace, or a new one where it will not do any more; and whom its holder is to trust.
async fn vouched(secret: &str, wanted: &Wanted, context: &Context) -> Result<(Pair, String), Failure> {
    let now = (context.clock)();
    let material = context.vault.material(now).await?;
    let api = Api::<Secret>::namespaced(context.client.clone(), &context.config.namespace);
    let there = api.get_opt(secret).await?;
    let pair = match judge(there.as_ref(), wanted, &material.authority, now) {
        Ok(pair) => pair,
        Err(_) => issue(wanted, &material.authority, now)?,
    };
    Ok((pair, material.trust.clone()))
}

async fn keys(alerts: &[Alert], context: &Context) -> Result<(), Failure> {
    let mut keys = BTreeMap::new();
    for alert in alerts {
        let namespace = alert.namespace().unwrap_or_default();
        let api = Api::<Secret>::namespaced(context.client.clone(), &namespace);
        for (secret, key) in alert::keys(alert) {
            let value = api.get_opt(secret).await?.and_then(|secret| secret.data?.remove(key));
            keys.extend(value.map(|value: ByteString| (alert_keys::entry(&namespace, secret, key), value)));
        }
    }
    apply(&context.client, &alert_keys(&context.config.namespace, keys)).await?;
    Ok(())
}
