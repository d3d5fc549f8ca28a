//! Who is refused is told why, by the code that the specification has for it; and is counted.

use std::time::Duration;

use jiff::Timestamp;
use kinetic_pki::Authority;
use kinetic_redirector::door::{DoorSettings, api_keys::ApiKeys};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::rig::{Certificate, Rig, TRUST_DOMAIN, customer, issue, until};

const HOUR: Duration = Duration::from_hours(1);

#[track_caller]
fn refused(outcome: lapin::Result<lapin::Connection>, code: &str, text: &str) {
    let error = outcome.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(code) && error.contains(text), "{error:?} has no {code} and {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_is_told_why() {
    let settings = DoorSettings { handshake: Duration::from_secs(3), ..DoorSettings::default() };
    let rig = Rig::with(settings).await;
    let (acme, beta) = (rig.vhost("acme"), rig.vhost("beta"));
    let web = rig.certificate("/customers/acme/clients/web");

    refused(rig.connect(&web, &beta).await, "NOT_ALLOWED", &acme);
    refused(rig.connect(&web, "%2f").await, "NOT_ALLOWED", &acme);
    assert_eq!(rig.counted("refused_connections", "vhost"), 2);
    refused(
        rig.connect(&rig.certificate("/customers/gone/clients/web"), &acme).await,
        "ACCESS_REFUSED",
        "customer gone",
    );
    refused(
        rig.connect(&rig.certificate("/customers/acme/clients/gone"), &acme).await,
        "ACCESS_REFUSED",
        "spec.clients",
    );
    refused(
        rig.connect(&rig.certificate("/customers/acme/topologies/pages/analyzers/1"), &acme).await,
        "ACCESS_REFUSED",
        "partition 1",
    );
    refused(rig.connect(&rig.certificate("/redirector"), &acme).await, "ACCESS_REFUSED", "nothing to do");
    refused(rig.connect_as(Some(&web), &acme, "db:x", "plain").await, "ACCESS_REFUSED", "db");
    assert!(rig.connect_as(Some(&web), &acme, "web:whatever", "plain").await.is_ok());

    // API keys: only over TLS, only for a client that has one.
    let mut keys = ApiKeys::default();
    keys.insert("acme", "web", Sha256::digest(b"sesame").into());
    rig.door.take_keys(keys);
    let keyed = rig.connect_as(None, &acme, "acme%2Fweb:sesame", "plain").await.unwrap();
    refused(
        rig.connect_as(None, &acme, "acme%2Fweb:simsalabim", "plain").await,
        "ACCESS_REFUSED",
        "key is wrong",
    );
    refused(rig.connect_as(None, &acme, "acme%2Fdb:sesame", "plain").await, "ACCESS_REFUSED", "key is wrong");
    refused(rig.connect_as(None, &beta, "acme%2Fweb:sesame", "plain").await, "NOT_ALLOWED", &acme);
    rig.door.take_keys(ApiKeys::default());
    until("the key's connection to end", || !keyed.status().connected()).await;

    // TLS refuses these before AMQP is spoken.
    let foreign = Authority::generate(&TRUST_DOMAIN.parse().unwrap(), 10 * HOUR, Timestamp::now()).unwrap();
    let path = "/customers/acme/clients/web";
    for (reason, certificate) in [
        ("tls_unknown_authority", issue(&foreign, path, Timestamp::now(), HOUR)),
        ("tls_not_yet_valid", not_yet_valid(&rig)),
    ] {
        assert!(rig.connect(&certificate, &acme).await.is_err());
        until(reason, || rig.counted("refused_connections", reason) == 1).await;
    }
    let short = issue(&rig.authority, path, Timestamp::now(), Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(rig.connect(&short, &acme).await.is_err());
    until("the expired one to be counted", || rig.counted("refused_connections", "tls_expired") == 1).await;

    // Revoked, and denied.
    let machine = rig.certificate("/customers/acme/clients/web/machines/web-1.acme.example");
    let open = [rig.connect(&web, &acme).await.unwrap(), rig.connect(&machine, &acme).await.unwrap()];
    let more = format!(
        "  revoked: [{{serial: \"{}\"}}]\n  enrollment: {{deny: [{{client: web, names: [\"web-*.acme.example\"]}}]}}\n",
        web.serial.to_uppercase()
    );
    rig.lead(&[customer(&rig.region, "acme", &more), customer(&rig.region, "beta", "")]);
    until("both connections to end", || open.iter().all(|connection| !connection.status().connected())).await;
    refused(rig.connect(&web, &acme).await, "ACCESS_REFUSED", "revoked");
    refused(rig.connect(&machine, &acme).await, "ACCESS_REFUSED", "denied");

    // Not AMQP 0-9-1, nothing at all, and nothing after TLS.
    let mut plain = TcpStream::connect(rig.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(5), plain.read_to_end(&mut answer)).await.unwrap().unwrap();
    let mut silent = TcpStream::connect(rig.address).await.unwrap();
    let gone = timeout(Duration::from_secs(10), silent.read_to_end(&mut answer)).await;
    assert!(gone.is_ok(), "one that says nothing is not kept");
    until("slow ones to be counted", || rig.counted("refused_connections", "slow") >= 1).await;
}

fn not_yet_valid(rig: &Rig) -> Certificate {
    issue(&rig.authority, "/customers/acme/clients/web", Timestamp::now() + 2 * HOUR, HOUR)
}
