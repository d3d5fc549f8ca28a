//! A server with the right name and another identity gets nothing.

use std::{ffi::OsString, io::Read, net::TcpListener, path::Path, sync::Arc, thread};

use kinetic_tests::{
    http::get,
    process::{Kinetic, eventually, free_port},
};
use rustls::{
    ServerConfig, ServerConnection,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;

use super::{CLIENT, DAY, VHOST, certificates::Certificates};

/// Takes one connection after the other, and says of each how many bytes came over TLS, or what went wrong.
fn serve(
    certificates: &Certificates,
    name: &str,
    said: std::sync::mpsc::Sender<Result<usize, String>>,
) -> u16 {
    let certificate = CertificateDer::from_pem_file(certificates.path(&format!("{name}.crt"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates.path(&format!("{name}.key"))).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, socket.unwrap());
            let mut header = [0; 8];
            let read = stream.read(&mut header).map_err(|error| error.to_string());
            if said.send(read).is_err() {
                return;
            }
        }
    });
    port
}

#[test]
fn a_client_s_certificate_with_the_server_s_name_is_refused() {
    let folder = TempDir::new().unwrap();
    let certificates = Certificates::new(folder.path());
    certificates.issue("web", CLIENT, DAY);
    certificates.forge_server("other", "spiffe://kinetic.local/customers/acme/clients/web");
    certificates.forge_server("door", "spiffe://kinetic.local/redirector");
    for (name, refusal) in
        [("other", Some("the server is not spiffe://kinetic.local/redirector")), ("door", None)]
    {
        let (said, heard) = std::sync::mpsc::channel();
        let (port, admin) = (serve(&certificates, name, said), free_port());
        let mut args: Vec<OsString> = vec!["sidecar".into()];
        let mut flag = |name: &str, value: &Path| args.extend([format!("--{name}").into(), value.into()]);
        flag("upstream", Path::new(&format!("localhost:{port}")));
        flag("vhost", Path::new(VHOST));
        flag("cert", &certificates.path("web.crt"));
        flag("key", &certificates.path("web.key"));
        flag("ca", &certificates.path("ca.crt"));
        flag("statsd", Path::new("off"));
        flag("amqp", Path::new("off"));
        flag("admin", Path::new(&format!("127.0.0.1:{admin}")));
        let mut sidecar = Kinetic::start(args);
        sidecar.wait_for("listening");
        let came = heard.recv().unwrap();
        match refusal {
            Some(refusal) => {
                assert!(came.is_err(), "{came:?}");
                eventually("the reason to be told", || {
                    get(admin, "/readyz")
                        .is_some_and(|(status, text)| status == 503 && text.contains(refusal))
                });
            }
            None => assert_eq!(came, Ok(8), "AMQP's protocol header"),
        }
        sidecar.interrupt();
    }
}
