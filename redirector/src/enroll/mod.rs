//! Enrolment requests in: HTTPS on an address of its own.
//!
//! [`https`] takes connections, [`routes`] answers, [`limits`] bounds what one address or customer may ask. Nothing is decided here:
//! the signer ([`kinetic_enroll::signer`]) does, elsewhere. Where one process is both, [`Intake::serve_deciding`] also takes what people say.

mod limits;
mod metrics;
mod problem;
mod routes;

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use kinetic_enroll::{Decisions, IdKey, Requests};
use kinetic_pki::Server;
use tokio::{net::TcpListener, sync::Mutex};
use tokio_util::sync::CancellationToken;

use crate::{
    door::Door,
    https::{self, HttpsLimits},
};
use limits::Paces;

pub use metrics::IntakeMetrics;

/// What the intake keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntakeSettings {
    /// For connections, and for each request.
    pub https: HttpsLimits,
    /// How long a client may wait for its certificate in one request.
    pub longest_wait: Duration,
    /// An address may ask once each so often …
    pub each_per_address: Duration,
    /// … and so many times at once.
    pub burst_per_address: u32,
    /// A customer's machines may make a new request once each so often …
    pub each_per_customer: Duration,
    /// … and so many at once.
    pub burst_per_customer: u32,
    /// Requests of a customer that have led to no certificate, at most.
    pub waiting_per_customer: usize,
}

impl Default for IntakeSettings {
    fn default() -> Self {
        Self {
            https: HttpsLimits::default(),
            longest_wait: Duration::from_mins(1),
            each_per_address: Duration::from_millis(200),
            burst_per_address: 100,
            each_per_customer: Duration::from_millis(100),
            burst_per_customer: 500,
            waiting_per_customer: 1000,
        }
    }
}

/// Takes enrolment requests in.
pub struct Intake<S> {
    store: S,
    id_key: IdKey,
    /// Knows whose certificates count.
    door: Arc<Door>,
    trust: PathBuf,
    settings: IntakeSettings,
    metrics: IntakeMetrics,
    addresses: Paces<std::net::IpAddr>,
    customers: Paces<String>,
    /// Held while a request is counted and added: the bound is exact.
    adding: Mutex<()>,
    stopping: CancellationToken,
}

impl<S: Requests> Intake<S> {
    /// An intake into this store; `trust` is the file of the authorities that machines are given to trust. Certificates count as they do at
    /// the front door. Requests are called by `id_key`, the same in every replica.
    #[must_use]
    pub fn new(
        store: S,
        id_key: IdKey,
        door: Arc<Door>,
        trust: PathBuf,
        settings: IntakeSettings,
        metrics: IntakeMetrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            id_key,
            door,
            trust,
            settings,
            metrics,
            addresses: Paces::new(settings.each_per_address, settings.burst_per_address),
            customers: Paces::new(settings.each_per_customer, settings.burst_per_customer),
            adding: Mutex::default(),
            stopping: CancellationToken::new(),
        })
    }

    /// Takes requests until cancelled; returns when the last is answered. `tls` must let clients in without a certificate.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tls: Server, stop: CancellationToken) {
        self.answer_by(routes::router(&self), listener, tls, stop).await;
    }

    async fn answer_by(&self, router: Router, listener: TcpListener, tls: Server, stop: CancellationToken) {
        let (limits, metrics) = (self.settings.https, self.metrics.https.clone());
        let waiting = async {
            stop.cancelled().await;
            // Who waits for a decision is told how it is.
            self.stopping.cancel();
        };
        tokio::join!(https::serve(listener, tls, router, limits, metrics, stop.clone()), waiting);
    }
}

impl<S: Decisions> Intake<S> {
    /// [`Intake::serve`], and people may list requests, approve and deny them, with a certificate of the customer's control, the operator or the
    /// console. For a process that is also the signer: elsewhere the intake must not have this right.
    pub async fn serve_deciding(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Server,
        stop: CancellationToken,
    ) {
        let router = routes::router(&self).merge(routes::decisions(&self));
        self.answer_by(router, listener, tls, stop).await;
    }
}
