//! The registry's listener before those who ask too much, too slowly, or not at all.

use std::{collections::HashMap, fs, path::Path};

use jiff::Timestamp;
use kinetic_pki::{
    Authority, Client, ClientAuth, ClientFiles, ClientIdentity, Files, Leaf, PrivateKey, ServerIdentity,
    TlsMetrics, Trust,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::TlsConnector;

use super::*;
use crate::door::{Door, DoorMetrics, DoorSettings, credentials::Credentials, registry, routes::Routes};

const DEADLINE: Duration = Duration::from_secs(20);

struct Rig {
    address: SocketAddr,
    operator: Client,
    counters: Registry,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

/// The files of a certificate for this identity.
fn issue(authority: &Authority, identity: &str, folder: &Path) -> Files {
    let subject =
        format!("spiffe://kinetic.local/{identity}").parse::<kinetic_pki::Identity>().unwrap().subject;
    let mut leaf = Leaf::new(subject, Duration::from_hours(1));
    if identity == "redirector" {
        leaf.addresses.push("127.0.0.1".parse().unwrap());
    }
    let key = PrivateKey::generate().unwrap();
    let issued = authority.issue(&leaf, key.public(), Timestamp::now()).unwrap();
    let file = |extension: &str, text: &str| {
        let path = folder.join(format!("{identity}.{extension}"));
        fs::write(&path, text).unwrap();
        path
    };
    Files {
        certificate: file("crt", &issued.certificate),
        key: file("key", &key.pem()),
        trust: file("trust", authority.certificate()),
    }
}

impl Rig {
    async fn start(limits: HttpsLimits) -> Self {
        let folder = TempDir::new().unwrap();
        let domain = "kinetic.local".parse().unwrap();
        let authority = Authority::generate(&domain, Duration::from_hours(1), Timestamp::now()).unwrap();
        let files = issue(&authority, "redirector", folder.path());
        let tls = Server::watch(files, ClientAuth::Optional, &TlsMetrics::default()).unwrap();
        let Files { certificate, key, trust } = issue(&authority, "operator", folder.path());
        let identity = Some(ClientIdentity { certificate, key });
        let files = ClientFiles { identity, trust: Trust::File(trust) };
        let operator = Client::watch(files, ServerIdentity::Name, &TlsMetrics::default()).unwrap();

        let credentials = Credentials::Roles { master_key: vec![0; 32], version: 1 };
        let door = Door::new(DoorSettings::default(), tls.clone(), credentials, DoorMetrics::default());
        door.lead(Routes::new("kinetic.local", &[], [], []), HashMap::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (metrics, stop) = (HttpsMetrics::default(), CancellationToken::new());
        let mut counters = Registry::default();
        metrics.register(counters.sub_registry_with_prefix("kinetic_registry"));
        let serving =
            tokio::spawn(serve(listener, tls, registry::router(door), limits, metrics, stop.clone()));
        Self { address, operator, counters, stop, serving, _folder: folder }
    }

    /// Sends bytes as the operator, and gives what is answered until the server closes.
    async fn asks(&self, request: &[u8]) -> String {
        let socket = TcpStream::connect(self.address).await.unwrap();
        let connector = TlsConnector::from(self.operator.config());
        let name = ServerName::from(self.address.ip());
        let mut stream = connector.connect(name, socket).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A connection that breaks off has said what it had to.
        let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an end in time");
        String::from_utf8(answer).unwrap()
    }

    async fn until(&self, line: &str) {
        let counted = async {
            loop {
                let mut text = String::new();
                encode(&mut text, &self.counters).unwrap();
                if text.lines().any(|counted| counted == line) {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(DEADLINE, counted).await.unwrap_or_else(|_| panic!("waited in vain for {line}"));
    }

    async fn dropped(&self, reason: &str, number: u32) {
        self.until(&format!("kinetic_registry_dropped_connections_total{{reason=\"{reason}\"}} {number}"))
            .await;
    }
}

const ASK: &str = "GET /v1/registry HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";

fn hold(length: usize, body: &str) -> String {
    let head = "PUT /v1/customers/acme/hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn who_asks_too_slowly_or_too_much_is_refused_and_counted() {
    let limits = HttpsLimits { patience: Duration::from_millis(500), ..HttpsLimits::default() };
    let rig = Rig::start(limits).await;
    let answer = rig.asks(format!("{ASK}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"connections\":[]"), "{answer}");

    // Half-open: without TLS, and with half of a head.
    let mut silent = TcpStream::connect(rig.address).await.unwrap();
    let _ = timeout(DEADLINE, silent.read_to_end(&mut Vec::new())).await.expect("it is not kept");
    rig.dropped("slow_tls", 1).await;
    assert_eq!(rig.asks(ASK.as_bytes()).await, "");
    rig.dropped("slow_request", 1).await;
    let mut plain = TcpStream::connect(rig.address).await.unwrap();
    plain.write_all(ASK.as_bytes()).await.unwrap();
    let _ = timeout(DEADLINE, plain.read_to_end(&mut Vec::new())).await.expect("it is not kept");
    rig.dropped("tls", 1).await;

    let large = rig.asks(format!("{ASK}X-Large: {}\r\n\r\n", "x".repeat(2 * BUFFER)).as_bytes()).await;
    assert!(large.is_empty() || large.starts_with("HTTP/1.1 431"), "{large}");
    rig.dropped("http", 1).await;

    let large = rig.asks(hold(40_000, &" ".repeat(40_000)).as_bytes()).await;
    assert!(large.starts_with("HTTP/1.1 413"), "{large}");
    let slow = rig.asks(hold(10, "\"").as_bytes()).await;
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
    let nonsense = rig.asks(hold(2, "{}").as_bytes()).await;
    assert!(nonsense.starts_with("HTTP/1.1 400"), "{nonsense}");
    let unknown = rig.asks(hold(8, "\"paused\"").as_bytes()).await;
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
    rig.until("kinetic_registry_connections 0").await;
}

#[tokio::test]
async fn there_are_so_many_connections_and_the_end_waits_for_nobody_who_rests() {
    let rig = Rig::start(HttpsLimits { connections: 2, ..HttpsLimits::default() }).await;
    let mut resting = Vec::new();
    for _ in 0..2 {
        resting.push(TcpStream::connect(rig.address).await.unwrap());
    }
    rig.until("kinetic_registry_connections 2").await;
    let mut third = TcpStream::connect(rig.address).await.unwrap();
    let _ = timeout(DEADLINE, third.read_to_end(&mut Vec::new())).await.expect("it is not kept");
    rig.dropped("too_many", 1).await;
    drop(resting.pop());
    rig.until("kinetic_registry_connections 1").await;
    let answer = rig.asks(format!("{ASK}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    rig.stop.cancel();
    timeout(HttpsLimits::default().patience / 2, rig.serving).await.expect("an end at once").unwrap();
}
