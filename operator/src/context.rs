//! What every reconciler works with.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kinetic_enroll::StoreError;
use kube::{
    Api, Client, Resource,
    runtime::events::{Recorder, Reporter},
};
use tokio::sync::Notify;

use crate::{
    apply::{ApplyError, MANAGER},
    ask::Asked,
    broker::{Broker, BrokerError, client},
    certify::Pace,
    config::{Config, ConfigError, Placement},
    http,
    known::Known,
    leaf::LeafError,
    presence::Presence,
    resources::Resources,
    vault::{Vault, VaultError},
};

/// The API server, the brokers, and what they are told by.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The configuration.
    pub config: Config,
    /// The brokers, placement by placement, in the configuration's order.
    brokers: Vec<Vec<Broker>>,
    /// The authority and the master key.
    pub vault: Vault,
    /// How fast certificates of a former authority are replaced.
    pub reissues: Pace,
    /// The resources that are looked after.
    pub resources: Resources,
    /// What the watches tell of the objects that are made and referred to.
    pub known: Arc<Known>,
    /// How analyzers and Alerts fare.
    pub asked: Asked,
    /// Which clients are connected.
    pub presence: Presence,
    /// Events, for people.
    pub recorder: Recorder,
    /// The keys that Alerts name may have changed.
    pub keys: Notify,
    /// The time.
    pub clock: fn() -> Timestamp,
    failures: Mutex<HashMap<String, u32>>,
    untold: Mutex<HashSet<String>>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why a resource was not brought to where it should be; it is tried again. What its writer can mend is a condition, not this.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each is named as what it wraps")]
pub enum Failure {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Leaf(#[from] LeafError),
    #[error(transparent)]
    Enrollment(#[from] StoreError),
}

/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

impl Context {
    /// Reads the brokers' credentials; nobody is talked to yet.
    pub fn new(client: Client, config: Config) -> Result<Self, ConfigError> {
        let unusable = |field: &str, problem: String| ConfigError::Field {
            path: "the configuration".into(),
            field: field.to_owned(),
            problem,
        };
        let brokers = config
            .placements
            .iter()
            .flat_map(|placement| placement.brokers.iter().map(move |broker| (placement, broker)))
            .map(|(placement, broker)| {
                let (user, password) = broker.admin.credentials()?;
                let client =
                    client::Client::new(&broker.admin.url, broker.admin.ca_file.clone(), user, password)
                        .map_err(|error| unusable(&format!("{}: admin", broker.name), error.to_string()))?;
                Ok((
                    placement.redirector_name(),
                    Broker::new(broker.name.clone(), broker.max_customers, client),
                ))
            })
            .collect::<Result<Vec<_>, ConfigError>>()?;
        let mut of_placements: Vec<Vec<Broker>> = config.placements.iter().map(|_| Vec::new()).collect();
        for (placement, broker) in brokers {
            if let Some(at) = config.placements.iter().position(|p| p.redirector_name() == placement) {
                of_placements[at].push(broker);
            }
        }
        let trust_domain =
            config.trust_domain.parse().map_err(|error| unusable("trustDomain", format!("{error}")))?;
        let known = Arc::new(Known::default());
        let vault = Vault::new(client.clone(), Arc::clone(&known), &config, trust_domain);
        let http = http::plain().map_err(|error| unusable("TLS", error.to_string()))?;
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: None };
        Ok(Self {
            resources: Resources::new(
                client.clone(),
                if config.watch_namespaces.is_empty() {
                    vec![None]
                } else {
                    config.watch_namespaces.iter().cloned().map(Some).collect()
                },
            ),
            known,
            asked: Asked::new(http),
            presence: Presence::default(),
            recorder: Recorder::new(client.clone(), reporter),
            client,
            reissues: Pace::new(config.rotation.reissues_per_second),
            config,
            brokers: of_placements,
            vault,
            keys: Notify::new(),
            clock: Timestamp::now,
            failures: Mutex::default(),
            untold: Mutex::default(),
        })
    }

    /// The placement of a region and provider, with its brokers.
    #[must_use]
    pub fn placement(&self, region: &str, provider: &str) -> Option<(&Placement, &[Broker])> {
        let fits = |p: &Placement| &*p.region == region && &*p.provider == provider;
        let at = self.config.placements.iter().position(fits)?;
        Some((&self.config.placements[at], &self.brokers[at]))
    }

    /// The namespaces that are watched; one `None` for all of them.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Option<&str>> {
        let namespaces = &self.config.watch_namespaces;
        if namespaces.is_empty() {
            vec![None]
        } else {
            namespaces.iter().map(|name| Some(name.as_str())).collect()
        }
    }

    /// A kind's objects in one of them.
    #[must_use]
    pub fn api<K>(&self, namespace: Option<&str>) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Whether pods have to be told of another configuration: it has changed, or had, and something came between.
    #[must_use]
    pub fn to_be_told(&self, whose: &str, changed: bool) -> bool {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        if changed {
            untold.insert(whose.to_owned());
        }
        untold.contains(whose)
    }

    /// They know it.
    pub fn told(&self, whose: &str) {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).remove(whose);
    }

    /// How long to wait after another failure of an object: longer each time, each object by itself.
    #[must_use]
    pub fn failed(&self, object: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(object.to_owned()).or_default();
        *count = count.saturating_add(1);
        (PAUSES.0 * 2_u32.pow((*count - 1).min(16))).min(PAUSES.1)
    }

    /// All is well with an object again.
    pub fn succeeded(&self, object: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}
