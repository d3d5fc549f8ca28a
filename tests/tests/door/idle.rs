//! Connections that say nothing, for many of their heartbeats' intervals, and then something. `make soak` has them be silent for five minutes with
//! the usual heartbeat of a minute: `KINETIC_SOAK_IDLE` is that time in seconds.

use std::{thread::sleep, time::Duration};

use kinetic_tests::{collectd::Collectd, peers, process::Kinetic};
use lapin::Confirmation;

use super::{
    life::names,
    own, peers_are_there, program,
    site::{ANALYZER, Setting, Site, WEB},
    unchanged::amqp_plugin,
};

#[test]
fn nobody_is_cut_off_for_silence() {
    if !peers_are_there() {
        return;
    }
    let soak = std::env::var("KINETIC_SOAK_IDLE").ok().map(|seconds| seconds.parse().unwrap());
    let (heartbeat, silence) = soak.map_or((1, 8), |seconds| (60, seconds));
    println!("a heartbeat of {heartbeat} s, silence for {silence} s");
    assert!(silence > 2 * heartbeat, "whoever sends no heartbeats is cut off after two intervals");
    let more = format!("amqp: {{heartbeat: {heartbeat}s}}\n");
    let site = Site::start(&Setting { more: &more, ..Setting::default() });
    let (web, analyzer) = (site.issue(&WEB), site.issue(&ANALYZER));
    let mut clients =
        [
            (
                Kinetic::spawn(&mut site.client(
                    program(peers::python(), "client.py", &["idle", "statsd.web.pika", "own"]),
                    &web,
                )),
                "USR1",
            ),
            (
                Kinetic::spawn(&mut site.client(
                    program(peers::node(), "client.js", &["idle", "statsd.web.amqplib", "own"]),
                    &web,
                )),
                "USR2",
            ),
        ];
    for (client, _) in &mut clients {
        client.wait_for("idle");
    }
    // Knows no heartbeats at all.
    let mut collectd = Collectd::start(&amqp_plugin(&site, &web));
    collectd.command("PUTVAL \"web-1/load/gauge-x\" interval=10 1700000000:1");
    site.wait_for_open(3.0);
    let lapin = site.runtime.block_on(own::connect(&site, &web, &format!("&heartbeat={heartbeat}"))).unwrap();
    let channel = site.runtime.block_on(own::publishing(&lapin)).unwrap();
    let connections = names(&site, 4);

    sleep(Duration::from_secs(silence));

    assert_eq!(names(&site, 4), connections);
    for (client, signal) in &mut clients {
        client.signal(signal);
        client.wait_for("published 1");
    }
    collectd.command("PUTVAL \"web-1/load/gauge-x\" interval=10 1700000010:2");
    collectd.command("FLUSH");
    site.runtime.block_on(async {
        let confirmed = own::publish(&channel, "statsd.web.lapin", b"after all").await.unwrap();
        assert!(matches!(confirmed, Confirmation::Ack(None)), "{confirmed:?}");
        let reader = own::connect(&site, &analyzer, "").await.unwrap();
        let mut messages = own::read_stream(&reader).await;
        let expected = [
            ("collectd.web.web-1", 2),
            ("statsd.web.pika", 1),
            ("statsd.web.amqplib", 1),
            ("statsd.web.lapin", 1),
        ];
        own::read_counts(&mut messages, &expected).await;
    });
    assert_eq!(site.ended("missed_heartbeats"), 0);
    assert_eq!(site.ended("broker_gone"), 0);
}
