//! Servers and machines that are not what they say, or ask too much.

use std::{fs, sync::Arc, time::Duration};

use kinetic_api::resources::enrollment::EnrollmentState;
use kinetic_enroll::Requests;
use kinetic_pki::{
    Client, ClientFiles, ClientIdentity, Fingerprint, Folder, PrivateKey, ServerIdentity, TlsMetrics, Trust,
    request,
};
use kinetic_redirector::{enroll::IntakeSettings, https::HttpsLimits};
use rustls::ClientConfig;

use crate::rig::{ALLOW, Rig, err, issue, rig};

fn config(rig: &Rig, identity: Option<ClientIdentity>) -> Arc<ClientConfig> {
    let files = ClientFiles { identity, trust: Trust::File(rig.folder.path().join("trust.crt")) };
    Client::watch(files, ServerIdentity::Name, &TlsMetrics::default()).unwrap().config()
}

fn post(path: &str, token: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn ask(name: &str) -> String {
    let csr = request::make(&PrivateKey::generate().unwrap()).unwrap().replace('\n', "\\n");
    format!("{{\"customer\": \"acme\", \"client\": \"web\", \"name\": \"{name}\", \"csr\": \"{csr}\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_meant_gets_nothing() {
    let rig = rig(ALLOW, IntakeSettings::default()).await;
    let token = rig.token("acme").await;
    let wrong = Fingerprint::of(b"another").to_string();
    let refused = rig.enroll_at(&wrong, "acme", "web-1", "web-1", &token, &["--wait"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("--ca-hash") && !err(&refused).contains(&token), "{}", err(&refused));

    // By a file: another authority of the same trust domain.
    let domain = "kinetic.local".parse().unwrap();
    let other = rig.place.path().join("other");
    Folder::init(&other, &domain, Duration::from_hours(1), jiff::Timestamp::now()).unwrap();
    let (url, ca, dir) =
        (rig.url(), other.join("ca.crt").display().to_string(), rig.machine("w").display().to_string());
    let args =
        ["enroll", "--server", &url, "--customer", "acme", "--client", "web", "--name", "web-1", "--ca", &ca];
    let args = [&args[..], &["--dir", &dir, "--wait"]].concat();
    let refused = rig.kinetic(&args, Some(&token)).await;
    assert_eq!(refused.status.code(), Some(1), "{}", err(&refused));
    assert!(err(&refused).contains("certificate"), "{}", err(&refused));
    assert!(rig.store.list().await.unwrap().is_empty());
    assert!(!rig.metrics().contains("route=\"enroll\""), "{}", rig.metrics());

    let right = rig.folder.path().join("ca.crt").display().to_string();
    let args: Vec<&str> = args.iter().map(|arg| if *arg == ca { right.as_str() } else { *arg }).collect();
    let enrolled = rig.kinetic(&args, Some(&token)).await;
    assert!(enrolled.status.success(), "{}", err(&enrolled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_request_gives_its_own_certificate_only() {
    let rig = rig(ALLOW, IntakeSettings::default()).await;
    let token = rig.token("acme").await;
    let request = post("/v1/enrollments", &token, &ask("web-1"));
    let first = rig.raw(config(&rig, None), &request).await.unwrap();
    assert!(first.starts_with("HTTP/1.1 201"), "{first}");
    let again = rig.raw(config(&rig, None), &request).await.unwrap();
    assert!(again.starts_with("HTTP/1.1 200"), "{again}");
    assert_eq!(rig.store.list().await.unwrap().len(), 1);
    // The same signing request under another name is another request.
    let other = String::from_utf8(request).unwrap().replace("web-1", "web-2");
    let other = rig.raw(config(&rig, None), other.as_bytes()).await.unwrap();
    assert!(other.starts_with("HTTP/1.1 201"), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_bounded_and_counted() {
    let settings = IntakeSettings {
        burst_per_address: 30,
        each_per_address: Duration::from_mins(10),
        waiting_per_customer: 5,
        ..IntakeSettings::default()
    };
    let rig = rig("", settings).await;
    let token = rig.token("acme").await;
    let tls = config(&rig, None);
    let mut statuses = std::collections::BTreeMap::<String, u32>::new();
    for number in 0..50 {
        let request = post("/v1/enrollments", &token, &ask(&format!("web-{number}")));
        let answer = rig.raw(Arc::clone(&tls), &request).await.unwrap();
        let kind = answer.split("urn:kinetic:enrollment:").nth(1).and_then(|rest| rest.split('"').next());
        *statuses.entry(kind.unwrap_or("taken").to_owned()).or_default() += 1;
        if kind.is_some() {
            assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after: "), "{answer}");
            assert!(answer.contains("content-type: application/problem+json"), "{answer}");
        }
    }
    assert_eq!((statuses["taken"], statuses["full"], statuses["address-rate"]), (5, 25, 20));
    assert_eq!(rig.store.list().await.unwrap().len(), 5);
    let metrics = rig.metrics();
    for line in [
        "kinetic_enrollment_requests_total{route=\"enroll\",result=\"new\"} 5",
        "kinetic_enrollment_requests_total{route=\"enroll\",result=\"full\"} 25",
        "kinetic_enrollment_requests_total{route=\"enroll\",result=\"address-rate\"} 20",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_too_slow_or_nonsense_is_answered() {
    let https =
        HttpsLimits { patience: Duration::from_millis(500), connections: 3, ..HttpsLimits::default() };
    let settings = IntakeSettings { https, ..IntakeSettings::default() };
    let rig = rig(ALLOW, settings).await;
    let token = rig.token("acme").await;
    let tls = config(&rig, None);
    let answer = async |request: Vec<u8>| rig.raw(Arc::clone(&tls), &request).await.unwrap();
    let large = answer(post("/v1/enrollments", &token, &" ".repeat(40_000))).await;
    assert!(large.starts_with("HTTP/1.1 413"), "{large}");
    let slow =
        b"POST /v1/enrollments HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n{"
            .to_vec();
    let slow = answer(slow).await;
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
    let half = rig.raw(Arc::clone(&tls), b"GET /v1/trust HTTP/1.1\r\nHo").await;
    assert!(half.is_err(), "{half:?}");
    let none = answer(post("/v1/enrollments", &token, "{}")).await;
    assert!(none.starts_with("HTTP/1.1 400") && none.contains("customer"), "{none}");
    for name in ["Web-1", "../x", "", "web_1"] {
        let refused = answer(post("/v1/enrollments", &token, &ask(name))).await;
        assert!(refused.starts_with("HTTP/1.1 422") && refused.contains("machine's name"), "{refused}");
    }
    let csr = ask("web-1").replace("CERTIFICATE REQUEST", "CERTIFICATE");
    let refused = answer(post("/v1/enrollments", &token, &csr)).await;
    assert!(refused.starts_with("HTTP/1.1 422") && refused.contains("csr: "), "{refused}");
    let unknown =
        answer(b"GET /v1/enrollments/0123 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec()).await;
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
    assert!(rig.store.list().await.unwrap().is_empty());
    assert!(
        rig.metrics().contains("kinetic_enrollment_dropped_connections_total{reason=\"slow_request\"} 1")
    );

    // Three who say nothing have all the seats, for as long as patience lasts.
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(tokio::net::TcpStream::connect(rig.address).await.unwrap());
    }
    let get = b"GET /v1/trust HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut served = Err(std::io::Error::other("never asked"));
    for _ in 0..100 {
        served = rig.raw(Arc::clone(&tls), get).await;
        if served.as_ref().is_ok_and(|answer| answer.contains("BEGIN CERTIFICATE")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(served.unwrap().contains("BEGIN CERTIFICATE"));
    assert!(rig.metrics().contains("dropped_connections_total{reason=\"slow_tls\"} 3"), "{}", rig.metrics());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_machine_renews_and_only_itself() {
    let rig = rig(ALLOW, IntakeSettings::default()).await;
    let renew =
        |csr: &str| post("/v1/renewals", "none", &format!("{{\"csr\": \"{}\"}}", csr.replace('\n', "\\n")));
    let csr = request::make(&PrivateKey::generate().unwrap()).unwrap();
    let nobody = rig.raw(config(&rig, None), &renew(&csr)).await.unwrap();
    assert!(nobody.starts_with("HTTP/1.1 403") && nobody.contains("no-certificate"), "{nobody}");
    for (path, text) in [
        ("/customers/acme/clients/web", "only a machine renews its own certificate"),
        ("/customers/acme/clients/web/machines/web-1", "has not signed for it"),
    ] {
        let identity = format!("spiffe://kinetic.local{path}");
        let files = issue(&rig.folder, &identity, &rig.place.path().join("them"));
        let identity = ClientIdentity { certificate: files.certificate.clone(), key: files.key.clone() };
        let refused = rig.raw(config(&rig, Some(identity.clone())), &renew(&csr)).await.unwrap();
        assert!(refused.starts_with("HTTP/1.1 403") && refused.contains(text), "{refused}");
        if path.ends_with("web-1") {
            // With its own key it gets one.
            let own = PrivateKey::from_pem(&fs::read_to_string(&files.key).unwrap()).unwrap();
            let taken =
                rig.raw(config(&rig, Some(identity)), &renew(&request::make(&own).unwrap())).await.unwrap();
            assert!(taken.starts_with("HTTP/1.1 201"), "{taken}");
        }
    }
    for _ in 0..200 {
        let all = rig.store.list().await.unwrap();
        assert_eq!(all.len(), 1);
        if all[0].state() == EnrollmentState::Issued {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the renewal was not signed");
}
