//! A Customer goes: its users with it, its data if that is what it says, and not before its Topologies.

use std::time::Duration;

use kinetic_api::resources::{
    Customer, Topology,
    customer::{CustomerStatus, DeletionPolicy},
};
use kube::{ResourceExt, api::ListParams};

use crate::{
    broker::desired,
    condition::{Verdict, conditions},
    context::{Context, Failure},
    reconcile::{AGAIN, FINALIZER, SOON, set_finalizer},
    resources::Guarded,
};

pub(super) async fn remove(customer: &Customer, context: &Context) -> Result<Duration, Failure> {
    if !customer.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(AGAIN);
    }
    let (namespace, name) = (customer.namespace().unwrap_or_default(), customer.name_any());
    let listed = context.api::<Guarded<Topology>>(Some(&namespace)).list(&ListParams::default()).await?;
    let users: Vec<_> = listed
        .iter()
        .filter_map(|topology| topology.0.as_ref().ok())
        .filter(|topology| *topology.spec.customer == *name)
        .map(ResourceExt::name_any)
        .collect();
    if !users.is_empty() {
        let message = format!("waits until its Topologies are deleted: {}", users.join(", "));
        waits(customer, "InUse", message, context).await?;
        return Ok(SOON);
    }
    let with_data = customer.spec.deletion_policy == DeletionPolicy::Delete;
    // A placement that is no longer configured has no broker that could be told.
    if let Some((_, brokers)) = context.placement(&customer.spec.region, &customer.spec.provider) {
        for broker in brokers {
            if let Err(error) = broker.remove(&customer.vhost(), &desired::owner(customer), with_data).await {
                let message =
                    format!("{}: {error}; its users and vhost are removed once it answers", broker.name);
                waits(customer, "BrokerUnreachable", message, context).await?;
                return Err(error.into());
            }
        }
    }
    set_finalizer(context, customer, false).await?;
    tracing::info!(namespace, name, vhost = customer.vhost(), with_data, "a Customer is gone");
    Ok(AGAIN)
}

async fn waits(
    customer: &Customer,
    reason: &'static str,
    message: String,
    context: &Context,
) -> Result<(), Failure> {
    let before = customer.status.clone().unwrap_or_default();
    let verdict = Verdict::bad("BrokerReady", reason, message);
    let conditions =
        conditions(&before.conditions, &[verdict], customer.metadata.generation, (context.clock)());
    super::write(customer, &CustomerStatus { conditions, ..before }, context).await
}
