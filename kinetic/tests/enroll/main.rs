//! Enrolment from end to end: the real command line, over real TLS, against intake and signer.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod hold;
mod hostile;
mod rig;
mod standing;
mod tokens;

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use jiff::ToSpan;
use kinetic_api::resources::{Enrollment, enrollment::EnrollmentState};
use kinetic_enroll::Requests;
use kinetic_pki::{
    Client, ClientAuth, ClientFiles, ClientIdentity, Peer, Server, ServerIdentity, TlsMetrics, Trust,
};
use kinetic_redirector::enroll::IntakeSettings;
use rig::{ALLOW, Rig, err, issue, out, rig};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const ASK_AGAIN: Option<i32> = Some(75);

fn certificate(rig: &Rig, dir: &str) -> Peer {
    let der = CertificateDer::from_pem_file(rig.machine(dir).join("machine.crt")).unwrap();
    Peer::of(&der).unwrap()
}

/// Who a server that asks for certificates says that the machine is.
async fn shown(rig: &Rig, dir: &str) -> Peer {
    let files = issue(&rig.folder, "spiffe://kinetic.local/redirector", &rig.place.path().join("door"));
    let server = Server::watch(files, ClientAuth::Required, &TlsMetrics::default()).unwrap();
    let machine = rig.machine(dir);
    let identity =
        ClientIdentity { certificate: machine.join("machine.crt"), key: machine.join("machine.key") };
    let files = ClientFiles { identity: Some(identity), trust: Trust::File(machine.join("trust.crt")) };
    let client = Client::watch(files, ServerIdentity::Name, &TlsMetrics::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(server.config()).accept(socket).await.unwrap();
        Peer::of_chain(stream.get_ref().1.peer_certificates().unwrap()).unwrap()
    });
    let socket = TcpStream::connect(address).await.unwrap();
    let _open =
        TlsConnector::from(client.config()).connect(ServerName::from(address.ip()), socket).await.unwrap();
    accepting.await.unwrap()
}

async fn only(rig: &Rig) -> Arc<Enrollment> {
    let mut all = rig.store.list().await.unwrap();
    assert_eq!(all.len(), 1);
    all.swap_remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_lets_a_machine_in() {
    let rig = rig("", IntakeSettings::default()).await;
    let token = rig.token("acme").await;
    let data = rig.data().display().to_string();

    let asked = rig.enroll("db-1.acme.example", "db-1", &token, &[]).await;
    assert_eq!(asked.status.code(), ASK_AGAIN, "{}", err(&asked));
    let key = fs::read_to_string(rig.machine("db-1").join("machine.key")).unwrap();
    let mode = |name: &str| fs::metadata(rig.machine(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("db-1"), mode("db-1/machine.key")), (0o700, 0o600));
    // Asked again, it is the same request and the same key.
    assert_eq!(rig.enroll("db-1.acme.example", "db-1", &token, &[]).await.status.code(), ASK_AGAIN);
    let request = only(&rig).await;
    assert!(err(&asked).contains(&request.spec.key_fingerprint), "{}", err(&asked));

    let waiting = rig.enroll("db-1.acme.example", "db-1", &token, &["--wait"]);
    let approving = async {
        let listed = rig.kinetic(&["enrollments", "--dir", &data], None).await;
        assert!(out(&listed).contains(&format!("1 enrolments in the folder {data}")), "{}", out(&listed));
        assert!(out(&listed).contains("Pending  acme/web  db-1.acme.example"), "{}", out(&listed));
        assert!(out(&listed).contains(&request.spec.key_fingerprint), "{}", out(&listed));
        let begin = &request.metadata.name.as_ref().unwrap()[..8];
        let approved =
            rig.kinetic(&["approve", begin, "--dir", &data, "--reason", "racked today"], None).await;
        assert!(approved.status.success() && out(&approved).contains("in the folder"), "{}", err(&approved));
    };
    let (enrolled, ()) = tokio::join!(waiting, approving);
    assert!(enrolled.status.success(), "{}", err(&enrolled));
    assert_eq!(fs::read_to_string(rig.machine("db-1").join("machine.key")).unwrap(), key);
    let peer = shown(&rig, "db-1").await;
    assert_eq!(
        peer.identity.to_string(),
        "spiffe://kinetic.local/customers/acme/clients/web/machines/db-1.acme.example"
    );

    // And again, with the token from a file: what there is.
    let file = rig.place.path().join("token");
    fs::write(&file, format!("{token}\n")).unwrap();
    let from_file = ["--token-file", file.to_str().unwrap()];
    assert!(rig.enroll("db-1.acme.example", "db-1", "ket_none", &from_file).await.status.success());
    assert_eq!(certificate(&rig, "db-1"), peer);
    let listed = rig.kinetic(&["enrollments", "--dir", &data, "--json"], None).await;
    let all: Vec<Enrollment> = serde_json::from_str(&out(&listed)).unwrap();
    let status = all[0].status.clone().unwrap();
    assert_eq!((status.state, status.decided_by.as_deref()), (EnrollmentState::Issued, Some("ann")));
    assert_eq!(status.serial, Some(peer.serial.to_string()));
    let late = rig.kinetic(&["deny", all[0].metadata.name.as_ref().unwrap(), "--dir", &data], None).await;
    assert!(!late.status.success() && err(&late).contains("Issued already (by ann)"), "{}", err(&late));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_machine_needs_no_person_and_a_second_key_does() {
    let rig = rig(ALLOW, IntakeSettings::default()).await;
    let token = rig.token("acme").await;
    let first = rig.enroll("web-1", "first", &token, &["--wait"]).await;
    assert!(first.status.success(), "{}", err(&first));
    let second = rig.enroll("web-1", "second", &token, &[]).await;
    assert_eq!(second.status.code(), ASK_AGAIN, "{}", err(&second));
    let reason = |state: EnrollmentState| {
        let rig = &rig;
        async move {
            let all = rig.store.list().await.unwrap();
            all.iter().find(|one| one.state() == state).and_then(|one| one.status.clone()?.reason)
        }
    };
    for _ in 0..200 {
        if reason(EnrollmentState::Pending).await.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(reason(EnrollmentState::Pending).await.unwrap().contains("another key"));
    assert!(!rig.machine("second").join("machine.crt").exists());

    let pending =
        rig.store.list().await.unwrap().into_iter().find(|one| one.state() == EnrollmentState::Pending);
    let id = pending.unwrap().metadata.name.clone().unwrap();
    let data = rig.data().display().to_string();
    let denied = rig.kinetic(&["deny", &id, "--dir", &data, "--reason", "web-1 is up"], None).await;
    assert!(denied.status.success(), "{}", err(&denied));
    let told = rig.enroll("web-1", "second", &token, &["--wait"]).await;
    assert!(!told.status.success() && err(&told).contains("web-1 is up"), "{}", err(&told));
    let metrics = rig.metrics();
    assert!(metrics.contains("kinetic_enrollment_decisions_total{decision=\"issued\"} 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_renews_by_itself() {
    let rig = rig(ALLOW, IntakeSettings::default()).await;
    let token = rig.token("acme").await;
    assert!(rig.enroll("web-1", "web-1", &token, &["--wait"]).await.status.success());
    let first = certificate(&rig, "web-1");
    let dir = rig.machine("web-1").display().to_string();
    let renew = async |more: &[&str]| {
        let mut args = vec!["enroll", "--renew", "--dir", &dir];
        args.extend(more);
        let done = rig.kinetic(&args, None).await;
        assert!(done.status.success(), "{}", err(&done));
        out(&done)
    };
    assert!(renew(&[]).await.contains("is good until"));
    assert_eq!(certificate(&rig, "web-1"), first);

    renew(&["--force"]).await;
    let second = certificate(&rig, "web-1");
    assert!(second.serial != first.serial && second.key == first.key);
    renew(&["--force", "--new-key"]).await;
    let third = shown(&rig, "web-1").await;
    assert!(third.key != second.key && third.identity == first.identity);
    assert!(!rig.machine("web-1").join("next.key").exists());
    assert!(rig.metrics().contains("kinetic_enrollment_decisions_total{decision=\"renewed\"} 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_decide_over_mutual_tls_for_their_customer_only() {
    let rig = rig("", IntakeSettings::default()).await;
    let token = rig.token("acme").await;
    assert_eq!(rig.enroll("db-1", "db-1", &token, &[]).await.status.code(), ASK_AGAIN);
    let id = only(&rig).await.metadata.name.clone().unwrap();
    let url = rig.url();
    let act = async |path: &str, args: &[&str]| {
        let identity = format!("spiffe://kinetic.local{path}");
        let files = issue(&rig.folder, &identity, &rig.place.path().join("people"));
        let [cert, key, ca] =
            [files.certificate, files.key, files.trust].map(|path| path.display().to_string());
        let mut all = args.to_vec();
        all.extend(["--server", &url, "--cert", &cert, "--key", &key, "--ca", &ca]);
        rig.kinetic(&all, None).await
    };
    let refused = act("/customers/acme/clients/web", &["approve", &id]).await;
    assert!(!refused.status.success() && err(&refused).contains("Not allowed"), "{}", err(&refused));
    let foreign = act("/customers/beta/control/eve", &["approve", &id]).await;
    assert!(!foreign.status.success() && err(&foreign).contains("No such enrolment"), "{}", err(&foreign));
    let nothing = act("/customers/beta/control/eve", &["enrollments", "--json"]).await;
    assert_eq!(out(&nothing).trim(), "[]", "{}", err(&nothing));
    assert_eq!(only(&rig).await.state(), EnrollmentState::Pending);

    let approved = act("/customers/acme/control/ann", &["approve", &id]).await;
    assert!(out(&approved).contains(&format!("(at {url}/)")), "{} {}", out(&approved), err(&approved));
    assert!(rig.enroll("db-1", "db-1", &token, &["--wait"]).await.status.success());
    let by = only(&rig).await.status.clone().unwrap().decided_by;
    assert_eq!(by.as_deref(), Some("spiffe://kinetic.local/customers/acme/control/ann"));
    let all = act("/operator", &["enrollments"]).await;
    assert!(out(&all).contains("Issued  acme/web  db-1"), "{}", out(&all));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_named_is_asked_for() {
    let rig = rig("", IntakeSettings::default()).await;
    let cluster = rig.kinetic(&["enrollments", "--kubeconfig", "x"], None).await;
    assert!(!cluster.status.success() && err(&cluster).contains("--kubeconfig x"), "{}", err(&cluster));
    let nowhere = rig.kinetic(&["approve", "abc"], None).await;
    assert!(!nowhere.status.success() && err(&nowhere).contains("--dir DIR"), "{}", err(&nowhere));
    let typo = rig.kinetic(&["token", "create", "--customer", "acme", "--dir", "no-such"], None).await;
    assert!(!typo.status.success() && err(&typo).contains("no-such"), "{}", err(&typo));
    let dir = rig.machine("new").display().to_string();
    let early = rig.kinetic(&["enroll", "--renew", "--dir", &dir], None).await;
    assert!(!early.status.success() && err(&early).contains("enrol first"), "{}", err(&early));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_a_wrong_token() {
    let rig = rig(ALLOW, IntakeSettings::default()).await;
    let good = rig.token("acme").await;
    let ago = jiff::Timestamp::now() - 1.hour();
    let expired = kinetic_enroll::Token::generate();
    let record = kinetic_enroll::TokenRecord::of(&expired, "acme".parse().unwrap(), ago, ago + 59.minutes());
    rig.store.keep_token(&record).unwrap();
    let unknown = kinetic_enroll::Token::generate();
    let cases = [
        ("acme", expired.reveal()),
        ("acme", unknown.reveal()),
        ("beta", good.as_str()),
        ("nobody", good.as_str()),
    ];
    let mut told = Vec::new();
    for (customer, token) in cases {
        // `--wait` does not wait for what waiting cannot mend.
        let refused = rig.enroll_at(&rig.pin(), customer, "web-1", "web-1", token, &["--wait"]).await;
        assert_eq!(refused.status.code(), Some(1), "{}", err(&refused));
        assert!(!err(&refused).contains(token));
        told.push(err(&refused));
    }
    told.dedup();
    assert!(told.len() == 1 && told[0].contains("No valid enrolment token"), "{told:?}");
    assert!(rig.store.list().await.unwrap().is_empty());
    assert!(rig.metrics().contains("kinetic_enrollment_requests_total{route=\"enroll\",result=\"token\"} 4"));
}
