//! statsd over a Unix stream socket, as DogStatsD clients send it to `unixstream://PATH`: a task a client, packets behind their lengths.

use std::sync::Arc;

use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    IntakeMetrics,
    batch::{Gathering, NOBODY},
    hand_over::HandOver,
    lines::{Cut, Pump},
    metrics::Transport,
    packets::Packets,
};
use crate::accept::accept;

/// Open connections at most; further ones are closed at once.
const MAX_CONNECTIONS: usize = 1000;
/// Bytes read at once, a connection: what clients pack into one packet by default.
const CHUNK: usize = 8 * 1024;

/// Serves clients until cancelled; returns when all of them are done.
pub(super) async fn serve(
    listener: UnixListener,
    gathering: Gathering,
    hand_over: HandOver,
    metrics: IntakeMetrics,
    cancel: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let clients = TaskTracker::new();
    accept(listener, &cancel, |stream, ()| {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            metrics.refused_connections.inc();
            return;
        };
        let (gathering, hand_over) = (gathering.clone(), hand_over.clone());
        let (metrics, cancel) = (metrics.clone(), cancel.clone());
        clients.spawn(async move {
            metrics.connections.inc();
            client(stream, &gathering, &hand_over, &metrics, &cancel).await;
            metrics.connections.dec();
            drop(place);
        });
    })
    .await;
    clients.close();
    clients.wait().await;
}

async fn client(
    stream: UnixStream,
    gathering: &Gathering,
    hand_over: &HandOver,
    metrics: &IntakeMetrics,
    cancel: &CancellationToken,
) {
    let origin = gathering.origin_of(NOBODY);
    let pump = Pump {
        origin: &origin,
        gathering,
        transport: Transport::UnixStream,
        // Who is on this machine is gone when its connection is: there is no half of one, as with TCP.
        idle: None,
        chunk: CHUNK,
        hand_over,
        metrics,
        cancel,
    };
    if let Err(error) = pump.run(stream, Cut::Packets(Packets::default())).await {
        tracing::warn!(%error, "a statsd connection on the Unix socket is closed");
    }
}
