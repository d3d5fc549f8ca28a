//! Files change: new connections follow, open ones stay.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kinetic_pki::{ClientAuth, Files, Server, Subject, TlsMetrics};
use prometheus_client::{encoding::text::encode, registry::Registry};

use crate::{
    files::{Holder, authority, issue, web},
    handshake::meet,
};

/// Waits until this holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The value of the line of `/metrics` that begins so.
fn metric(registry: &Registry, begins: &str) -> Option<f64> {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    let line = text.lines().find(|line| line.starts_with(begins))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn new_connections_have_the_new_certificate_and_open_ones_go_on() {
    let authority = authority();
    let (door, web) = (Holder::of(&authority, Subject::Redirector), Holder::of(&authority, web()));
    let (server, client) = (door.server(ClientAuth::Required), web.client());
    let mut open = meet(server.config(), client.config()).await.unwrap();

    let (before_server, before_client) = (server.config(), client.config());
    for (holder, subject) in [(&door, Subject::Redirector), (&web, crate::files::web())] {
        let (certificate, key) = issue(&authority, subject, Timestamp::now());
        holder.write("tls.crt", &certificate);
        holder.write("tls.key", &key);
    }
    until("a reload of both", || {
        !Arc::ptr_eq(&before_server, &server.config()) && !Arc::ptr_eq(&before_client, &client.config())
    })
    .await;

    let mut new = meet(server.config(), client.config()).await.unwrap();
    new.talk().await.unwrap();
    open.talk().await.unwrap();
    assert_ne!(new.seen_by_client().serial, open.seen_by_client().serial);
    assert_ne!(new.seen_by_server().unwrap().serial, open.seen_by_server().unwrap().serial);
}

#[tokio::test]
async fn an_authority_is_trusted_first_used_later_and_removed_last() {
    let (old, new) = (authority(), authority());
    let door = Holder::of(&old, Subject::Redirector);
    let server = door.server(ClientAuth::Required);
    let both = format!("{}{}", old.certificate(), new.certificate());
    let now = Timestamp::now();
    let of_old = Holder::new(issue(&old, web(), now), &both).client();
    let of_new = Holder::new(issue(&new, web(), now), &both).client();

    meet(server.config(), of_old.config()).await.unwrap();
    assert!(meet(server.config(), of_new.config()).await.is_err());

    let before = server.config();
    door.write("ca.crt", &both);
    until("the second authority's arrival", || !Arc::ptr_eq(&before, &server.config())).await;
    for client in [&of_old, &of_new] {
        meet(server.config(), client.config()).await.unwrap().talk().await.unwrap();
    }

    let before = server.config();
    door.write("ca.crt", new.certificate());
    until("the first authority's end", || !Arc::ptr_eq(&before, &server.config())).await;
    meet(server.config(), of_new.config()).await.unwrap();
    assert!(meet(server.config(), of_old.config()).await.is_err());
}

#[tokio::test]
async fn what_is_half_written_changes_nothing() {
    let authority = authority();
    let (door, web) = (Holder::of(&authority, Subject::Redirector), Holder::of(&authority, web()));
    let (metrics, mut registry) = (TlsMetrics::default(), Registry::default());
    metrics.register(&mut registry);
    let server = Server::watch(door.files(), ClientAuth::Required, &metrics).unwrap();
    let client = web.client();
    let file = door.files().certificate.display().to_string();
    let refused = format!("kinetic_tls_reloads_total{{file=\"{file}\",result=\"refused\"}}");
    let applied = format!("kinetic_tls_reloads_total{{file=\"{file}\",result=\"applied\"}}");
    let end = format!("kinetic_tls_certificate_not_after_timestamp_seconds{{file=\"{file}\"}}");

    let first = server.config();
    let ends = metric(&registry, &end).unwrap();
    let later = Timestamp::now() + jiff::SignedDuration::from_secs(5);
    let (certificate, key) = issue(&authority, Subject::Redirector, later);
    door.write("tls.crt", &certificate);
    until("a refusal", || metric(&registry, &refused) == Some(1.0)).await;
    assert!(Arc::ptr_eq(&first, &server.config()));
    assert_eq!(metric(&registry, &end), Some(ends));
    meet(server.config(), client.config()).await.unwrap().talk().await.unwrap();

    door.write("tls.key", &key);
    until("the other half", || metric(&registry, &applied) == Some(1.0)).await;
    assert!(!Arc::ptr_eq(&first, &server.config()));
    assert_eq!(metric(&registry, &refused), Some(1.0));
    assert!(metric(&registry, &end).unwrap() >= ends + 5.0);

    fs::remove_file(door.files().trust).unwrap();
    until("a refusal of nothing", || metric(&registry, &refused) == Some(2.0)).await;
    meet(server.config(), client.config()).await.unwrap().talk().await.unwrap();
}

/// A mounted Secret: each file is a link into `..data`, itself a link to a folder of the version, which is renamed over.
#[tokio::test]
async fn a_kubernetes_volume_is_followed() {
    let authority = authority();
    let web = Holder::of(&authority, web());
    let volume = tempfile::tempdir().unwrap();
    let version = |name: &str| {
        let holder = Holder::of(&authority, Subject::Redirector);
        fs::create_dir(volume.path().join(name)).unwrap();
        for file in ["tls.crt", "tls.key", "ca.crt"] {
            fs::copy(holder.path().join(file), volume.path().join(name).join(file)).unwrap();
        }
        symlink(name, volume.path().join("..data_tmp")).unwrap();
        fs::rename(volume.path().join("..data_tmp"), volume.path().join("..data")).unwrap();
    };
    version("..2026_11_21_1");
    for file in ["tls.crt", "tls.key", "ca.crt"] {
        symlink(format!("..data/{file}"), volume.path().join(file)).unwrap();
    }
    let at = |name: &str| volume.path().join(name);
    let files = Files { certificate: at("tls.crt"), key: at("tls.key"), trust: at("ca.crt") };
    let server = Server::watch(files, ClientAuth::Required, &TlsMetrics::default()).unwrap();
    let open = meet(server.config(), web.client().config()).await.unwrap();

    let before = server.config();
    version("..2026_11_21_2");
    fs::remove_dir_all(volume.path().join("..2026_11_21_1")).unwrap();
    until("the new version", || !Arc::ptr_eq(&before, &server.config())).await;
    let new = meet(server.config(), web.client().config()).await.unwrap();
    assert_ne!(new.seen_by_client().serial, open.seen_by_client().serial);
}

#[test]
fn what_is_wrong_at_the_start_is_an_error() {
    let authority = authority();
    let (door, other) =
        (Holder::of(&authority, Subject::Redirector), Holder::of(&authority, Subject::Redirector));
    let mixed = Files { key: other.files().key, ..door.files() };
    let error = Server::watch(mixed, ClientAuth::Required, &TlsMetrics::default()).err().unwrap().to_string();
    assert!(error.contains("tls.key: this key does not belong to the first certificate in"), "{error}");
    let missing = Files { trust: door.path().join("no.crt"), ..door.files() };
    let error =
        Server::watch(missing, ClientAuth::Required, &TlsMetrics::default()).err().unwrap().to_string();
    assert!(error.contains("no.crt"), "{error}");
}
