//! Two parties meet, and know each other.

use std::sync::Arc;

use kinetic_pki::{ClientAuth, Identity, Peer, ServerIdentity, Subject};
use rustls::{
    ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::files::{Holder, authority, web};

/// A connection that stands.
pub(crate) struct Met {
    pub(crate) server: server::TlsStream<DuplexStream>,
    pub(crate) client: client::TlsStream<DuplexStream>,
}

/// What each side says of a handshake that failed.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) by_server: String,
    pub(crate) by_client: String,
}

impl Met {
    /// Something said each way.
    pub(crate) async fn talk(&mut self) -> std::io::Result<()> {
        let mut heard = [0; 4];
        self.client.write_all(b"ping").await?;
        self.server.read_exact(&mut heard).await?;
        self.server.write_all(b"pong").await?;
        self.client.read_exact(&mut heard).await?;
        assert_eq!(&heard, b"pong");
        Ok(())
    }

    pub(crate) fn seen_by_server(&self) -> Option<Peer> {
        self.server.get_ref().1.peer_certificates().map(|chain| Peer::of_chain(chain).unwrap())
    }

    pub(crate) fn seen_by_client(&self) -> Peer {
        Peer::of_chain(self.client.get_ref().1.peer_certificates().unwrap()).unwrap()
    }
}

/// Connects these two, as `name`.
pub(crate) async fn meet_as(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    name: &'static str,
) -> Result<Met, Refused> {
    let (left, right) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(name).unwrap();
    let accept = TlsAcceptor::from(server).accept(left);
    // In TLS 1.3 a client has done its part before the server looks at its certificate: only reading shows the refusal.
    let connect = async {
        let mut stream = TlsConnector::from(client).connect(name, right).await?;
        let mut hello = [0];
        stream.read_exact(&mut hello).await.map(|_| stream)
    };
    let accept = async {
        let mut stream = accept.await?;
        stream.write_all(b"!").await.map(|()| stream)
    };
    match tokio::join!(accept, connect) {
        (Ok(server), Ok(client)) => Ok(Met { server, client }),
        (server, client) => {
            let said =
                |error: Option<std::io::Error>| error.map(|error| error.to_string()).unwrap_or_default();
            Err(Refused { by_server: said(server.err()), by_client: said(client.err()) })
        }
    }
}

/// Connects these two, as `localhost`.
pub(crate) async fn meet(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> Result<Met, Refused> {
    meet_as(server, client, "localhost").await
}

#[tokio::test]
async fn both_know_who_is_there() {
    let authority = authority();
    let (door, web) = (Holder::of(&authority, Subject::Redirector), Holder::of(&authority, web()));
    for (name, auth) in [("localhost", ClientAuth::Required), ("127.0.0.1", ClientAuth::Optional)] {
        let mut met = meet_as(door.server(auth).config(), web.client().config(), name).await.unwrap();
        met.talk().await.unwrap();
        let client = met.seen_by_server().unwrap().identity.to_string();
        assert_eq!(client, "spiffe://kinetic.local/customers/acme/clients/web");
        assert_eq!(met.seen_by_client().identity.to_string(), "spiffe://kinetic.local/redirector");
        let session = met.server.get_ref().1;
        assert_eq!(
            (session.protocol_version(), session.alpn_protocol()),
            (Some(ProtocolVersion::TLSv1_3), None)
        );
    }
}

#[tokio::test]
async fn a_server_can_be_known_by_its_identity_alone() {
    let authority = authority();
    let (door, web) = (Holder::of(&authority, Subject::Redirector), Holder::of(&authority, web()));
    let expects = |id: &str| web.client_of(ServerIdentity::Spiffe(id.parse::<Identity>().unwrap())).config();
    let server = door.server(ClientAuth::Required).config();
    let right = expects("spiffe://kinetic.local/redirector");
    meet_as(Arc::clone(&server), right, "10.0.0.7").await.unwrap();
    for other in ["spiffe://kinetic.local/alert", "spiffe://other.local/redirector"] {
        let refused = meet(Arc::clone(&server), expects(other)).await.err().unwrap();
        assert!(
            refused.by_client.contains(&format!("the server is not {other}: its certificate is spiffe://")),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn without_a_certificate_only_where_it_may_be() {
    let authority = authority();
    let (door, web) = (Holder::of(&authority, Subject::Redirector), Holder::of(&authority, web()));
    let nobody = web.nobody().config();
    let mut met = meet(door.server(ClientAuth::Optional).config(), Arc::clone(&nobody)).await.unwrap();
    met.talk().await.unwrap();
    assert_eq!(met.seen_by_server(), None);
    let refused = meet(door.server(ClientAuth::Required).config(), nobody).await.err().unwrap();
    assert!(refused.by_server.contains("peer sent no certificates"), "{refused:?}");
}

/// A client of another make, which would resume if it were let.
fn foreign(holder: &Holder, version: &'static rustls::SupportedProtocolVersion) -> Arc<ClientConfig> {
    let files = holder.files();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(files.trust).unwrap()).unwrap();
    let chain = vec![CertificateDer::from_pem_file(files.certificate).unwrap()];
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(files.key).unwrap());
    Arc::new(config.unwrap())
}

#[tokio::test]
async fn every_connection_is_looked_at_anew() {
    let authority = authority();
    let (door, web) = (Holder::of(&authority, Subject::Redirector), Holder::of(&authority, web()));
    let server = door.server(ClientAuth::Required).config();
    for version in [&TLS12, &TLS13] {
        let client = foreign(&web, version);
        for _ in 0..3 {
            let mut met = meet(Arc::clone(&server), Arc::clone(&client)).await.unwrap();
            met.talk().await.unwrap();
            let session = met.server.get_ref().1;
            assert_eq!(session.protocol_version(), Some(version.version));
            assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
            assert!(met.seen_by_server().is_some());
        }
    }
}
