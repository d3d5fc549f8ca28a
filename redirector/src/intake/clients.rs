//! Connections of statsd clients: a task each, so that one never hurts another, and no more than so many.

use std::{fmt::Debug, sync::Arc};

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::IntakeMetrics;
use crate::accept::{Listener, accept};

/// Open connections at most; further ones are closed at once.
const MAX_CONNECTIONS: usize = 1000;

/// Serves clients until cancelled; returns when all of them are done.
pub(super) async fn serve<L: Listener<Address: Debug>, F: Future<Output = ()> + Send + 'static>(
    listener: L,
    metrics: &IntakeMetrics,
    cancel: &CancellationToken,
    client: impl Fn(L::Stream, L::Address) -> F,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let clients = TaskTracker::new();
    accept(listener, cancel, |stream, peer| {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            metrics.refused_connections.inc();
            tracing::debug!(?peer, "statsd connection refused: {MAX_CONNECTIONS} are open");
            return;
        };
        let (client, metrics) = (client(stream, peer), metrics.clone());
        clients.spawn(async move {
            metrics.connections.inc();
            client.await;
            metrics.connections.dec();
            drop(place);
        });
    })
    .await;
    clients.close();
    clients.wait().await;
}
