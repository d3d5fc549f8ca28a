//! Which certificate a server shows to a new connection.

use std::{net::TcpStream, sync::Arc};

use kinetic_pki::Peer;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::own::Credentials;

/// The serial number that the server at a port of this machine shows; why not, if TLS fails.
pub(crate) fn serial(port: u16, who: &Credentials) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(who.trust.as_bytes()) {
        roots.add(authority.unwrap()).unwrap();
    }
    let chain = CertificateDer::pem_slice_iter(&who.certificate).map(Result::unwrap).collect();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&who.key).unwrap())
        .unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    let shown = connection.peer_certificates().unwrap();
    Ok(Peer::of(&shown[0]).unwrap().serial.to_string())
}
