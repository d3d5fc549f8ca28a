//! HTTPS, for those who may show a certificate: connections, TLS and HTTP/1.1, each with its limits.

mod asker;
mod metrics;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, time::Duration};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use kinetic_pki::Server;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use crate::{
    accept::accept,
    seats::{Seats, household},
};
pub use asker::{Asker, Unread};
pub use metrics::HttpsMetrics;

/// What a head may take, and what is read of a body at a time.
const BUFFER: usize = 16 * 1024;

/// What a server keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpsLimits {
    /// Connections at a time.
    pub connections: u32,
    /// Of them so many from one address.
    pub connections_per_address: u32,
    /// How long a client may take for TLS, for a request's head, and for its body; also how long a connection may rest.
    pub patience: Duration,
}

impl Default for HttpsLimits {
    fn default() -> Self {
        Self { connections: 2000, connections_per_address: 500, patience: Duration::from_secs(10) }
    }
}

/// Takes connections until cancelled; then answers what is being asked. Handlers learn the [`Asker`] by axum's `Extension`.
pub async fn serve(
    listener: TcpListener,
    tls: Server,
    router: Router,
    limits: HttpsLimits,
    metrics: HttpsMetrics,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let seats = Seats::new(limits.connections, limits.connections_per_address, metrics.connections.clone());
    accept(listener, &stop, |socket, address| {
        let Some(seat) = seats.sit(household(address.ip())) else {
            return metrics.dropped("too_many");
        };
        let (router, tls, metrics, stop) = (router.clone(), tls.clone(), metrics.clone(), stop.clone());
        tasks.spawn(async move {
            attend(socket, address, router, tls, limits.patience, &metrics, stop).await;
            drop(seat);
        });
    })
    .await;
    tasks.close();
    tasks.wait().await;
}

async fn attend(
    socket: TcpStream,
    address: SocketAddr,
    router: Router,
    tls: Server,
    patience: Duration,
    metrics: &HttpsMetrics,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls.config());
    let stream = match stop.run_until_cancelled(timeout(patience, acceptor.accept(socket))).await {
        Some(Ok(Ok(stream))) => stream,
        Some(Ok(Err(error))) => {
            debug!(%address, %error, "no TLS");
            return metrics.dropped("tls");
        }
        Some(Err(_)) => return metrics.dropped("slow_tls"),
        None => return,
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let asker = Asker::new(address, certificate, patience);
    let service = TowerToHyperService::new(router.layer(Extension(asker)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // Whoever is in the middle of a request has as long for it as for one at any time.
            match timeout(patience, connection).await {
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
