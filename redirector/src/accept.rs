//! Connections taken, whatever is spoken on them.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// After an error of the listener: such as too many open files, which lasts.
const PAUSE: Duration = Duration::from_millis(100);

/// Hands each connection to `take` until cancelled; then listens no more.
pub(crate) async fn accept(
    listener: TcpListener,
    stop: &CancellationToken,
    mut take: impl FnMut(TcpStream, SocketAddr),
) {
    let at = listener.local_addr().ok();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((socket, address)) => take(socket, address),
            Err(error) => {
                warn!(?at, %error, "cannot take a connection");
                sleep(PAUSE).await;
            }
        }
    }
}
