//! Connections taken, whatever is spoken on them.

use std::{fmt::Debug, io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// After an error of the listener: such as too many open files, which lasts.
const PAUSE: Duration = Duration::from_millis(100);

/// What connections come to.
pub(crate) trait Listener: Debug {
    type Stream;
    /// Who is told from the other: where from.
    type Address;

    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Address)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Address = SocketAddr;

    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept().await
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    type Address = ();

    async fn next(&self) -> io::Result<(UnixStream, ())> {
        self.accept().await.map(|(stream, _)| (stream, ()))
    }
}

/// Hands each connection to `take` until cancelled; then listens no more.
pub(crate) async fn accept<L: Listener>(
    listener: L,
    stop: &CancellationToken,
    mut take: impl FnMut(L::Stream, L::Address),
) {
    while let Some(accepted) = stop.run_until_cancelled(listener.next()).await {
        match accepted {
            Ok((stream, address)) => take(stream, address),
            Err(error) => {
                warn!(?listener, %error, "cannot take a connection");
                sleep(PAUSE).await;
            }
        }
    }
}
