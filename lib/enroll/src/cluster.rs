//! Requests as `Enrollment` objects of an API server, in their Customer's namespace; tokens as annotations of Customers ([`directory`]).
//!
//! What is read is what the watches told last. Who may do what is the API server's to say: the front door may create Enrollments, whoever decides
//! or signs may update their status.

pub mod directory;
mod table;
pub mod tokens;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::NamespaceResourceScope;
use kinetic_api::resources::{
    Customer, Enrollment,
    enrollment::{EnrollmentSpec, EnrollmentStatus},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, PostParams, Preconditions},
    core::{PartialObjectMeta, error_boundary::DeserializeGuard},
    runtime::{WatchStreamExt, watcher},
};
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tracing::warn;

use self::{directory::Directory, table::Table};
use crate::{
    id::EnrollmentId,
    store::{Decisions, Requests, StoreError},
    token::{TokenId, TokenRecord},
};

/// What was written shows in a watch within this time, unless the API server is in trouble.
const LAG: Duration = Duration::from_secs(2);

/// The Enrollments of an API server; clones share it, and with the last its watches end.
#[derive(Clone)]
pub struct ClusterStore(Arc<Inner>);

struct Inner {
    client: Client,
    /// A namespace each, or one of all.
    enrollments: Vec<Table<Enrollment>>,
    directory: Arc<Mutex<Arc<Directory>>>,
    changes: watch::Sender<u64>,
    _tasks: JoinSet<()>,
}

impl std::fmt::Debug for ClusterStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterStore")
    }
}

impl ClusterStore {
    /// Follows Enrollments, and the metadata of Customers, in these namespaces; in all where there are none named. Waits until both are listed, for
    /// as long as that takes. Must be called within a tokio runtime.
    pub async fn watch(client: &Client, namespaces: &[String]) -> Self {
        let changes = watch::Sender::new(0_u64);
        let directory = Arc::new(Mutex::<Arc<Directory>>::default());
        let mut tasks = JoinSet::new();
        let scopes = match namespaces {
            [] => vec![None],
            some => some.iter().map(|namespace| Some(namespace.as_str())).collect(),
        };
        let enrollments: Vec<_> = scopes.iter().map(|_| Table::new()).collect();
        let customers: Vec<_> = scopes.iter().map(|_| Table::new()).collect();
        for (at, scope) in scopes.into_iter().enumerate() {
            let told = changes.clone();
            let events =
                watcher(api::<DeserializeGuard<Enrollment>>(client, scope), watcher::Config::default());
            let count = move || told.send_modify(|changes| *changes += 1);
            tasks.spawn(enrollments[at].clone().follow(events.default_backoff(), readable, count));

            let (told, all, kept) = (changes.clone(), customers.clone(), Arc::clone(&directory));
            let look = move || {
                // Held meanwhile: what another namespace's watch tells is not written over by less.
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let all: Vec<_> = all.iter().flat_map(Table::all).collect();
                *kept = Arc::new(Directory::of(all.iter().map(AsRef::as_ref)));
                drop(kept);
                told.send_modify(|changes| *changes += 1);
            };
            let api = api::<PartialObjectMeta<Customer>>(client, scope);
            let events = watcher(api, watcher::Config::default()).default_backoff();
            tasks.spawn(customers[at].clone().follow(events, |customer| Some(customer.metadata), look));
        }
        let inner = Inner { client: client.clone(), enrollments, directory, changes, _tasks: tasks };
        for table in &inner.enrollments {
            table.listed().await;
        }
        for table in &customers {
            table.listed().await;
        }
        Self(Arc::new(inner))
    }

    /// The Customers, as far as enrolment goes.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.0.directory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn all(&self) -> Vec<Arc<Enrollment>> {
        let directory = self.directory();
        let mut all: Vec<_> = self.0.enrollments.iter().flat_map(Table::all).collect();
        all.retain(|enrollment| at_home(enrollment, &directory));
        all
    }

    fn named(&self, name: &str) -> Option<Arc<Enrollment>> {
        let directory = self.directory();
        let mut all = self.0.enrollments.iter().flat_map(|table| table.named(name));
        all.find(|enrollment| at_home(enrollment, &directory))
    }

    /// Waits until the watches know what was written: the next who looks must not find what was before.
    async fn shown(&self, holds: impl Fn(&Self) -> bool) {
        let mut changes = self.0.changes.subscribe();
        let waiting = async {
            while !holds(self) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // A watch that is late tells it later.
        let _ = timeout(LAG, waiting).await;
    }

    fn api(&self, namespace: &str) -> Api<Enrollment> {
        Api::namespaced(self.0.client.clone(), namespace)
    }
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Whether a request lies where its Customer is: elsewhere, somebody could ask who may not.
fn at_home(enrollment: &Enrollment, directory: &Directory) -> bool {
    let home = directory.home(&enrollment.spec.customer);
    home.is_some_and(|home| enrollment.metadata.namespace.as_deref() == Some(&*home.namespace))
}

fn readable(enrollment: DeserializeGuard<Enrollment>) -> Option<Enrollment> {
    let name = enrollment.name_any();
    match enrollment.0 {
        Ok(enrollment) => Some(enrollment),
        Err(error) => {
            warn!(name, %error, "an Enrollment cannot be read, and is left out");
            None
        }
    }
}

/// What the API server says to a write.
fn refused(id: &str, error: kube::Error) -> StoreError {
    match error {
        kube::Error::Api(status) if status.is_conflict() || status.is_not_found() => {
            StoreError::Changed(id.to_owned())
        }
        error => StoreError::Cluster(Box::new(error)),
    }
}

impl Requests for ClusterStore {
    async fn token(&self, id: &TokenId) -> Result<Option<TokenRecord>, StoreError> {
        Ok(self.directory().token(id).cloned())
    }

    async fn find(&self, id: &EnrollmentId) -> Result<Option<Arc<Enrollment>>, StoreError> {
        Ok(self.named(id.as_str()))
    }

    async fn list(&self) -> Result<Vec<Arc<Enrollment>>, StoreError> {
        Ok(self.all())
    }

    async fn add(&self, id: &EnrollmentId, spec: EnrollmentSpec) -> Result<Arc<Enrollment>, StoreError> {
        let directory = self.directory();
        let home = directory
            .home(&spec.customer)
            .ok_or_else(|| StoreError::NoCustomer(spec.customer.to_string()))?;
        let api = self.api(&home.namespace);
        let mut enrollment = Enrollment::new(id.as_str(), spec);
        enrollment.metadata.owner_references = Some(vec![home.owner.clone()]);
        let made = match api.create(&PostParams::default(), &enrollment).await {
            // Another front door was faster, or the watch is late.
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                api.get(id.as_str()).await.map_err(|error| refused(id.as_str(), error))?
            }
            made => made.map_err(|error| refused(id.as_str(), error))?,
        };
        self.shown(|store| store.named(id.as_str()).is_some()).await;
        Ok(Arc::new(made))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn lag(&self) -> Duration {
        LAG
    }
}

impl Decisions for ClusterStore {
    async fn set_status(
        &self,
        seen: &Enrollment,
        status: EnrollmentStatus,
    ) -> Result<Arc<Enrollment>, StoreError> {
        let name = seen.name_any();
        let api = self.api(&seen.namespace().unwrap_or_default());
        let wanted = Enrollment { status: Some(status), ..seen.clone() };
        let written = api.replace_status(&name, &PostParams::default(), &wanted).await;
        let written = written.map_err(|error| refused(&name, error))?;
        // Otherwise the signer would sign it once more.
        let before = seen.resource_version();
        self.shown(|store| store.named(&name).is_none_or(|shown| shown.resource_version() != before)).await;
        Ok(Arc::new(written))
    }

    async fn remove(&self, seen: &Enrollment) -> Result<(), StoreError> {
        let name = seen.name_any();
        let exactly_this = Preconditions { uid: seen.uid(), resource_version: seen.resource_version() };
        let parameters = DeleteParams::default().preconditions(exactly_this);
        let deleted = self.api(&seen.namespace().unwrap_or_default()).delete(&name, &parameters).await;
        deleted.map(drop).map_err(|error| refused(&name, error))
    }
}
