//! `/healthz`, `/readyz`, `/metrics`, `/api/v1/series` and how analyzers and Alerts fare; on a loopback address what else a process offers to its own machine.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    fitness,
    series::{self, Desks},
};

/// What is served.
#[derive(Clone)]
pub(crate) struct Admin {
    registry: Arc<Registry>,
    unready: Unready,
    desks: Desks,
    /// Served to whoever reaches it.
    routes: Router,
    /// Served to this machine only.
    local: Router,
}

/// Why the process is not ready; nothing if it is.
#[derive(Clone, Debug)]
pub(crate) struct Unready(Arc<Mutex<Vec<String>>>);

impl Unready {
    /// Nothing has been looked at yet.
    pub(crate) fn starting() -> Self {
        Self(Arc::new(Mutex::new(vec!["starting".to_owned()])))
    }

    /// Says what stands as of now.
    pub(crate) fn set(&self, reasons: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reasons;
    }

    fn get(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Admin {
    pub(crate) fn new(registry: Registry, unready: Unready, desks: Desks) -> Self {
        Self { registry: Arc::new(registry), unready, desks, routes: Router::new(), local: Router::new() }
    }

    /// Serves these routes, too.
    pub(crate) fn with_routes(self, routes: Router) -> Self {
        Self { routes, ..self }
    }

    /// Serves these routes, too, if it listens on a loopback address.
    pub(crate) fn with_local(self, local: Router) -> Self {
        Self { local, ..self }
    }

    /// Serves until cancelled; returns the address that it listens on.
    pub(crate) async fn serve(
        self,
        address: SocketAddr,
        cancel: CancellationToken,
    ) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        let open = self.routes.clone().merge(fitness::analyzers(self.desks.clone()));
        let series = series::router(self.desks.clone());
        let local = if bound.ip().is_loopback() { self.local.clone() } else { Router::new() };
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self)
            .merge(series)
            .merge(open)
            .merge(local);
        tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(cancel.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "the admin server ended");
            }
        });
        Ok(bound)
    }
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let reasons = admin.unready.get();
    if reasons.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n")
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let mut text = String::new();
    match encode(&mut text, &admin.registry) {
        Ok(()) => {
            let kind = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
            (StatusCode::OK, kind, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
