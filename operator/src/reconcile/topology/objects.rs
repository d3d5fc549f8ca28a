//! A Topology's objects on Kubernetes.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Secret},
};
use kinetic_api::resources::Topology;
use kinetic_pki::Subject;
use kube::{Api, ResourceExt};

use crate::{
    apply::{Applied, ApplyError, apply, apply_anew, prune},
    build::{
        certificate::Certificate,
        claim::claim,
        config_map::{self, COMPONENT, config_map, fingerprint},
        disruption_budget::disruption_budget,
        labels::{Owned, owned, query},
        network_policy::network_policy,
        pod::TopologyOf,
        stateful_set::{self, stateful_set},
    },
    certify::{Certified, Slot, certify},
    condition::Verdict,
    context::{Context, Failure},
    known::Key,
    leaf::Wanted,
    reconcile::wake::wake,
};

const KIND: &str = "AnalyzersReady";
/// What makes the kubelet look at a pod's mounted configuration at once, instead of within a minute.
const SEEN: &str = "kinetic.dev/config";

/// Applies all of them; a name that somebody else has taken is a verdict, and what the API server does not let be.
pub(super) async fn apply_all(of: &TopologyOf, context: &Context) -> Result<Verdict, Failure> {
    match objects(of, context).await {
        Ok(Some(trouble)) => Ok(trouble),
        Ok(None) => Ok(Verdict::good(KIND, "Running", format!("{} analyzer(s) are ready", of.partitions))),
        Err(Failure::Apply(error @ ApplyError::Taken { .. })) => {
            Ok(Verdict::bad(KIND, "NameTaken", error.to_string()))
        }
        Err(Failure::Apply(error)) if let Some(message) = refused(&error) => {
            Ok(Verdict::bad(KIND, "Refused", message))
        }
        Err(failure) => Err(failure),
    }
}

/// What the API server says of an object that it will not have, however often it is asked: it is against its rules, a quota, or a policy.
fn refused(error: &ApplyError) -> Option<String> {
    match error {
        ApplyError::Api(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => {
            // Below the first line there may be a comparison of both objects.
            Some(format!("the API server refuses: {}", status.message.lines().next().unwrap_or_default()))
        }
        _ => None,
    }
}

/// What is not as it should be, if anything.
async fn objects(of: &TopologyOf, context: &Context) -> Result<Option<Verdict>, Failure> {
    let config = config_map(of);
    let changed = apply(context, &config).await? == Applied::Written;
    if context.to_be_told(&of.owner.reference.uid, changed) {
        let told = fingerprint(&config.data.unwrap_or_default());
        wake(context, &of.owner.namespace, &query(COMPONENT, &of.name), SEEN, &told).await?;
        context.told(&of.owner.reference.uid);
    }
    apply(context, &network_policy(of)).await?;
    let metadata = owned(config_map::name(&of.name), COMPONENT, &of.name, &of.owner);
    apply(context, &disruption_budget(metadata, COMPONENT, &of.name)).await?;
    let checkpoint = of.topology.spec.analyzer.checkpoint.as_ref();
    let mut keep = BTreeSet::new();
    let mut trouble = None;
    for partition in 0..of.partitions {
        if let Some(awaited) = certificate(&of.topology, &of.owner, partition, context).await? {
            trouble = Some(Verdict::bad(KIND, "AwaitingIssuer", awaited));
        }
        if let Some(checkpoint) = checkpoint {
            trouble = claimed(&claim(of, checkpoint, partition), context).await?.or(trouble);
        }
        apply_anew(context, &stateful_set(of, partition)).await?;
        keep.insert(stateful_set::name(&of.name, partition));
    }
    prune::<StatefulSet>(context, &of.owner, COMPONENT, &of.name, &keep).await?;
    prune::<Secret>(context, &of.owner, COMPONENT, &of.name, &keep).await?;
    if context.config.issuer.is_some() {
        prune::<Certificate>(context, &of.owner, COMPONENT, &of.name, &keep).await?;
    }
    // A claim goes when no pod uses it any more.
    let claims = if checkpoint.is_some() { keep } else { BTreeSet::new() };
    prune::<PersistentVolumeClaim>(context, &of.owner, COMPONENT, &of.name, &claims).await?;
    Ok(trouble)
}

/// A claim that is refused (it cannot become what it should be, or there is a quota) keeps nothing from going on with what there is.
async fn claimed(claim: &PersistentVolumeClaim, context: &Context) -> Result<Option<Verdict>, Failure> {
    match apply(context, claim).await {
        Ok(_) => Ok(None),
        Err(error) => match refused(&error) {
            Some(message) => {
                let message = format!(
                    "{message}: correct spec.analyzer.checkpoint; or delete the PersistentVolumeClaim {}, and it is made anew: its analyzer reads its streams again",
                    claim.name_any()
                );
                Ok(Some(Verdict::bad(KIND, "ClaimRefused", message)))
            }
            None => Err(error.into()),
        },
    }
}

/// A partition's certificate; or what is awaited for it.
async fn certificate(
    topology: &Topology,
    owner: &Owned,
    partition: u8,
    context: &Context,
) -> Result<Option<String>, Failure> {
    let name = topology.name_any();
    let customer = topology.spec.customer.clone();
    // A resource's name is one by its definition's rule; what got past it has no certificate to be made.
    let Ok(parsed) = name.parse() else { return Ok(None) };
    let wanted = Wanted::new(Subject::Analyzer { customer, topology: parsed, partition });
    let metadata = owned(stateful_set::name(&name, partition), COMPONENT, &name, owner);
    Ok(match certify(Slot { metadata, wanted, files: BTreeMap::new() }, context).await? {
        Certified::Held(_) => None,
        Certified::Awaited(problem) => Some(problem),
    })
}

/// Renews the certificates of analyzers that run as they were: what is wrong with an edit must not end them.
pub(super) async fn renew(topology: &Topology, context: &Context) -> Result<(), Failure> {
    let Some(owner) = Owned::by(topology) else { return Ok(()) };
    let api = Api::<StatefulSet>::namespaced(context.client.clone(), &owner.namespace);
    for partition in 0..u8::try_from(topology.spec.analyzer.partitions).unwrap_or_default() {
        let name = stateful_set::name(&topology.name_any(), partition);
        let key = Key::new::<StatefulSet>(&owner.namespace, &name);
        let known = context.known.memo(&key).is_some();
        if known || (!context.known.absent(&key) && api.get_opt(&name).await?.is_some()) {
            certificate(topology, &owner, partition, context).await?;
        }
    }
    Ok(())
}
