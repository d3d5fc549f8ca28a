//! Certificates rotated while messages flow: the front door's, the client's, the broker's, and the authority in its three steps.

use kinetic_tests::{peers, process::eventually};

use super::{
    own::{self, Credentials},
    peers_are_there, program, server,
    site::{ANALYZER, Issued, Setting, Site, WEB},
    steady::{Lapin, Pika, Steady, go_on, nothing_is_missing},
};

#[test]
fn certificates_and_the_authority_are_rotated_and_no_connection_ends() {
    if !peers_are_there() {
        return;
    }
    let site = Site::start(&Setting { more: "amqp: {heartbeat: 5s}\n", ..Setting::default() });
    let first = site.issue(&WEB);
    let former = Credentials::read(&site, &first);
    let lapin = Lapin::start(&site, &first);
    let steady = program(peers::python(), "client.py", &["steady", "statsd.web.pika", "pika"]);
    let pika = Pika::start("pika", &mut site.client(steady, &first));
    let flow = || {
        go_on(&[&lapin, &pika]);
        assert_eq!(
            (lapin.connections(), pika.connections()),
            (1, 1),
            "{:?} {}",
            lapin.lost(),
            pika.printed()
        );
    };
    flow();

    // The front door's, then the client's.
    let door = site.issue_door();
    shows(&site, site.port, &door, "the front door's new certificate");
    flow();
    let second = site.issue(&WEB);
    assert_ne!(first.serial, second.serial);
    publishes(&site, &second);
    flow();

    // A new authority, trusted and not used; everybody has to hear of it before the next step.
    let authority = issuers(&site).pop().unwrap();
    assert_eq!(site.rotate(), 1);
    site.reload_broker();
    flow();
    // Used.
    assert_eq!(site.rotate(), 2);
    let third = site.issue(&WEB);
    accepted(&site, &third, "a client of the new authority");
    let analyzer = site.issue(&ANALYZER);
    let broker = site.issue_broker();
    shows(&site, site.broker.tls_port(), &broker, "the broker's new certificate");
    let door = site.issue_door();
    shows(&site, site.port, &door, "the front door's certificate of the new authority");
    publishes(&site, &third);
    flow();
    // The former one is trusted no longer.
    assert_eq!(site.rotate(), 3);
    site.reload_broker();
    eventually("a client of the former authority to be refused", || {
        let connecting = own::connect_to(
            site.port,
            Credentials { trust: Credentials::read(&site, &third).trust, ..former.clone() },
            "",
        );
        site.runtime.block_on(connecting).is_err()
    });
    publishes(&site, &third);
    flow();

    // Of the broker's connections the publishers' two are as old as they are; a new one is by the new certificate, of the new authority.
    let newest = site.runtime.block_on(own::connect(&site, &third, "")).unwrap();
    eventually("the broker to know the new authority", || {
        let mut issuers = issuers(&site);
        issuers.sort();
        issuers.iter().filter(|issuer| **issuer == authority).count() == 2 && issuers.len() == 3
    });
    let confirmed = (lapin.confirmed(), pika.confirmed());
    assert!(confirmed.0 > 1_000 && confirmed.1 > 1_000, "{confirmed:?}");
    let all = [lapin.stop(&site), pika.stop()];

    // It is by the third certificate that the new one came in: taken out by its serial number, it ends.
    assert!(newest.status().connected());
    site.change_customer(&format!("  revoked: [{{serial: \"{}\", reason: lost}}]\n", third.serial));
    eventually("the connection by the revoked certificate to end", || !newest.status().connected());
    assert_eq!(site.ended("revoked"), 1);
    nothing_is_missing(&site, &analyzer, &all);
}

/// Waits until new connections to a port meet this certificate.
fn shows(site: &Site, port: u16, issued: &Issued, what: &str) {
    // To the broker as the front door: any certificate of the authority will do.
    let who = Credentials::read(site, issued);
    let mut last = None;
    eventually(what, || {
        last = Some(server::serial(port, &who));
        matches!(&last, Some(Ok(serial)) if *serial == issued.serial)
    });
}

fn accepted(site: &Site, who: &Issued, what: &str) {
    eventually(what, || site.runtime.block_on(own::connect(site, who, "")).is_ok());
}

/// A new connection, both legs of it, takes a message.
fn publishes(site: &Site, who: &Issued) {
    site.runtime.block_on(async {
        let connection = own::connect(site, who, "").await.unwrap();
        let channel = own::publishing(&connection).await.unwrap();
        own::publish(&channel, "statsd.web.new", b"new").await.unwrap();
        connection.close(200, "".into()).await.unwrap();
    });
}

/// Who issued what the front door shows to the broker, connection by connection.
fn issuers(site: &Site) -> Vec<String> {
    let mut issuers = Vec::new();
    eventually("the broker to list the connections", || {
        let connections = site.broker_connections();
        issuers =
            connections.iter().filter_map(|c| c["peer_cert_issuer"].as_str().map(str::to_owned)).collect();
        issuers.len() >= 2 && issuers.len() == connections.len()
    });
    issuers
}
