//! The watches: over the resources, whole; over what is made of them and what they name, only metadata.

use std::{fmt::Debug, pin::pin, sync::Arc};

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kinetic_api::resources::{Alert, Customer, Topology};
use kube::{
    Api, Resource, ResourceExt,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    apply::{MANAGED_BY, MANAGER},
    build::certificate::Certificate,
    context::Context,
    known::{Key, Scope},
    reconcile::alert,
    resources::{Guarded, Watched},
};

/// Where the controllers of a namespace are told what to look at.
#[derive(Clone)]
pub struct Bells {
    customers: UnboundedSender<ObjectRef<Guarded<Customer>>>,
    topologies: UnboundedSender<ObjectRef<Guarded<Topology>>>,
    alerts: UnboundedSender<ObjectRef<Guarded<Alert>>>,
}

/// Where they hear it.
pub struct Ears {
    /// Of the Customers.
    pub customers: UnboundedReceiver<ObjectRef<Guarded<Customer>>>,
    /// Of the Topologies.
    pub topologies: UnboundedReceiver<ObjectRef<Guarded<Topology>>>,
    /// Of the Alerts.
    pub alerts: UnboundedReceiver<ObjectRef<Guarded<Alert>>>,
}

/// Bells and who hears them.
#[must_use]
pub fn bells() -> (Bells, Ears) {
    let ((customers, c), (topologies, t), (alerts, a)) =
        (unbounded_channel(), unbounded_channel(), unbounded_channel());
    (Bells { customers, topologies, alerts }, Ears { customers: c, topologies: t, alerts: a })
}

/// What is heard, as a stream.
pub fn heard<T>(ears: UnboundedReceiver<T>) -> impl Stream<Item = T> {
    stream::unfold(ears, async |mut ears| ears.recv().await.map(|told| (told, ears)))
}

/// The resources of a kind, as they change; the store holds them without what nobody here reads.
pub fn resources<K>(
    api: Api<Guarded<K>>,
    writer: Writer<Guarded<K>>,
    changed: impl FnMut(&Guarded<K>),
) -> impl Stream<Item = Result<Guarded<K>, watcher::Error>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .touched_objects()
        .inspect_ok(changed)
}

impl Bells {
    /// A Customer has changed: its Topologies may be affected, and who waits for its name in another namespace.
    pub fn customer(&self, watched: &Watched, customer: &Guarded<Customer>) {
        let name = customer.name_any();
        for other in watched.customers.state() {
            if other.name_any() == name && other.meta().namespace != customer.meta().namespace {
                let _ = self.customers.send(ObjectRef::from_obj(&*other));
            }
        }
        let refers = |topology: &Topology| *topology.spec.customer == *name;
        ring(&self.topologies, &watched.topologies, customer.meta(), refers);
    }

    /// A Topology has changed: its Customer and its Alerts may be affected.
    pub fn topology(&self, watched: &Watched, topology: &Guarded<Topology>) {
        let name = topology.name_any();
        ring(&self.alerts, &watched.alerts, topology.meta(), |alert: &Alert| *alert.spec.topology == *name);
        if let (Ok(topology), Some(namespace)) = (&topology.0, topology.namespace()) {
            let customer = ObjectRef::new(&topology.spec.customer).within(&namespace);
            one(&self.customers, &watched.customers, customer);
        }
    }

    /// Somebody else has changed something: whose is it, or who names it?
    fn object(&self, watched: &Watched, context: &Context, kind: &str, metadata: &ObjectMeta) {
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let ours = metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(MANAGED_BY))
            .is_some_and(|by| by == MANAGER);
        let owner = metadata.owner_references.as_ref().and_then(|owners| owners.first());
        match owner.map(|owner| (owner.kind.as_str(), owner.name.as_str())) {
            Some(("Customer", name)) => {
                one(&self.customers, &watched.customers, ObjectRef::new(name).within(namespace));
            }
            Some(("Topology", name)) => {
                one(&self.topologies, &watched.topologies, ObjectRef::new(name).within(namespace));
            }
            _ if ours => context.keys.notify_one(),
            _ if kind == "Secret" => self.secret(watched, context, metadata),
            _ => {}
        }
    }

    /// A Secret that is not the operator's has changed.
    fn secret(&self, watched: &Watched, context: &Context, secret: &ObjectMeta) {
        let name = secret.name.as_deref().unwrap_or_default();
        let names = |alert: &Alert| alert::keys(alert).any(|(named, _)| named == name);
        if ring(&self.alerts, &watched.alerts, secret, names) {
            context.keys.notify_one();
        }
        let keyed = |customer: &Customer| {
            let keys = customer.spec.clients.iter().filter_map(|client| client.api_key.as_ref());
            keys.into_iter().any(|key| key.secret_ref.name == name)
        };
        ring(&self.customers, &watched.customers, secret, keyed);
    }
}

/// Tells of those in the same namespace that fit; says whether there were any.
fn ring<K>(
    bell: &UnboundedSender<ObjectRef<Guarded<K>>>,
    store: &Store<Guarded<K>>,
    beside: &ObjectMeta,
    fits: impl Fn(&K) -> bool,
) -> bool
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let near = |object: &Guarded<K>| {
        object.meta().namespace == beside.namespace && object.0.as_ref().is_ok_and(&fits)
    };
    let mut any = false;
    for object in store.state().iter().filter(|object| near(object)) {
        any = true;
        // Nobody hears where all is being stopped.
        let _ = bell.send(ObjectRef::from_obj(&**object));
    }
    any
}

/// Tells of one, if it is there.
fn one<K>(
    bell: &UnboundedSender<ObjectRef<Guarded<K>>>,
    store: &Store<Guarded<K>>,
    object: ObjectRef<Guarded<K>>,
) where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    if store.get(&object).is_some() {
        let _ = bell.send(object);
    }
}

/// The watches over what is made where resources are, and over the Secrets that they name.
pub fn made<'a>(
    context: &Arc<Context>,
    namespace: Option<&str>,
    watched: &Watched,
    bells: &Bells,
) -> Vec<BoxFuture<'a, ()>> {
    let mut all = vec![
        // Those that resources name have no label of ours.
        metadata::<Secret>(context, namespace, false, watched, bells),
        metadata::<ConfigMap>(context, namespace, true, watched, bells),
        metadata::<StatefulSet>(context, namespace, true, watched, bells),
        metadata::<NetworkPolicy>(context, namespace, true, watched, bells),
        metadata::<PodDisruptionBudget>(context, namespace, true, watched, bells),
        metadata::<PersistentVolumeClaim>(context, namespace, true, watched, bells),
    ];
    if context.config.issuer.is_some() {
        all.push(metadata::<Certificate>(context, namespace, true, watched, bells));
    }
    all
}

/// The watches over what is made in the operator's own namespace, as far as no other watch covers it.
pub fn own<'a>(context: &Arc<Context>, watched: &Watched, bells: &Bells) -> Vec<BoxFuture<'a, ()>> {
    let own = &context.config.namespace;
    let mut all = vec![
        metadata::<Deployment>(context, Some(own), true, watched, bells),
        metadata::<Service>(context, Some(own), true, watched, bells),
    ];
    if !context.namespaces().iter().any(|covered| covered.is_none_or(|covered| covered == own)) {
        all.extend([
            metadata::<Secret>(context, Some(own), true, watched, bells),
            metadata::<ConfigMap>(context, Some(own), true, watched, bells),
            metadata::<PodDisruptionBudget>(context, Some(own), true, watched, bells),
        ]);
        if context.config.issuer.is_some() {
            all.push(metadata::<Certificate>(context, Some(own), true, watched, bells));
        }
    }
    all
}

/// A watch over the metadata of a kind, for ever.
fn metadata<'a, K>(
    context: &Arc<Context>,
    namespace: Option<&str>,
    labelled: bool,
    watched: &Watched,
    bells: &Bells,
) -> BoxFuture<'a, ()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + Sync + 'static,
{
    let api = context.api::<PartialObjectMeta<K>>(namespace);
    let scope = Scope::new::<K>(namespace);
    let config = if labelled {
        watcher::Config::default().labels(&format!("{MANAGED_BY}={MANAGER}"))
    } else {
        watcher::Config::default()
    };
    let (context, watched, bells) = (Arc::clone(context), watched.clone(), bells.clone());
    Box::pin(async move {
        let kind = K::kind(&());
        let mut events = pin!(watcher(api, config).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => context.known.listing(&scope),
                Ok(Event::InitDone) => context.known.listed(&scope),
                // Whoever owns it is looked at anyway when a watch begins.
                Ok(Event::InitApply(object)) => {
                    context.known.seen(&scope, &Key::of(&object), &object.metadata);
                }
                Ok(Event::Apply(object)) => {
                    if context.known.seen(&scope, &Key::of(&object), &object.metadata) {
                        bells.object(&watched, &context, &kind, &object.metadata);
                    }
                }
                Ok(Event::Delete(object)) => {
                    context.known.gone(&Key::of(&object), &object.metadata);
                    bells.object(&watched, &context, &kind, &object.metadata);
                }
                Err(error) => tracing::warn!(%kind, %error, "a watch was cut short; it goes on"),
            }
        }
    })
}
