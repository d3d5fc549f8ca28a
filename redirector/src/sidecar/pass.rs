//! AMQP passed through: plain and with any credentials on this machine, mutual TLS and the certificate's identity outside.
//!
//! Only the handshake is ours; after it bytes are moved as they come, heartbeats and all. While the upstream is away a program is refused
//! (320): it knows best what to do with what it has.

use std::{future::poll_fn, io, net::SocketAddr, sync::Arc, task::Poll, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::metrics::SidecarMetrics;
use crate::{
    accept::accept,
    amqp::{Method, Open, PROTOCOL_HEADER, Start, StartOk, table::TableBuf},
    door::{
        Refusal,
        broker::{Broker, Greeted},
        leg::{Leg, Received},
        wire::{Wire, WireError},
    },
};

/// How long the handshake may take, the upstream's part included.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// How long what was sent last may take to leave.
const ENDING: Duration = Duration::from_secs(5);
/// Libraries take the first that they know; whatever it says is not looked at.
const MECHANISMS: &[u8] = b"PLAIN AMQPLAIN EXTERNAL";

/// Where connections are passed on to.
#[derive(Clone, Debug)]
pub struct AmqpPass {
    /// The front door, by mutual TLS.
    pub upstream: Arc<Broker>,
    /// The vhost that every program gets, whichever it asks for.
    pub vhost: Arc<str>,
    /// What is counted.
    pub metrics: SidecarMetrics,
}

impl AmqpPass {
    /// Takes connections until cancelled, and waits for the end of those that are open.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        accept(listener, &stop, |socket, address| {
            let (pass, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move {
                stop.run_until_cancelled(pass.attend(socket, address)).await;
            });
        })
        .await;
        tasks.close();
        tasks.wait().await;
    }

    async fn attend(self, socket: TcpStream, address: SocketAddr) {
        let _ = socket.set_nodelay(true);
        let mut local = Wire { leg: Leg::plain(socket), buffer: Vec::new() };
        let opened = timeout(HANDSHAKE, Box::pin(self.shake(&mut local, address))).await;
        let upstream = match opened.unwrap_or_else(|_| Err(Refusal::Slow(HANDSHAKE.as_secs()).into())) {
            Ok(upstream) => upstream,
            Err(WireError::Refused(refusal)) => {
                warn!(%address, %refusal, "a program was refused");
                self.metrics.refused_connections.inc();
                return local.refuse(&refusal, (0, 0)).await;
            }
            Err(WireError::Io(error)) => {
                return debug!(%address, %error, "a program went during its handshake");
            }
        };
        self.metrics.open_connections.inc();
        move_bytes(local, upstream).await;
        self.metrics.open_connections.dec();
    }

    /// Both handshakes, one inside the other: what the upstream offers and refuses, the program is told.
    async fn shake(&self, local: &mut Wire, address: SocketAddr) -> Result<Wire, WireError> {
        if !local.protocol_header().await? {
            local.leg.send_all(&PROTOCOL_HEADER).await?;
            return Err(io::Error::from(io::ErrorKind::InvalidData).into());
        }
        // That it is away may be told only after StartOk.
        let upstream = self.upstream.greet(address).await;
        let own = TableBuf::default().text("product", "Kinetic sidecar");
        let theirs = upstream.as_ref().ok().and_then(Greeted::server_properties);
        let start = Start {
            version: (0, 9),
            server_properties: theirs.unwrap_or_else(|| own.as_table()),
            mechanisms: MECHANISMS,
            locales: b"en_US",
        };
        local.leg.send_all(&Method::Start(start).frame()).await?;
        let payload = local.method().await?;
        let Ok(Method::StartOk(ok)) = Method::read(&payload) else {
            return Err(WireError::unexpected(&payload));
        };
        let mut upstream = upstream?.into_wire();
        let ok = StartOk { mechanism: "EXTERNAL", response: b"", ..ok };
        upstream.leg.send_all(&Method::StartOk(ok).frame()).await?;

        let tune = self.answer(&mut upstream).await?;
        local.leg.send_all(&crate::amqp::frame::method(&tune)).await?;
        let tune = local.method().await?;
        let payload = local.method().await?;
        let Ok(Method::Open(_)) = Method::read(&payload) else { return Err(WireError::unexpected(&payload)) };
        let open = Method::Open(Open { vhost: &self.vhost }).frame();
        upstream.leg.send_all(&[crate::amqp::frame::method(&tune), open].concat()).await?;
        let opened = self.answer(&mut upstream).await?;
        local.leg.send_all(&crate::amqp::frame::method(&opened)).await?;
        Ok(upstream)
    }

    /// The upstream's next method; its Close is a refusal in its own words.
    async fn answer(&self, upstream: &mut Wire) -> Result<Vec<u8>, WireError> {
        let payload = match upstream.method().await {
            Ok(payload) => payload,
            Err(error) => {
                debug!(upstream = self.upstream.name, %error, "the upstream is away");
                return Err(Refusal::BrokerAway(self.upstream.name.clone()).into());
            }
        };
        match Method::read(&payload) {
            Ok(Method::Close(close)) => {
                let reason = format!("{} {}", close.code, String::from_utf8_lossy(close.text));
                Err(Refusal::BrokerRefused { broker: self.upstream.name.clone(), reason }.into())
            }
            _ => Ok(payload),
        }
    }
}

/// Moves bytes both ways until one side ends; what it sent before is handed over.
async fn move_bytes(local: Wire, upstream: Wire) {
    let (mut local, early) = (local.leg, (local.buffer, upstream.buffer));
    let mut upstream = upstream.leg;
    if upstream.send(&early.0).is_err() || local.send(&early.1).is_err() {
        return;
    }
    drop(early);
    poll_fn(|cx| {
        loop {
            let mut moved = false;
            for received in [step(cx, &mut local, &mut upstream), step(cx, &mut upstream, &mut local)] {
                match received {
                    Poll::Ready(Received::Some) => moved = true,
                    Poll::Ready(Received::End) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
            }
            if !moved {
                return Poll::Pending;
            }
        }
    })
    .await;
    let _ = timeout(ENDING, async { tokio::join!(local.end(), upstream.end()) }).await;
}

fn step(cx: &mut std::task::Context<'_>, from: &mut Leg, to: &mut Leg) -> Poll<Received> {
    match to.poll_flush(cx) {
        Poll::Ready(Ok(())) => {}
        Poll::Ready(Err(_)) => return Poll::Ready(Received::End),
        Poll::Pending => return Poll::Pending,
    }
    let mut failed = false;
    let received = from.poll_receive(cx, &mut |bytes| failed |= to.send(bytes).is_err());
    match received {
        Poll::Ready(Ok(received)) if !failed => {
            // Not before the next turn would it be asked to leave otherwise.
            let _ = to.poll_flush(cx);
            Poll::Ready(received)
        }
        Poll::Ready(_) => Poll::Ready(Received::End),
        Poll::Pending => Poll::Pending,
    }
}
