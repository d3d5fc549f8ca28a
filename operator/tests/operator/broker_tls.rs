//! A broker's HTTP interface over TLS.

use std::{fs, net::Ipv4Addr, path::Path, time::Duration};

use jiff::Timestamp;
use kinetic_operator::broker::client::Client;
use kinetic_pki::{Authority, ClientAuth, Files, Leaf, PrivateKey, Server, Subject, TlsMetrics};
use kinetic_tests::rabbitmq::RabbitMq;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{cluster::eventually, site::broker};

/// TLS before RabbitMQ's interface, with a certificate of this authority: where it listens.
async fn tls_before_rabbitmq(authority: &Authority, folder: &Path) -> u16 {
    let mut leaf = Leaf::new(Subject::Redirector, Duration::from_hours(1));
    leaf.addresses.push(Ipv4Addr::LOCALHOST.into());
    let key = PrivateKey::generate().unwrap();
    let issued = authority.issue(&leaf, key.public(), Timestamp::now()).unwrap();
    let path = |name: &str| folder.join(name);
    for (name, text) in
        [("tls.crt", &*issued.certificate), ("tls.key", &key.pem()), ("own.crt", authority.certificate())]
    {
        fs::write(path(name), text).unwrap();
    }
    let files = Files { certificate: path("tls.crt"), key: path("tls.key"), trust: path("own.crt") };
    let server = Server::watch(files, ClientAuth::Optional, &TlsMetrics::default()).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let upstream = broker().trim_start_matches("http://").trim_end_matches('/').to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, upstream) = (TlsAcceptor::from(server.config()), upstream.clone());
            tokio::spawn(async move {
                // Who does not believe the server goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut upstream = TcpStream::connect(upstream).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
            });
        }
    });
    port
}

fn authority() -> Authority {
    Authority::generate(&"kinetic.local".parse().unwrap(), Duration::from_hours(2), Timestamp::now()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authorities_in_a_file_vouch_for_it() {
    RabbitMq::shared();
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (authority(), authority());
    let port = tls_before_rabbitmq(&right, folder.path()).await;
    let trusted = folder.path().join("ca.crt");
    fs::write(&trusted, wrong.certificate()).unwrap();
    let url = format!("https://127.0.0.1:{port}");
    let client = |file: Option<&Path>| {
        Client::new(&url, file.map(Path::to_owned), "guest".to_owned(), "guest".to_owned())
    };
    let asked = client(Some(&trusted)).unwrap();
    let refused = asked.state().await.unwrap_err().to_string();
    assert!(refused.contains("does not answer") && refused.contains("certificate"), "{refused}");
    // The file is followed: nobody restarts anything.
    fs::write(&trusted, right.certificate()).unwrap();
    eventually("the right authority to be believed", async || asked.state().await.is_ok()).await;
    assert!(asked.state().await.unwrap().vhosts.contains_key("/"));
    let missing = client(Some(Path::new("/no/such/file"))).unwrap_err().to_string();
    assert!(missing.contains("caFile") && missing.contains("/no/such/file"), "{missing}");
}
