//! The clients that people have, the real ones, all at once against one broker: what an analyzer makes of what they send, to the digit.
//!
//! collectd by its amqp plugin (in its three formats, and with rates of its own) and by its network plugin (open, signed, encrypted);
//! statsd with an AMQP backend; pika; amqplib; what Telegraf and Vector write; UDP. `kinetic series` shows what came of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod collectd;
mod expected;
mod others;

use std::{fs, path::Path};

use jiff::Timestamp;
use kinetic_tests::{
    peers,
    process::{Kinetic, free_port, run},
    rabbitmq::RabbitMq,
};

use self::expected::Seen;

const WINDOW_S: i64 = 10;

/// What the clients send to, and the time that they speak of.
struct Place<'a> {
    broker: &'a RabbitMq,
    vhost: &'a str,
    /// Where `kinetic run` takes collectd's packets.
    packets: u16,
    /// Where it takes statsd lines.
    lines: u16,
    /// The beginning of a window, some minutes ago.
    start: i64,
}

#[test]
fn what_real_clients_send_is_understood_to_the_digit() {
    let missing = peers::missing();
    if !missing.is_empty() {
        kinetic_tests::skip(&format!("not installed: {}; run scripts/prerequisites", missing.join(", ")));
        return;
    }
    let broker = RabbitMq::start();
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    fs::write(&users, "# who may send\nsigner: s3cret\ncipher: another: one\n").unwrap();
    let (packets, lines, admin) = (free_port(), free_port(), free_port());
    let resources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/resources.yaml");
    let at = |port: u16| format!("127.0.0.1:{port}");
    let amqp = broker.amqp_url("");
    let mut kinetic = Kinetic::start(run(
        &resources,
        &folder.path().join("data"),
        &[
            "--amqp",
            amqp.trim_end_matches('/'),
            "--amqp-admin",
            &broker.admin_url(),
            "--statsd",
            &at(lines),
            "--statsd-profile",
            "udp",
            "--collectd",
            &at(packets),
            "--collectd-profile",
            "packets",
            "--collectd-auth-file",
            users.to_str().unwrap(),
            "--admin",
            &at(admin),
        ],
    ));
    kinetic.wait_for("watching all");
    let start = (Timestamp::now().as_second() - 600).div_euclid(WINDOW_S) * WINDOW_S;
    let place = Place { broker: &broker, vhost: "test.local.clients", packets, lines, start };
    let collectors = collectd::send(&place);
    let statsds = others::send(&place);

    let seen = Seen::new(admin);
    let mut expected = collectd::expected(&place);
    expected.extend(others::expected(&place));
    for series in &expected {
        seen.check(series);
    }
    seen.check_total("flushes", "stats.counters.orders.count", 5.0);
    seen.check_nothing_else(&expected, &["flushes", "rates"]);
    seen.check_dropped(&[&collectd::DROPPED[..], &others::DROPPED].concat(), "rates");
    drop((collectors, statsds));
    let (status, said) = kinetic.interrupt();
    assert!(status.success(), "{said}");
}
