//! statsd over a Unix stream socket, as DogStatsD clients send it to `unixstream://PATH`: packets behind their lengths.

use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::{
    IntakeMetrics,
    batch::{Gathering, NOBODY},
    clients,
    hand_over::HandOver,
    lines::{Cut, Pump},
    metrics::Transport,
    packets::Packets,
};

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
    clients::serve(listener, &metrics, &cancel, |stream, ()| {
        let (gathering, hand_over) = (gathering.clone(), hand_over.clone());
        let (metrics, cancel) = (metrics.clone(), cancel.clone());
        async move { client(stream, &gathering, &hand_over, &metrics, &cancel).await }
    })
    .await;
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
