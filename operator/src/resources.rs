//! The resources, as the watches know them; asked of the API server where nothing is watched (`--once`).
//!
//! What a reconciler reads here may be a moment old: it is called again when the newer arrives. Whoever is about to remove something asks the API server.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use kinetic_api::resources::{Alert, Customer, Topology};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::ListParams,
    core::{NamespaceResourceScope, error_boundary::DeserializeGuard},
    runtime::reflector::{ObjectRef, Store},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// A resource; one that cannot be read is told of, and stops no list.
pub type Guarded<K> = DeserializeGuard<K>;

/// What is watched in one namespace, or in all.
#[derive(Clone)]
pub struct Watched {
    /// Its Customers.
    pub customers: Store<Guarded<Customer>>,
    /// Its Topologies.
    pub topologies: Store<Guarded<Topology>>,
    /// Its Alerts.
    pub alerts: Store<Guarded<Alert>>,
}

/// All resources that are looked after.
pub struct Resources {
    client: Client,
    namespaces: Vec<Option<String>>,
    watched: OnceLock<Vec<Watched>>,
}

/// A kind of resource, and where the watches keep it.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + DeserializeOwned
    + std::fmt::Debug
    + 'static
{
    /// Its store.
    fn store(watched: &Watched) -> &Store<Guarded<Self>>;
}

impl Kind for Customer {
    fn store(watched: &Watched) -> &Store<Guarded<Self>> {
        &watched.customers
    }
}

impl Kind for Topology {
    fn store(watched: &Watched) -> &Store<Guarded<Self>> {
        &watched.topologies
    }
}

impl Kind for Alert {
    fn store(watched: &Watched) -> &Store<Guarded<Self>> {
        &watched.alerts
    }
}

/// Waits until a store has its first list. Of several who wait for one it wakes the last only: so each looks again by itself.
async fn filled<K>(store: &Store<K>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    while timeout(LOOK, store.wait_until_ready()).await.is_err() {}
}

/// How often a store is looked at.
const LOOK: Duration = Duration::from_millis(200);

impl Resources {
    /// In these namespaces; `None` stands for all.
    #[must_use]
    pub fn new(client: Client, namespaces: Vec<Option<String>>) -> Self {
        Self { client, namespaces, watched: OnceLock::new() }
    }

    /// From now on answers from these.
    pub fn watch(&self, watched: Vec<Watched>) {
        // A process watches once.
        let _ = self.watched.set(watched);
    }

    /// Waits until everything that is watched has been listed: what is not there yet would be taken for missing.
    pub async fn listed(&self) {
        for watched in self.watched.get().into_iter().flatten() {
            filled(&watched.customers).await;
            filled(&watched.topologies).await;
            filled(&watched.alerts).await;
        }
    }

    /// One of them.
    pub async fn get<K: Kind>(&self, namespace: &str, name: &str) -> Result<Option<K>, kube::Error> {
        let Some(all) = self.watched.get() else {
            return Api::<K>::namespaced(self.client.clone(), namespace).get_opt(name).await;
        };
        let wanted = ObjectRef::new(name).within(namespace);
        Ok(all
            .iter()
            .find_map(|watched| K::store(watched).get(&wanted))
            .and_then(|found| found.0.clone().ok()))
    }

    /// All that fit, in no order.
    pub async fn all<K: Kind>(&self, fits: impl Fn(&K) -> bool) -> Result<Vec<K>, kube::Error> {
        let mut found = Vec::new();
        if let Some(all) = self.watched.get() {
            let objects = all.iter().flat_map(|watched| K::store(watched).state());
            found.extend(
                objects.filter_map(|object: Arc<Guarded<K>>| {
                    object.0.as_ref().ok().filter(|k| fits(k)).cloned()
                }),
            );
            return Ok(found);
        }
        for namespace in &self.namespaces {
            let api: Api<Guarded<K>> = match namespace {
                Some(namespace) => Api::namespaced(self.client.clone(), namespace),
                None => Api::all(self.client.clone()),
            };
            let listed = api.list(&ListParams::default()).await?;
            found.extend(listed.into_iter().filter_map(|object| object.0.ok()).filter(|k| fits(k)));
        }
        Ok(found)
    }

    /// All of a namespace that fit.
    pub async fn within<K: Kind>(
        &self,
        namespace: &str,
        fits: impl Fn(&K) -> bool,
    ) -> Result<Vec<K>, kube::Error> {
        self.all(|object: &K| object.namespace().as_deref() == Some(namespace) && fits(object)).await
    }
}
