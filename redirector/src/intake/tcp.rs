//! statsd over TCP: newline-separated lines, a task a client, so that one never hurts another.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    IntakeError, IntakeMetrics,
    batch::Gathering,
    framing::Framer,
    hand_over::HandOver,
    lines::{Cut, End, Pump},
    metrics::Transport,
};
use crate::accept::accept;

/// Open connections at most; further ones are closed at once.
const MAX_CONNECTIONS: usize = 1000;
/// A connection that is silent for so long gives its place back. Clients reconnect when they have something to say.
const IDLE: Duration = Duration::from_mins(10);
/// Bytes read at once, a connection.
const CHUNK: usize = 8 * 1024;

pub(super) async fn bind(
    addr: SocketAddr,
    flag: &'static str,
) -> Result<(TcpListener, SocketAddr), IntakeError> {
    let failed = |reason| IntakeError::Listen { protocol: "statsd", transport: "TCP", addr, flag, reason };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves clients until cancelled; returns when all of them are done.
pub(super) async fn serve(
    listener: TcpListener,
    gathering: Gathering,
    hand_over: HandOver,
    metrics: IntakeMetrics,
    cancel: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let clients = TaskTracker::new();
    accept(listener, &cancel, |stream, peer| {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            metrics.refused_connections.inc();
            tracing::debug!(%peer, "statsd connection refused: {MAX_CONNECTIONS} are open");
            return;
        };
        let (gathering, hand_over) = (gathering.clone(), hand_over.clone());
        let (metrics, cancel) = (metrics.clone(), cancel.clone());
        clients.spawn(async move {
            metrics.connections.inc();
            client(stream, peer, &gathering, &hand_over, &metrics, &cancel).await;
            metrics.connections.dec();
            drop(place);
        });
    })
    .await;
    clients.close();
    clients.wait().await;
}

async fn client(
    stream: TcpStream,
    peer: SocketAddr,
    gathering: &Gathering,
    hand_over: &HandOver,
    metrics: &IntakeMetrics,
    cancel: &CancellationToken,
) {
    let origin = gathering.origin_of(peer.ip().to_canonical());
    let pump = Pump {
        origin: &origin,
        gathering,
        transport: Transport::Tcp,
        idle: Some(IDLE),
        chunk: CHUNK,
        hand_over,
        metrics,
        cancel,
    };
    match pump.run(stream, Cut::Lines(Framer::default())).await {
        Ok(End::Eof | End::Stopped) => {}
        Ok(End::Idle) => {
            metrics.idle_connections.inc();
            tracing::debug!(%peer, "statsd connection closed for silence");
        }
        Err(error) => tracing::debug!(%peer, %error, "statsd connection broke"),
    }
}
