//! Follows an API server by watches.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt;
use kinetic_api::resources::{Alert, Customer, Topology};
use kube::{
    Api, Client, ResourceExt,
    core::{NamespaceResourceScope, error_boundary::DeserializeGuard},
    runtime::{
        WatchStreamExt,
        reflector::{self, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
    time::sleep,
};
use tracing::{debug, info, warn};

use super::{
    Scope,
    sift::{Objects, Sifted, sift},
    store::chain,
};
use crate::{
    problem::Kind,
    snapshot::Snapshot,
    watch::{Changes, MAX_REPORTS, Reload, tell},
};

/// What changes together is read together.
const QUIET: Duration = Duration::from_millis(100);

/// Follows an API server, in tasks that end when both receivers are gone. Must be called within a tokio runtime.
///
/// The first receiver has nothing until everything has been listed once, however long that takes; from then on its value is what fits together.
/// While the API server is away, what it said last holds. The second receiver tells what changes; what is left out, and why, is logged.
#[must_use]
pub fn watch(client: &Client, scope: &Scope) -> (watch::Receiver<Arc<Snapshot>>, mpsc::Receiver<Reload>) {
    let (snapshots, receiver) = watch::channel(Arc::default());
    let (reports, report_receiver) = mpsc::channel(MAX_REPORTS);
    let mut watches = Watches { tasks: JoinSet::new(), touched: Arc::new(Notify::new()) };
    let namespaces = match &scope.namespaces[..] {
        [] => vec![None],
        some => some.iter().map(|namespace| Some(namespace.as_str())).collect(),
    };
    let mut stores = Stores::default();
    for namespace in namespaces {
        if scope.kinds.contains(&Kind::Customer) {
            stores.customers.push(watches.add(client, namespace));
        }
        if scope.kinds.contains(&Kind::Topology) {
            stores.topologies.push(watches.add(client, namespace));
        }
        if scope.kinds.contains(&Kind::Alert) {
            stores.alerts.push(watches.add(client, namespace));
        }
    }
    tokio::spawn(async move {
        let gone = async {
            snapshots.closed().await;
            reports.closed().await;
        };
        tokio::select! {
            () = gone => {}
            () = follow(&stores, &watches, &snapshots, &reports) => {}
        }
    });
    (receiver, report_receiver)
}

/// The watches.
struct Watches {
    /// They end with this.
    tasks: JoinSet<()>,
    /// Something is other than it was.
    touched: Arc<Notify>,
}

/// What the watches know.
#[derive(Default)]
struct Stores {
    customers: Vec<Store<DeserializeGuard<Customer>>>,
    topologies: Vec<Store<DeserializeGuard<Topology>>>,
    alerts: Vec<Store<DeserializeGuard<Alert>>>,
}

impl Stores {
    /// Waits until everything has been listed.
    async fn listed(&self) {
        async fn all<K>(stores: &[Store<K>])
        where
            K: kube::Resource<DynamicType = ()> + Clone + 'static,
        {
            for store in stores {
                // The writers live as long as this is waited for.
                let _ = store.wait_until_ready().await;
            }
        }
        all(&self.customers).await;
        all(&self.topologies).await;
        all(&self.alerts).await;
    }

    fn objects(&self) -> Objects {
        Objects {
            customers: self.customers.iter().flat_map(Store::state).collect(),
            topologies: self.topologies.iter().flat_map(Store::state).collect(),
            alerts: self.alerts.iter().flat_map(Store::state).collect(),
        }
    }
}

impl Watches {
    /// One more: a kind in a namespace, or in all.
    fn add<K>(&mut self, client: &Client, namespace: Option<&str>) -> Store<DeserializeGuard<K>>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let api: Api<DeserializeGuard<K>> = match namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let place = match namespace {
            Some(namespace) => format!("{} in namespace {namespace}", K::plural(&())),
            None => format!("{} in all namespaces", K::plural(&())),
        };
        let (store, writer) = reflector::store();
        let touched = Arc::clone(&self.touched);
        self.tasks.spawn(async move {
            let events = watcher(api, watcher::Config::default())
                // Who wrote which field is of no use here, and often more than the rest.
                .map(|event| event.map(|event| event.modify(|object| object.managed_fields_mut().clear())))
                .default_backoff()
                .reflect(writer);
            let mut events = pin!(events);
            let mut away = false;
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
                    Ok(_) => {
                        if std::mem::take(&mut away) {
                            info!("the API server tells of {place} again");
                        }
                        touched.notify_one();
                    }
                    // It says so when a watch is too old to go on: everything is listed anew.
                    Err(watcher::Error::WatchError(status)) if status.code == 410 => {
                        debug!(%status, "a watch of {place} begins anew");
                    }
                    Err(error) if !std::mem::replace(&mut away, true) => warn!(
                        error = %chain(&error),
                        "the API server does not tell of {place}: what was known of them holds, and it is tried again; \
                         if it knows none, install the definitions (kinetic crd); if it refuses, give this program's account the right to list and watch them"
                    ),
                    Err(error) => debug!(%error, "the API server does not tell of {place}"),
                }
            }
        });
        store
    }
}

async fn follow(
    stores: &Stores,
    watches: &Watches,
    snapshots: &watch::Sender<Arc<Snapshot>>,
    reports: &mpsc::Sender<Reload>,
) {
    stores.listed().await;
    let mut first = true;
    let mut told = BTreeMap::new();
    loop {
        let Sifted { snapshot, left_out } = sift(&stores.objects());
        for (id, why) in left_out.iter().filter(|(id, why)| told.get(*id) != Some(*why)) {
            if why.is_mistake() {
                warn!("{id} is left out: {why}");
            } else {
                info!("{id} is left out: {why}");
            }
        }
        told = left_out;
        let changes = Changes::between(&snapshots.borrow(), &snapshot);
        if std::mem::take(&mut first) || !changes.is_empty() {
            snapshots.send_replace(Arc::new(snapshot));
            tell(reports, Reload::Applied { changes });
        }
        watches.touched.notified().await;
        sleep(QUIET).await;
    }
}
