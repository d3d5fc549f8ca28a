//! Who asks, and the body of what is asked.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::StatusCode,
};
use kinetic_pki::{Peer, PeerError};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;

/// A request's body at most.
const MAX_BODY: usize = 32 * 1024;

/// Who asks.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Where from.
    pub address: SocketAddr,
    /// The certificate's holder; none if none was shown.
    pub peer: Option<Result<Peer, PeerError>>,
    /// The certificate itself.
    pub certificate: Option<Arc<[u8]>>,
    /// How long it may take for a body.
    patience: Duration,
}

/// Why a body is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It has more bytes than this.
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
    /// It was not there after this time.
    #[error("the body did not come within {} s", .0.as_secs())]
    TooSlow(Duration),
}

impl Asker {
    pub(super) fn new(
        address: SocketAddr,
        certificate: Option<&CertificateDer<'_>>,
        patience: Duration,
    ) -> Self {
        Self {
            address,
            peer: certificate.map(|der| Peer::of(der)),
            certificate: certificate.map(|der| Arc::from(&**der)),
            patience,
        }
    }

    /// Who the certificate says it is, if it showed one that says so.
    #[must_use]
    pub fn known(&self) -> Option<&Peer> {
        self.peer.as_ref()?.as_ref().ok()
    }

    /// Reads its request's body.
    pub async fn read(&self, body: Body) -> Result<Bytes, Unread> {
        let read = timeout(self.patience, to_bytes(body, MAX_BODY)).await;
        read.map_err(|_| Unread::TooSlow(self.patience))?.map_err(|_| Unread::TooLarge(MAX_BODY))
    }
}

impl Unread {
    /// What HTTP has for it.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
        }
    }
}
