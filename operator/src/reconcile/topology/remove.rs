//! A Topology goes: its streams with it. Its objects on Kubernetes go with their owner.

use std::time::Duration;

use kinetic_api::resources::{Customer, Topology, customer::DeletionPolicy};
use kube::{Api, ResourceExt};

use crate::{
    broker::desired::{Owner, without_topology},
    context::{Context, Failure},
    reconcile::{AGAIN, FINALIZER, set_finalizer},
};

pub(super) async fn remove(topology: &Topology, context: &Context) -> Result<Duration, Failure> {
    if !topology.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(AGAIN);
    }
    let owner = Owner {
        namespace: topology.namespace().unwrap_or_default(),
        name: topology.spec.customer.to_string(),
    };
    let customer = Api::<Customer>::namespaced(context.client.clone(), &owner.namespace)
        .get_opt(&topology.spec.customer)
        .await?;
    let placement = customer
        .as_ref()
        .filter(|customer| !retained(customer))
        .and_then(|customer| context.placement(&customer.spec.region, &customer.spec.provider));
    if let Some((_, brokers)) = placement {
        // The vhost says whose it is, whichever of them holds it.
        for broker in brokers {
            let state = broker.state().await?;
            let its = state
                .vhosts
                .iter()
                .filter(|(_, vhost)| Owner::of(&vhost.description).as_ref() == Some(&owner));
            for (vhost, _) in its {
                broker.bring(&without_topology(vhost, owner.clone(), &topology.name_any())).await?;
            }
        }
    }
    set_finalizer(context, topology, false).await?;
    Ok(AGAIN)
}

/// Whether the Customer goes too, and its data is to stay: as when their namespace is deleted. A Customer that is gone has decided already.
fn retained(customer: &Customer) -> bool {
    customer.metadata.deletion_timestamp.is_some() && customer.spec.deletion_policy == DeletionPolicy::Retain
}
