//! The front door: AMQP 0-9-1 over mutual TLS, each customer to its own vhost, and then out of the way.
//!
//! A connection's way: [`serve`](Door::serve) takes it and does TLS ([`leg`]); [`handshake`] learns who it is ([`sasl`], [`properties`]),
//! asks [`routes`] where it may go, and opens the broker there ([`broker`]) as the user of its role; [`relay`] moves bytes along
//! the frames ([`walk`], [`flow`]) until it ends. [`account`] holds a customer to its limits ([`crate::pace`]).

pub mod account;
pub mod api_keys;
mod blocked;
pub mod broker;
mod buffers;
pub mod credentials;
mod flow;
mod handshake;
pub mod leg;
pub mod live;
mod metrics;
mod presence;
pub mod properties;
mod proxy_protocol;
mod refusal;
pub mod registry;
mod relay;
pub mod routes;
mod sasl;
mod serve;
pub mod walk;
pub(crate) mod wire;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use kinetic_pki::{Peer, Server, Subject};
use tokio::sync::watch;

use crate::amqp::Tune;
use account::Accounts;
use api_keys::ApiKeys;
use broker::Broker;
use credentials::Credentials;
use kinetic_api::{registry::Hold, role::Role};
use live::Live;
use presence::Attendance;
use routes::{Routes, Who};

pub use metrics::DoorMetrics;
pub use refusal::Refusal;

/// Broker clusters by name.
pub type Brokers = HashMap<String, Arc<Broker>>;

/// What the front door keeps to.
#[derive(Clone, Debug)]
pub struct DoorSettings {
    /// What is offered to clients, at most: what a broker offers may be less.
    pub tune: Tune,
    /// How long a client may take from its first byte to its vhost.
    pub handshake: Duration,
    /// So many handshakes at a time.
    pub handshakes: u32,
    /// Of them so many from one address.
    pub handshakes_per_address: u32,
    /// Bytes a second that a customer may send.
    pub bytes_per_second: u64,
    /// Connections that a customer may open in a second.
    pub connections_per_second: u32,
    /// How long a connection may outlive its certificate.
    pub grace: Duration,
    /// Connections that are ended in a second when the front door stops.
    pub drained_per_second: u32,
}

impl Default for DoorSettings {
    fn default() -> Self {
        Self {
            tune: Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 60 },
            handshake: Duration::from_secs(10),
            handshakes: 2000,
            handshakes_per_address: 500,
            bytes_per_second: 1 << 30,
            connections_per_second: 100,
            grace: Duration::from_mins(5),
            drained_per_second: 200,
        }
    }
}

/// The front door.
pub struct Door {
    settings: DoorSettings,
    tls: Server,
    credentials: Credentials,
    routes: ArcSwap<Routes>,
    api_keys: ArcSwap<ApiKeys>,
    brokers: ArcSwap<Brokers>,
    accounts: Accounts,
    metrics: DoorMetrics,
    live: Mutex<BTreeMap<u64, Arc<Live>>>,
    attendance: Mutex<Attendance>,
    /// Something that open connections depend on has changed: so many times.
    changes: watch::Sender<u64>,
    draining: AtomicBool,
    drained: AtomicU32,
}

impl Door {
    /// A front door that leads nowhere yet.
    #[must_use]
    pub fn new(
        settings: DoorSettings,
        tls: Server,
        credentials: Credentials,
        metrics: DoorMetrics,
    ) -> Arc<Self> {
        let accounts = Accounts::new(settings.bytes_per_second, settings.connections_per_second);
        Arc::new(Self {
            settings,
            tls,
            credentials,
            routes: ArcSwap::default(),
            api_keys: ArcSwap::default(),
            brokers: ArcSwap::default(),
            accounts,
            metrics,
            live: Mutex::default(),
            attendance: Mutex::default(),
            changes: watch::Sender::new(0),
            draining: AtomicBool::new(false),
            drained: AtomicU32::new(0),
        })
    }

    /// Leads by these routes from now on. Who has no way any more loses its connection.
    pub fn lead(&self, routes: Routes, brokers: Brokers) {
        for route in routes.customers() {
            if self.accounts.find(&route.name).is_some() {
                self.accounts.of(route);
            }
        }
        self.brokers.store(Arc::new(brokers));
        self.routes.store(Arc::new(routes));
        self.changed();
    }

    /// Takes these API keys from now on.
    pub fn take_keys(&self, keys: ApiKeys) {
        self.api_keys.store(Arc::new(keys));
        self.changed();
    }

    /// Holds a customer up, or lets it go on. False if it never had a connection here.
    pub fn hold(&self, customer: &str, hold: Hold) -> bool {
        let route = self.routes.load().customer(customer).cloned();
        let account = route.map(|route| self.accounts.of(&route)).or_else(|| self.accounts.find(customer));
        if let Some(account) = &account {
            account.set_hold(hold);
            self.changed();
        }
        account.is_some()
    }

    /// The connections that are open now, the oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<Arc<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The classes of clients that have a connection now, by customer.
    #[must_use]
    pub fn clients(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for live in self.connections() {
            if let Role::Client { client, .. } = &live.role {
                all.entry(live.customer.clone()).or_default().insert(client.clone());
            }
        }
        all
    }

    /// Whether a certificate's holder, whom TLS has believed, is still somebody here ([`Routes::knows`]), and the certificate has not run out
    /// since the connection began.
    pub fn knows(&self, peer: &Peer, now: Timestamp) -> Result<(), Refusal> {
        if now >= peer.not_after {
            return Err(Refusal::Expired(peer.not_after.to_string()));
        }
        self.routes().knows(peer).map(drop)
    }

    fn attendance(&self) -> MutexGuard<'_, Attendance> {
        self.attendance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection is open.
    fn enters(&self, live: &Arc<Live>) {
        self.metrics.open.inc();
        let single = matches!(&live.who, Who::Certified(peer) if matches!(peer.identity.subject, Subject::Machine { .. }));
        let connection = (live.number, live.address.ip());
        self.attendance().opens(&live.who.name(), &live.customer, single, connection, live.since);
        self.live.lock().unwrap_or_else(PoisonError::into_inner).insert(live.number, Arc::clone(live));
    }

    /// A connection has ended.
    fn leaves(&self, live: &Live) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&live.number);
        self.attendance().closes(&live.who.name(), live.number, Timestamp::now());
        self.metrics.open.dec();
        self.metrics.moved(live);
    }

    /// The accounts of customers.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    fn api_keys(&self) -> Arc<ApiKeys> {
        self.api_keys.load_full()
    }

    fn brokers(&self) -> Arc<Brokers> {
        self.brokers.load_full()
    }

    fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    fn tune(&self) -> Tune {
        self.settings.tune
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// When a connection is ended, of those that are.
    fn turn_to_drain(&self) -> Duration {
        let turn = self.drained.fetch_add(1, Relaxed);
        Duration::from_secs_f64(f64::from(turn) / f64::from(self.settings.drained_per_second.max(1)))
    }

    /// Why somebody may not stay whose certificate has run out.
    fn expired(&self, who: &Who, now: Timestamp) -> Option<Refusal> {
        let Who::Certified(peer) = who else { return None };
        let until = peer.not_after.saturating_add(self.settings.grace).unwrap_or(Timestamp::MAX);
        (now > until).then(|| Refusal::Expired(peer.not_after.to_string()))
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Door").field("settings", &self.settings).finish_non_exhaustive()
    }
}
