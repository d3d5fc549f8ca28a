//! A Topology's objects on Kubernetes.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, Secret},
};
use kinetic_pki::Subject;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    apply::{Applied, ApplyError, MANAGER, apply, prune},
    build::{
        client_secret::tls,
        config_map::{self, COMPONENT, config_map, fingerprint},
        disruption_budget::disruption_budget,
        labels::{owned, query},
        network_policy::network_policy,
        pod::TopologyOf,
        stateful_set::{self, stateful_set},
    },
    certificate,
    condition::Verdict,
    context::{Context, Failure},
    leaf::{Pair, Wanted},
};

const KIND: &str = "AnalyzersReady";
/// What makes the kubelet look at a pod's mounted configuration at once, instead of within a minute.
const SEEN: &str = "kinetic.dev/config";

/// Applies all of them; a name that somebody else has taken is a verdict.
pub(super) async fn apply_all(of: &TopologyOf, context: &Context) -> Result<Verdict, Failure> {
    match objects(of, context).await {
        Ok(()) => Ok(Verdict::good(KIND, "Running", format!("{} analyzer(s) are ready", of.partitions))),
        Err(Failure::Apply(error @ ApplyError::Taken { .. })) => {
            Ok(Verdict::bad(KIND, "NameTaken", error.to_string()))
        }
        Err(failure) => Err(failure),
    }
}

async fn objects(of: &TopologyOf, context: &Context) -> Result<(), Failure> {
    let config = config_map(of);
    let changed = apply(context, &config).await? == Applied::Written;
    if context.to_be_told(&of.owner.reference.uid, changed) {
        wake(of, &fingerprint(&config.data.unwrap_or_default()), context).await?;
        context.told(&of.owner.reference.uid);
    }
    apply(context, &network_policy(of)).await?;
    let metadata = owned(config_map::name(&of.name), COMPONENT, &of.name, &of.owner);
    apply(context, &disruption_budget(metadata, COMPONENT, &of.name)).await?;
    let mut keep = BTreeSet::new();
    for partition in 0..of.partitions {
        certificate_of(of, partition, context).await?;
        apply(context, &stateful_set(of, partition)).await?;
        keep.insert(stateful_set::name(&of.name, partition));
    }
    prune::<StatefulSet>(context, &of.owner, COMPONENT, &of.name, &keep).await?;
    prune::<Secret>(context, &of.owner, COMPONENT, &of.name, &keep).await?;
    Ok(())
}

async fn certificate_of(of: &TopologyOf, partition: u8, context: &Context) -> Result<(), Failure> {
    let now = (context.clock)();
    let material = context.vault.material(now).await?;
    let customer = of.topology.spec.customer.clone();
    // A resource's name is one by its definition's rule; what got past it has no certificate to be made.
    let Ok(topology) = of.name.parse() else { return Ok(()) };
    let wanted = Wanted::new(Subject::Analyzer { customer, topology, partition });
    let name = stateful_set::name(&of.name, partition);
    let secret = |pair: &Pair| Secret {
        metadata: owned(name.clone(), COMPONENT, &of.name, &of.owner),
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(tls(pair, &material.trust)),
        ..Secret::default()
    };
    certificate::keep(context, &material, &wanted, secret).await?;
    Ok(())
}

/// Annotates the pods (not their template: that would restart them) with what they should have mounted.
async fn wake(of: &TopologyOf, fingerprint: &str, context: &Context) -> Result<(), Failure> {
    let api = Api::<Pod>::namespaced(context.client.clone(), &of.owner.namespace);
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    for pod in api.list(&ListParams::default().labels(&query(COMPONENT, &of.name))).await? {
        if pod.annotations().get(SEEN).is_some_and(|seen| seen == fingerprint) {
            continue;
        }
        let patch = json!({"metadata": {"annotations": {SEEN: fingerprint}}});
        match api.patch_metadata(&pod.name_any(), &parameters, &Patch::Merge(&patch)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            patched => drop(patched?),
        }
    }
    Ok(())
}
