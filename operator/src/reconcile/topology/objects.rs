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
    condition::Verdict,
    context::{Context, Failure},
    leaf::{Wanted, issue, judge},
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
    let client = &context.client;
    let config = config_map(of);
    let changed = apply(client, &config).await? == Applied::Written;
    apply(client, &network_policy(of)).await?;
    let metadata = owned(config_map::name(&of.name), COMPONENT, &of.name, &of.owner);
    apply(client, &disruption_budget(metadata, COMPONENT, &of.name)).await?;
    let mut keep = BTreeSet::new();
    for partition in 0..of.partitions {
        certificate(of, partition, context).await?;
        apply(client, &stateful_set(of, partition)).await?;
        keep.insert(stateful_set::name(&of.name, partition));
    }
    let (namespace, selector) = (&of.owner.namespace, query(COMPONENT, &of.name));
    if context.to_be_pruned(&of.owner.reference.uid, &keep) {
        prune::<StatefulSet>(client, namespace, &selector, &of.owner.reference, &keep).await?;
        prune::<Secret>(client, namespace, &selector, &of.owner.reference, &keep).await?;
        context.pruned(of.owner.reference.uid.clone(), keep);
    }
    if changed {
        wake(of, &fingerprint(&config.data.unwrap_or_default()), context).await?;
    }
    Ok(())
}

async fn certificate(of: &TopologyOf, partition: u8, context: &Context) -> Result<(), Failure> {
    let now = (context.clock)();
    let material = context.vault.material(now).await?;
    let customer = of.topology.spec.customer.clone();
    // A resource's name is one by its definition's rule; what got past it has no certificate to be made.
    let Ok(topology) = of.name.parse() else { return Ok(()) };
    let wanted = Wanted::new(Subject::Analyzer { customer, topology, partition });
    let name = stateful_set::name(&of.name, partition);
    let there = Api::<Secret>::namespaced(context.client.clone(), &of.owner.namespace).get_opt(&name).await?;
    let pair = match judge(there.as_ref(), &wanted, &material.authority, now) {
        Ok(pair) => pair,
        Err(reason) => {
            tracing::info!(secret = name, ?reason, "issuing a certificate");
            issue(&wanted, &material.authority, now)?
        }
    };
    let secret = Secret {
        metadata: owned(name, COMPONENT, &of.name, &of.owner),
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(tls(&pair, &material.trust)),
        ..Secret::default()
    };
    apply(&context.client, &secret).await?;
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
