//! `/healthz`, `/readyz` and `/metrics`.

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

/// What is served.
#[derive(Clone)]
pub(crate) struct Admin {
    registry: Arc<Registry>,
    unready: Unready,
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
    pub(crate) fn new(registry: Registry, unready: Unready) -> Self {
        Self { registry: Arc::new(registry), unready }
    }

    /// Serves until cancelled; returns the address that it listens on.
    pub(crate) async fn serve(
        self,
        address: SocketAddr,
        cancel: CancellationToken,
    ) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self);
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
