//! HTTP over TLS, for those who may show a certificate.

use std::{io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use kinetic_pki::{Peer, PeerError, Server};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections whose handshake is done, and which HTTP has not taken yet.
const WAITING: usize = 64;
/// After an error of the listener, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The certificate's holder; none if none was shown.
    pub peer: Option<Result<Peer, PeerError>>,
    /// Where from.
    pub address: SocketAddr,
}

/// Connections with TLS on them.
struct Secured {
    taken: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    local: SocketAddr,
}

/// Serves until cancelled. Handlers learn the [`Asker`] by axum's `ConnectInfo`.
pub async fn serve(
    listener: TcpListener,
    tls: Server,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    let (done, taken) = mpsc::channel(WAITING);
    let accepting = tokio::spawn(accept(listener, tls, done, stop.clone()));
    let service = router.into_make_service_with_connect_info::<Asker>();
    let served =
        axum::serve(Secured { taken, local }, service).with_graceful_shutdown(stop.cancelled_owned()).await;
    accepting.abort();
    served
}

/// A slow handshake holds nobody up.
async fn accept(
    listener: TcpListener,
    tls: Server,
    done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
    stop: CancellationToken,
) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot take a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        let (acceptor, done) = (TlsAcceptor::from(tls.config()), done.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE, acceptor.accept(socket)).await {
                Ok(Ok(stream)) => drop(done.send((stream, address)).await),
                Ok(Err(error)) => debug!(%address, %error, "a TLS handshake failed"),
                Err(_) => debug!(%address, "a TLS handshake took too long"),
            }
        });
    }
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.taken.recv().await {
            Some(taken) => taken,
            // Nothing comes any more: the server is about to stop.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.local)
    }
}

impl Connected<IncomingStream<'_, Secured>> for Asker {
    fn connect_info(stream: IncomingStream<'_, Secured>) -> Self {
        let (_, tls) = stream.io().get_ref();
        let own = tls.peer_certificates().and_then(|chain| chain.first());
        Self { peer: own.map(|own| Peer::of(own)), address: *stream.remote_addr() }
    }
}
