//! What belongs to no single resource: the front door of each placement, and the certificate and keys of the alert service.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinetic_api::resources::Alert;
use kinetic_pki::Subject;
use kube::ResourceExt;

use super::{alert, api_keys};
use crate::{
    apply::apply,
    build::{
        alert_keys::{self, alert_keys},
        config_map::fingerprint,
        disruption_budget::disruption_budget,
        labels::unowned,
        redirector::{self, COMPONENT},
    },
    certify::{Certified, Slot, certify},
    config::Placement,
    context::{Context, Failure},
    leaf::Wanted,
    resources::Kind,
    secrets,
};

/// The Secret of the certificate by which the alert service comes to the front doors.
pub const ALERT_TLS: &str = "kinetic-alert-tls";

/// Brings all of it to where it should be. A front door that is refused keeps nothing else waiting: the last failure is told when all has been tried.
pub async fn reconcile(context: &Context) -> Result<(), Failure> {
    let mut done = Ok(());
    for placement in &context.config.placements {
        if let Err(error) = front_door(placement, context).await {
            tracing::warn!(name = placement.redirector_name(), %error, "a front door is not as it should be");
            done = Err(error);
        }
    }
    let metadata = unowned(ALERT_TLS.to_owned(), &context.config.namespace, "alert", ALERT_TLS);
    own_certificate(metadata, Wanted::new(Subject::Alert), context).await?;
    keys(&listed::<Alert>(context).await?, context).await?;
    done
}

/// All resources of a kind that can be read, sorted, so that equal lists lead to equal objects.
async fn listed<K: Kind>(context: &Context) -> Result<Vec<K>, Failure> {
    let mut all = context.resources.all::<K>(|_| true).await?;
    all.sort_by_key(|object| (object.namespace(), object.name_any()));
    Ok(all)
}

/// A certificate of a part of Kinetic's own, whose pods wait for its Secret.
async fn own_certificate(metadata: ObjectMeta, wanted: Wanted, context: &Context) -> Result<(), Failure> {
    if let Certified::Awaited(problem) =
        certify(Slot { metadata, wanted, files: BTreeMap::new() }, context).await?
    {
        tracing::warn!("{problem}");
    }
    Ok(())
}

async fn front_door(placement: &Placement, context: &Context) -> Result<(), Failure> {
    let config = &context.config;
    let name = placement.redirector_name();
    let wanted =
        Wanted { dns: redirector::names(placement, &config.namespace), ..Wanted::new(Subject::Redirector) };
    let metadata = redirector::metadata(config, placement);
    own_certificate(metadata.clone(), wanted, context).await?;
    api_keys::bring(placement, context).await?;
    let settings = redirector::config_map(config, placement);
    apply(context, &settings).await?;
    apply(context, &redirector::service(config, placement)).await?;
    let settings = fingerprint(&settings.data.unwrap_or_default());
    apply(context, &redirector::deployment(config, placement, &settings)).await?;
    apply(context, &disruption_budget(metadata, COMPONENT, &name)).await?;
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
