//! Connections: TLS, then HTTP/1.1, each with its limits.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use kinetic_enroll::Requests;
use kinetic_pki::{Peer, Server};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::{Intake, IntakeSettings, limits::household, metrics::IntakeMetrics};

/// After an error of the listener, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// What a head may take, and what is read of a body at a time.
const BUFFER: usize = 16 * 1024;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) address: IpAddr,
    /// Who the certificate says it is, if it showed one that is good.
    pub(super) peer: Option<Peer>,
    /// The certificate itself.
    pub(super) certificate: Option<Arc<[u8]>>,
}

/// Takes connections until cancelled; then answers what is being asked.
pub(super) async fn serve<S: Requests>(
    intake: &Arc<Intake<S>>,
    router: Router,
    listener: TcpListener,
    tls: Server,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let seats = Arc::new(Seats { taken: Mutex::default(), metrics: intake.metrics.clone() });
    let settings = intake.settings;
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((socket, address)) => {
                let Some(seat) = seats.sit(address.ip(), settings) else {
                    intake.metrics.dropped("too_many");
                    continue;
                };
                let (router, tls, stopping) = (router.clone(), tls.clone(), intake.stopping.clone());
                let metrics = intake.metrics.clone();
                tasks.spawn(async move {
                    attend(socket, address, router, tls, settings, &metrics, stopping).await;
                    drop(seat);
                });
            }
            Err(error) => {
                warn!(%error, "cannot take a connection");
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    intake.stopping.cancel();
    tasks.close();
    tasks.wait().await;
}

async fn attend(
    socket: TcpStream,
    address: SocketAddr,
    router: Router,
    tls: Server,
    settings: IntakeSettings,
    metrics: &IntakeMetrics,
    stopping: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls.config());
    let stream = match stopping.run_until_cancelled(timeout(settings.patience, acceptor.accept(socket))).await
    {
        Some(Ok(Ok(stream))) => stream,
        Some(Ok(Err(error))) => {
            debug!(%address, %error, "no TLS");
            return metrics.dropped("tls");
        }
        Some(Err(_)) => return metrics.dropped("slow_tls"),
        None => return,
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let caller = Caller {
        address: address.ip(),
        peer: certificate.and_then(|der| Peer::of(der).ok()),
        certificate: certificate.map(|der| Arc::from(&**der)),
    };
    let service = TowerToHyperService::new(router.layer(Extension(caller)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.patience)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // Whoever is in the middle of a request has as long for it as for one at any time.
            match timeout(settings.patience, connection).await {
                Ok(served) => served,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = served {
        metrics.dropped(if error.is_timeout() { "slow_request" } else { "http" });
        debug!(%address, %error, "a connection broke off");
    }
}

/// Who is connected.
struct Seats {
    taken: Mutex<HashMap<IpAddr, u32>>,
    metrics: IntakeMetrics,
}

/// A connection that counts, until it is dropped.
struct Seat {
    seats: Arc<Seats>,
    household: IpAddr,
}

impl Seats {
    fn sit(self: &Arc<Self>, address: IpAddr, settings: IntakeSettings) -> Option<Seat> {
        let household = household(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all = taken.values().sum::<u32>();
        let own = taken.get(&household).copied().unwrap_or_default();
        if all >= settings.connections || own >= settings.connections_per_address {
            return None;
        }
        taken.insert(household, own + 1);
        self.metrics.connections.inc();
        Some(Seat { seats: Arc::clone(self), household })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.metrics.connections.dec();
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = taken.get_mut(&self.household) {
            *number -= 1;
            if *number == 0 {
                taken.remove(&self.household);
            }
        }
    }
}
