//! statsd over TCP: newline-separated lines.

use std::{net::SocketAddr, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{
    IntakeError, IntakeMetrics,
    batch::Gathering,
    clients,
    framing::Framer,
    hand_over::HandOver,
    lines::{Cut, End, Pump},
    metrics::Transport,
};

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
    clients::serve(listener, &metrics, &cancel, |stream, peer| {
        let (gathering, hand_over) = (gathering.clone(), hand_over.clone());
        let (metrics, cancel) = (metrics.clone(), cancel.clone());
        async move { client(stream, peer, &gathering, &hand_over, &metrics, &cancel).await }
    })
    .await;
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
