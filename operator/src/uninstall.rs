//! The operator goes for good: what it made goes before it, and nobody waits for it any more.
//!
//! Customers, Topologies and Alerts stay, for they are their writers': an operator that is installed again brings everything back. What is on the brokers goes as
//! if each Customer were deleted: its users, and its vhost with `deletionPolicy: Delete`. A paused Customer's is left alone. A broker that does not answer in time
//! is given up, and told of: an uninstallation must end. With a Customer that is retained the authority is, too: its machines have certificates. Without, what
//! machines were told by it goes too: their Enrollments, and the tokens that let them ask.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    coordination::v1::Lease,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kinetic_api::resources::{Alert, Customer, Enrollment, Topology, customer::DeletionPolicy};
use kinetic_enroll::cluster::directory::TOKEN;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions},
    core::NamespaceResourceScope,
    runtime::events::{Event, EventType},
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{
    apply::{Applicable, MANAGED_BY, MANAGER},
    broker::{Broker, desired},
    build::certificate::Certificate,
    config::{Config, ConfigError},
    context::Context,
    lease::{self, Elector},
    reconcile::{FINALIZER, paused},
    resources::Guarded,
    vault,
};

/// Whether the operator's pods are gone is looked at so often.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How it is done.
#[derive(Clone, Debug)]
pub struct Uninstall {
    /// The Deployment that the operator runs as, which is scaled down first.
    pub deployment: Option<String>,
    /// How long to wait for other instances to end, and then for brokers.
    pub patience: Duration,
}

/// What stays on brokers that should have gone, in a sentence each.
pub type Left = Vec<String>;

/// Why it was not done. Doing it again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An operator acts, and would make everything again.
    #[error(
        "another operator acts in the namespace {namespace}, and did not end within {patience:?}: stop it (`kubectl scale --replicas=0`) and try again"
    )]
    Acting {
        /// Where.
        namespace: String,
        /// So long was waited.
        patience: Duration,
    },
    /// The API server refused, or was away.
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// What becomes of a Customer on its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Users go, and the vhost with its data.
    Delete,
    /// Users go.
    Retain,
    /// Nothing is touched.
    Leave,
}

fn fate(customer: &Customer) -> Fate {
    match customer.spec.deletion_policy {
        _ if paused(customer) => Fate::Leave,
        // Nothing was made without it.
        _ if !customer.finalizers().iter().any(|finalizer| finalizer == FINALIZER) => Fate::Leave,
        DeletionPolicy::Delete => Fate::Delete,
        DeletionPolicy::Retain => Fate::Retain,
    }
}

/// Whether the authority stays for the sake of these Customers.
fn retained(customers: &[Guarded<Customer>]) -> bool {
    let gone =
        |customer: &Customer| !paused(customer) && customer.spec.deletion_policy == DeletionPolicy::Delete;
    // Of one that cannot be read nobody knows what it says.
    customers.iter().any(|customer| customer.0.as_ref().map_or(true, |customer| !gone(customer)))
}

/// Removes all that the operator made, and its finalizers. `me` is a name that no other instance has.
pub async fn uninstall(
    client: Client,
    config: Config,
    me: String,
    how: &Uninstall,
) -> Result<Left, UninstallError> {
    let context = Context::new(client.clone(), config)?;
    let namespace = context.config.namespace.clone();
    let acting = || UninstallError::Acting { namespace: namespace.clone(), patience: how.patience };
    if let Some(deployment) = &how.deployment {
        let stopping = stop(&client, &namespace, deployment);
        timeout(how.patience, stopping).await.map_err(|_| acting())??;
    }
    let mut elector = Elector::new(client, &namespace, me);
    timeout(how.patience, elector.acquire()).await.map_err(|_| acting())?;
    let left = tokio::select! {
        left = remove(&context, how.patience) => left?,
        () = elector.keep() => return Err(acting()),
    };
    elector.release().await;
    delete_one::<Lease>(&context, &namespace, lease::NAME, None).await?;
    Ok(left)
}

/// Scales the operator down, and waits until none of its pods is left: one that stands by would take the Lease next, and make everything again.
async fn stop(client: &Client, namespace: &str, name: &str) -> Result<(), kube::Error> {
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let deployments = Api::<Deployment>::namespaced(client.clone(), namespace);
    let patched = deployments.patch(name, &parameters, &Patch::Merge(json!({"spec": {"replicas": 0}}))).await;
    let deployment = match patched {
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        patched => patched?,
    };
    let labels = deployment.spec.and_then(|spec| spec.selector.match_labels).unwrap_or_default();
    let selector: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let its = ListParams::default().labels(&selector.join(","));
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    let ended = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    };
    while !pods.list(&its).await?.items.iter().all(ended) {
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

async fn remove(context: &Context, patience: Duration) -> Result<Left, kube::Error> {
    let mut customers = Vec::new();
    for namespace in context.namespaces() {
        customers.extend(listed(&context.api::<Guarded<Customer>>(namespace)).await?);
    }
    let left = from_brokers(&customers, context, patience).await;
    let keep: &[&str] = if retained(&customers) { &[vault::CA, vault::MASTER] } else { &[] };
    let own = Some(context.config.namespace.as_str());
    if context.config.issuer.is_some() {
        // Before their Secrets, which cert-manager would make again.
        for namespace in context.namespaces().into_iter().chain([own]) {
            delete::<Certificate>(context, namespace, &[]).await?;
        }
    }
    for namespace in context.namespaces() {
        delete::<StatefulSet>(context, namespace, &[]).await?;
        delete::<PersistentVolumeClaim>(context, namespace, &[]).await?;
        delete::<NetworkPolicy>(context, namespace, &[]).await?;
        delete::<PodDisruptionBudget>(context, namespace, &[]).await?;
        delete::<ConfigMap>(context, namespace, &[]).await?;
        delete::<Secret>(context, namespace, keep).await?;
        release::<Alert>(context, namespace).await?;
        release::<Topology>(context, namespace).await?;
        release::<Customer>(context, namespace).await?;
    }
    delete::<Deployment>(context, own, &[]).await?;
    if keep.is_empty() {
        // When nobody takes requests in any more.
        forget_machines(&customers, context).await?;
    }
    delete::<Service>(context, own, &[]).await?;
    delete::<PodDisruptionBudget>(context, own, &[]).await?;
    delete::<ConfigMap>(context, own, &[]).await?;
    delete::<Secret>(context, own, keep).await?;
    Ok(left)
}

/// Removes Customers from their brokers; what cannot be removed in time is told of.
async fn from_brokers(customers: &[Guarded<Customer>], context: &Context, patience: Duration) -> Left {
    let mut left = Vec::new();
    let mut wanted = Vec::new();
    for customer in customers {
        let Ok(customer) = &customer.0 else {
            left.push(format!(
                "{} cannot be read: its vhost and users, if it has any, stay",
                customer.name_any()
            ));
            continue;
        };
        let fate = fate(customer);
        match context.placement(&customer.spec.region, &customer.spec.provider) {
            _ if fate == Fate::Leave => {}
            Some((_, brokers)) => wanted.extend(brokers.iter().map(|broker| (customer, fate, broker))),
            None => left.push(format!(
                "{}: its placement is not configured: its vhost and users, if it has any, stay",
                customer.vhost()
            )),
        }
    }
    let deadline = Instant::now() + patience;
    loop {
        let mut away = BTreeSet::new();
        let mut waiting = Vec::new();
        for (customer, fate, broker) in wanted {
            // One that does not answer is not asked for each Customer.
            let outcome = if away.contains(&broker.name) {
                None
            } else {
                timeout_at(deadline, remove_from(broker, customer, fate)).await.ok()
            };
            match outcome {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::warn!(vhost = customer.vhost(), broker = broker.name, %error, "waiting for the broker");
                    away.insert(broker.name.clone());
                    waiting.push((customer, fate, broker));
                }
                None => waiting.push((customer, fate, broker)),
            }
        }
        if waiting.is_empty() {
            return left;
        }
        if Instant::now() >= deadline {
            for (customer, fate, broker) in waiting {
                let what = if fate == Fate::Delete { "its vhost and users stay" } else { "its users stay" };
                let sentence =
                    format!("{}: the broker {} did not answer: {what}", customer.vhost(), broker.name);
                tell(context, customer, &sentence).await;
                left.push(sentence);
            }
            return left;
        }
        wanted = waiting;
        sleep(AGAIN.min(deadline - Instant::now())).await;
    }
}

/// A broker that does not answer is asked again after so long.
const AGAIN: Duration = Duration::from_secs(2);

async fn remove_from(
    broker: &Broker,
    customer: &Customer,
    fate: Fate,
) -> Result<(), crate::broker::BrokerError> {
    let vhost = customer.vhost();
    let brought = broker.remove(&vhost, &desired::owner(customer), fate == Fate::Delete).await?;
    tracing::info!(
        vhost,
        broker = broker.name,
        changes = brought.changes.len(),
        ?fate,
        "removed from the broker"
    );
    Ok(())
}

/// The log goes with the pod; an Event stays for an hour. One that cannot be written is no failure.
async fn tell(context: &Context, customer: &Customer, sentence: &str) {
    let event = Event {
        type_: EventType::Warning,
        reason: "LeftOnBroker".to_owned(),
        note: Some(sentence.to_owned()),
        action: "Uninstall".to_owned(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, &customer.object_ref(&())).await {
        tracing::warn!(%error, "an Event could not be written");
    }
}

/// All objects; none where nobody knows the kind any more.
async fn listed<K>(api: &Api<K>) -> Result<Vec<K>, kube::Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Deletes the operator's objects of a kind, but for those of these names.
async fn delete<K: Applicable>(
    context: &Context,
    namespace: Option<&str>,
    keep: &[&str],
) -> Result<(), kube::Error> {
    let ours = ListParams::default().labels(&format!("{MANAGED_BY}={MANAGER}"));
    for object in context.api::<K>(namespace).list_metadata(&ours).await? {
        let name = object.name_any();
        if !keep.contains(&name.as_str()) {
            let namespace = object.namespace().unwrap_or_default();
            delete_one::<K>(context, &namespace, &name, object.uid()).await?;
        }
    }
    Ok(())
}

async fn delete_one<K>(
    context: &Context,
    namespace: &str,
    name: &str,
    uid: Option<String>,
) -> Result<(), kube::Error>
where
    K: Applicable,
{
    let exactly_this = Preconditions { uid, resource_version: None };
    let parameters = DeleteParams::background().preconditions(exactly_this);
    match context.api::<K>(Some(namespace)).delete(name, &parameters).await {
        Ok(_) => tracing::info!(kind = %K::kind(&()), namespace, name, "deleted"),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Deletes what enrolment left where resources are: an authority that is gone vouches for no machine, and lets none in by a token.
async fn forget_machines(customers: &[Guarded<Customer>], context: &Context) -> Result<(), kube::Error> {
    for namespace in context.namespaces() {
        for enrollment in listed(&context.api::<Guarded<Enrollment>>(namespace)).await? {
            let namespace = enrollment.namespace().unwrap_or_default();
            delete_one::<Enrollment>(context, &namespace, &enrollment.name_any(), enrollment.uid()).await?;
        }
    }
    for customer in customers {
        let tokens = customer.annotations().keys().filter(|key| key.starts_with(TOKEN));
        let annotations: Map<String, Value> = tokens.map(|key| (key.clone(), Value::Null)).collect();
        if annotations.is_empty() {
            continue;
        }
        let (namespace, name) = (customer.namespace().unwrap_or_default(), customer.name_any());
        let patch = json!({"metadata": {"annotations": annotations}});
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let api = context.api::<Customer>(Some(&namespace));
        match api.patch_metadata(&name, &parameters, &Patch::Merge(&patch)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            patched => {
                patched?;
                tracing::info!(
                    namespace,
                    name,
                    tokens = annotations.len(),
                    "its enrolment tokens are taken off"
                );
            }
        }
    }
    Ok(())
}

/// Takes the operator's finalizer off all resources of a kind, of those that cannot be read, too.
async fn release<K>(context: &Context, namespace: Option<&str>) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug,
{
    let listed = match context.api::<K>(namespace).list_metadata(&ListParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        listed => listed?,
    };
    for object in listed {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let api = context.api::<K>(Some(&namespace));
        let mut now = Some(object);
        // Somebody else may write at the same time.
        while let Some(object) = now {
            let others: Vec<_> = object.finalizers().iter().filter(|f| *f != FINALIZER).collect();
            if others.len() == object.finalizers().len() {
                break;
            }
            let version = object.resource_version();
            let patch = json!({"metadata": {"resourceVersion": version, "finalizers": others}});
            let parameters =
                PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            now = match api.patch_metadata(&name, &parameters, &Patch::Merge(&patch)).await {
                Err(kube::Error::Api(status)) if status.is_conflict() => api.get_metadata_opt(&name).await?,
                Err(kube::Error::Api(status)) if status.is_not_found() => None,
                patched => {
                    patched?;
                    tracing::info!(kind = %K::kind(&()), namespace, name, "its finalizer is taken off");
                    None
                }
            };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kube::core::DeserializeGuard;

    use super::*;

    fn customer(policy: &str, extra: &serde_json::Value) -> Customer {
        let mut object = json!({
            "apiVersion": "kinetic.dev/v1alpha1", "kind": "Customer",
            "metadata": {"name": "acme", "finalizers": [FINALIZER]},
            "spec": {"region": "r", "provider": "p", "deletionPolicy": policy},
        });
        object["metadata"].as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_customer_on_its_broker_goes_as_far_as_it_says() {
        assert_eq!(fate(&customer("Delete", &json!({}))), Fate::Delete);
        assert_eq!(fate(&customer("Retain", &json!({}))), Fate::Retain);
        assert_eq!(fate(&customer("Delete", &json!({"finalizers": []}))), Fate::Leave);
        assert_eq!(
            fate(&customer("Delete", &json!({"annotations": {"kinetic.dev/paused": "true"}}))),
            Fate::Leave
        );
    }

    #[test]
    fn the_authority_stays_with_who_stays() {
        let of =
            |object: serde_json::Value| serde_json::from_value::<DeserializeGuard<Customer>>(object).unwrap();
        let good = |policy| of(serde_json::to_value(customer(policy, &json!({}))).unwrap());
        assert!(!retained(&[]));
        assert!(!retained(&[good("Delete")]));
        assert!(retained(&[good("Delete"), good("Retain")]));
        let unreadable = json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": "Customer", "metadata": {"name": "x"}, "spec": 1});
        assert!(retained(&[of(unreadable)]));
    }
}
