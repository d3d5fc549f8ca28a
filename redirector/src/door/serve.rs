//! Connections taken, until the front door stops.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use jiff::Timestamp;
use kinetic_pki::Peer;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info};

use super::{
    Door, DoorSettings, Refusal,
    broker::keep_alive,
    handshake::{Session, Stage, welcome},
    leg::Leg,
    live::Live,
    relay::{Ended, Relay},
    wire::{Wire, WireError},
};
use crate::{
    accept::accept,
    seats::{Seat, Seats},
};

static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Door {
    /// Takes connections until cancelled; then ends the open ones at a bounded rate, and returns when the last has gone.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let DoorSettings { handshakes, handshakes_per_address, .. } = self.settings;
        let shaking = Seats::new(handshakes, handshakes_per_address, self.metrics.handshakes.clone());
        accept(listener, &stop, |socket, address| {
            self.metrics.accepted.inc();
            let Some(turn) = shaking.sit(address.ip()) else {
                self.metrics.overrun.inc();
                return;
            };
            tasks.spawn(Arc::clone(&self).attend(socket, address, turn));
        })
        .await;
        self.draining.store(true, Relaxed);
        self.changed();
        tasks.close();
        tasks.wait().await;
    }

    async fn attend(self: Arc<Self>, socket: TcpStream, address: SocketAddr, turn: Seat) {
        // On the heap, and gone before the connection's long life begins.
        let greeted = Box::pin(self.shake(socket, address)).await;
        drop(turn);
        let Some((wire, session)) = greeted else { return };
        let live = Arc::new(Live {
            number: NUMBER.fetch_add(1, Relaxed),
            who: session.who.clone(),
            customer: session.admission.customer.name.clone(),
            role: session.admission.role.clone(),
            address,
            since: Timestamp::now(),
            announced: session.announced.clone(),
            received: super::account::Traffic::default(),
            sent: super::account::Traffic::default(),
        });
        debug!(identity = live.who.name(), %address, customer = live.customer, "a connection is open");
        self.enters(&live);
        let (relay, from_broker) = Relay::new(Arc::clone(&self), wire.leg, session, Arc::clone(&live));
        let ended = Box::pin(relay.run(wire.buffer, from_broker)).await;
        self.leaves(&live);
        self.metrics.end(ended.label());
        match &ended {
            Ended::Closed | Ended::Drained | Ended::ClientGone => {
                debug!(identity = live.who.name(), %address, reason = ended.label(), "a connection ended");
            }
            _ => {
                info!(identity = live.who.name(), %address, reason = ended.label(), "a connection was ended");
            }
        }
    }

    async fn shake(self: &Arc<Self>, socket: TcpStream, address: SocketAddr) -> Option<(Wire, Session)> {
        keep_alive(&socket);
        let mut stage = Stage::default();
        let mut client = None;
        let way_in = async {
            let mut buffer = Vec::new();
            let leg = Leg::accept(socket, self.tls.config(), &mut buffer).await;
            let leg = leg.inspect_err(|error| self.metrics.refuse(tls_reason(error)))?;
            let peer = leg.peer_certificate().map(|certificate| Peer::of(certificate)).transpose();
            let client = client.insert(Wire { leg, buffer });
            let peer = peer.map_err(|error| Refusal::Certificate(error.to_string()))?;
            welcome(self, client, address, peer, &mut stage).await
        };
        let outcome = timeout(self.settings.handshake, way_in).await;
        let refusal = match outcome {
            Ok(Ok(session)) => return client.map(|client| (client, session)),
            Ok(Err(WireError::Io(error))) => {
                if client.is_some() {
                    self.metrics.refuse("gone");
                }
                debug!(%address, %error, "a connection ended in its handshake");
                return None;
            }
            Ok(Err(WireError::Refused(refusal))) => refusal,
            Err(_) => Refusal::Slow(self.settings.handshake.as_secs()),
        };
        self.metrics.refuse(refusal.label());
        info!(%address, reason = refusal.label(), text = %refusal, "a connection was refused");
        match (client, stage) {
            (Some(client), Stage::Opening { cause }) => client.refuse(&refusal, cause).await,
            (Some(mut client), Stage::Header) => client.leg.end().await,
            (None, _) => {}
        }
        None
    }
}

/// What TLS refused, as it is counted.
fn tls_reason(error: &io::Error) -> &'static str {
    use rustls::{CertificateError, Error};
    match error.get_ref().and_then(|error| error.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(error)) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "tls_expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "tls_not_yet_valid"
            }
            CertificateError::UnknownIssuer => "tls_unknown_authority",
            _ => "tls_certificate",
        },
        Some(_) => "tls",
        None => "gone",
    }
}
