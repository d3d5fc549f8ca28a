//! Whose certificates count over HTTPS: as at the front door, on every route that looks at one.

use std::{
    fs, io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use kinetic_api::resources::enrollment::EnrollmentState;
use kinetic_enroll::Requests;
use kinetic_pki::{
    Authority, Client, ClientFiles, ClientIdentity, Files, Leaf, Peer, PrivateKey, ServerIdentity,
    TlsMetrics, Trust, request,
};
use kinetic_redirector::enroll::IntakeSettings;
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::rig::{Rig, err, issue, rig};

const ANN: &str = "/customers/acme/control/ann";
const MACHINE: &str = "/customers/acme/clients/web/machines/web-1";

/// A certificate, and a TLS that shows it.
fn showing(rig: &Rig, path: &str) -> (Files, Arc<ClientConfig>) {
    let files = issue(&rig.folder, &format!("spiffe://kinetic.local{path}"), &rig.place.path().join("them"));
    let tls = shown(rig, &files);
    (files, tls)
}

fn shown(rig: &Rig, files: &Files) -> Arc<ClientConfig> {
    let identity = ClientIdentity { certificate: files.certificate.clone(), key: files.key.clone() };
    let trust = Trust::File(rig.folder.path().join("trust.crt"));
    let files = ClientFiles { identity: Some(identity), trust };
    Client::watch(files, ServerIdentity::Name, &TlsMetrics::default()).unwrap().config()
}

fn serial(files: &Files) -> String {
    Peer::of(&CertificateDer::from_pem_file(&files.certificate).unwrap()).unwrap().serial.to_string()
}

fn asking(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What every route that looks at a certificate answers to this one: its status and text.
async fn answers(rig: &Rig, tls: &Arc<ClientConfig>, id: &str, csr: &str) -> [(&'static str, String); 5] {
    let ask = async |address, request: Vec<u8>| rig.raw_to(address, Arc::clone(tls), &request).await.unwrap();
    let renew = format!("{{\"csr\": \"{}\"}}", csr.replace('\n', "\\n"));
    let approve = asking("POST", &format!("/v1/enrollments/{id}"), "{\"verdict\": \"Approve\"}");
    [
        ("list", ask(rig.address, asking("GET", "/v1/enrollments", "")).await),
        ("decide", ask(rig.address, approve).await),
        ("renew", ask(rig.address, asking("POST", "/v1/renewals", &renew)).await),
        ("registry", ask(rig.registry, asking("GET", "/v1/registry", "")).await),
        ("hold", ask(rig.registry, asking("PUT", "/v1/customers/acme/hold", "\"paused\"")).await),
    ]
}

/// What this process logs.
struct Audit;

static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

impl io::Write for Audit {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut *LOGGED.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Audit {
    fn listen() {
        tracing_subscriber::fmt().json().with_writer(|| Self).init();
    }

    /// The fields of the only line about this serial number.
    fn only(serial: &str) -> Value {
        let text = String::from_utf8(LOGGED.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let about = |line: &Value| line["target"] == "kinetic::audit" && line["fields"]["serial"] == serial;
        let mut lines: Vec<Value> = lines.filter(about).collect();
        assert_eq!(lines.len(), 1, "{text}");
        lines.remove(0)["fields"].take()
    }
}

/// Refused everywhere, and for this reason wherever the certificate's holder could do something.
fn refused(answers: &[(&'static str, String)], reason: &str, routes: &[&str]) {
    for (route, answer) in answers {
        assert!(answer.starts_with("HTTP/1.1 403"), "{route}: {answer}");
        if routes.contains(route) {
            assert!(answer.contains(reason), "{route}: {answer}");
        }
    }
}

async fn waiting(rig: &Rig) -> String {
    let token = rig.token("acme").await;
    let asked = rig.enroll("db-1", "db-1", &token, &[]).await;
    assert_eq!(asked.status.code(), Some(75), "{}", err(&asked));
    let all = rig.store.list().await.unwrap();
    all[0].metadata.name.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_or_taken_out_decides_sees_and_renews_nothing() {
    Audit::listen();
    let rig = rig("", IntakeSettings::default()).await;
    let id = waiting(&rig).await;
    let (files, ann) = showing(&rig, ANN);
    let (machine_files, machine) = showing(&rig, MACHINE);
    let key = PrivateKey::from_pem(&fs::read_to_string(&machine_files.key).unwrap()).unwrap();
    let csr = request::make(&key).unwrap();
    let people = ["list", "decide", "registry"];

    // Before: ann sees what she may, and the machine could renew.
    let [list, .., registry, hold] = answers(&rig, &ann, "none", &csr).await;
    assert!(list.1.starts_with("HTTP/1.1 200") && list.1.contains("db-1"), "{}", list.1);
    assert!(registry.1.starts_with("HTTP/1.1 200"), "{}", registry.1);
    assert!(hold.1.starts_with("HTTP/1.1 403"), "{}", hold.1);

    rig.change(
        &["acme", "beta"],
        &format!(
            ", revoked: [{{serial: \"{}\"}}, {{serial: \"{}\"}}]",
            serial(&files),
            serial(&machine_files)
        ),
    );
    refused(&answers(&rig, &ann, &id, &csr).await, "is revoked", &people);
    refused(&answers(&rig, &machine, &id, &csr).await, "is revoked", &["renew"]);
    let told = Audit::only(&serial(&machine_files));
    for (field, value) in [
        ("event", "denied"),
        ("identity", MACHINE),
        ("key", &key.public().fingerprint().to_string()),
        ("address", "127.0.0.1"),
        ("by", "front door"),
    ] {
        assert_eq!(told[field], value, "{field} of {told}");
    }

    rig.change(&["acme", "beta"], ", enrollment: {deny: [{client: web, names: [\"web-1\"]}]}");
    refused(&answers(&rig, &machine, &id, &csr).await, "denied by spec.enrollment.deny", &["renew"]);

    rig.change(&["beta"], "");
    refused(&answers(&rig, &ann, &id, &csr).await, "acme is not served here", &people);

    let all = rig.store.list().await.unwrap();
    assert_eq!(
        (all.len(), all[0].state()),
        (1, EnrollmentState::Pending),
        "nothing was decided or asked for"
    );
    // Back again: it was the Customer that spoke.
    rig.change(&["acme", "beta"], "");
    let [_, decide, ..] = answers(&rig, &ann, &id, &csr).await;
    assert!(decide.1.starts_with("HTTP/1.1 200"), "{}", decide.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_trust_domain_counts_for_nothing() {
    let rig = rig("", IntakeSettings::default()).await;
    let id = waiting(&rig).await;
    // Its authority has got among the trusted ones, as where two sites share a bundle.
    let day = Duration::from_hours(24);
    let other = Authority::generate(&"evil.example".parse().unwrap(), day, Timestamp::now()).unwrap();
    let bundle = rig.folder.issued().join("trust.crt");
    let both = format!("{}{}", fs::read_to_string(&bundle).unwrap(), other.certificate());
    fs::write(&bundle, both).unwrap();
    for path in [ANN, MACHINE, "/operator"] {
        let key = PrivateKey::generate().unwrap();
        let subject =
            format!("spiffe://evil.example{path}").parse::<kinetic_pki::Identity>().unwrap().subject;
        let issued = other.issue(&Leaf::new(subject, day), key.public(), Timestamp::now()).unwrap();
        let (certificate, own) = (rig.place.path().join("evil.crt"), rig.place.path().join("evil.key"));
        fs::write(&certificate, issued.certificate).unwrap();
        fs::write(&own, key.pem()).unwrap();
        let tls = shown(&rig, &Files { certificate, key: own, trust: bundle.clone() });
        let csr = request::make(&key).unwrap();
        // Once the server has read the bundle.
        for attempt in 0.. {
            let ask = asking("GET", "/v1/trust", "");
            match rig.raw(Arc::clone(&tls), &ask).await {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => break,
                _ if attempt < 200 => tokio::time::sleep(Duration::from_millis(50)).await,
                answer => panic!("the bundle is not read: {answer:?}"),
            }
        }
        let routes: &[&str] = match path {
            MACHINE => &["renew"],
            _ => &["list", "decide", "registry", "hold"],
        };
        refused(&answers(&rig, &tls, &id, &csr).await, "trust domain evil.example", routes);
    }
    let all = rig.store.list().await.unwrap();
    assert_eq!((all.len(), all[0].state()), (1, EnrollmentState::Pending));
}

/// A connection that is asked again and again.
struct Kept(TlsStream<TcpStream>, &'static str);

impl Kept {
    async fn open(address: SocketAddr, tls: &Arc<ClientConfig>, path: &'static str) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::from(address.ip());
        Self(TlsConnector::from(Arc::clone(tls)).connect(name, socket).await.unwrap(), path)
    }

    async fn ask(&mut self) -> String {
        let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", self.1);
        self.0.write_all(request.as_bytes()).await.unwrap();
        let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
        while !answer.ends_with(b"}") && !answer.ends_with(b"]") {
            let length = self.0.read(&mut piece).await.unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..length]);
        }
        String::from_utf8(answer).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_runs_out_counts_no_more_on_a_connection_that_stands() {
    let rig = rig("", IntakeSettings::default()).await;
    let subject = format!("spiffe://kinetic.local{ANN}").parse::<kinetic_pki::Identity>().unwrap().subject;
    let key = PrivateKey::generate().unwrap();
    let short = Leaf::new(subject, Duration::from_secs(5));
    let issued = rig.folder.issue(&short, key.public(), Timestamp::now()).unwrap();
    let out = rig.folder.hand_out(&rig.place.path().join("them"), &issued, Some(&key)).unwrap();
    let tls = shown(&rig, &Files { certificate: out.certificate, key: out.key.unwrap(), trust: out.trust });
    let mut kept = [
        Kept::open(rig.address, &tls, "/v1/enrollments").await,
        Kept::open(rig.registry, &tls, "/v1/registry").await,
    ];
    for kept in &mut kept {
        let answer = kept.ask().await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let left = issued.not_after.duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
    for kept in &mut kept {
        let answer = kept.ask().await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("the certificate ran out"), "{answer}");
    }
}
