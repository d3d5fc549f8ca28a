//! How long connections live: as long as both ends do, whether they send heartbeats, are read, or are held up.

use std::{thread::sleep, time::Duration};

use futures_util::future::join_all;
use kinetic_api::names::ANOMALIES_QUEUE;
use kinetic_tests::{
    collectd::Collectd,
    peers,
    process::{Kinetic, eventually},
};
use lapin::{Confirmation, Connection};

use super::{
    own, peers_are_there, program,
    site::{ALERT, ANALYZER, STREAM, Setting, Site, WEB},
    unchanged::{amqp_plugin, amqp_tool},
};

/// Many of the heartbeats' intervals, which is two seconds here.
const MANY_INTERVALS: Duration = Duration::from_secs(16);
const SOME_INTERVALS: Duration = Duration::from_secs(10);

#[test]
fn who_lives_stays_and_who_is_silent_goes() {
    if !peers_are_there() {
        return;
    }
    let site = Site::start(&Setting {
        more: "amqp: {heartbeat: 2s}\n",
        customer: "  limits: {messagesPerSecond: 100}\n",
        ..Setting::default()
    });
    let (web, analyzer, alert) = (site.issue(&WEB), site.issue(&ANALYZER), site.issue(&ALERT));
    let python = |arguments: &[&str]| {
        Kinetic::spawn(&mut site.client(program(peers::python(), "client.py", arguments), &web))
    };
    let node = |arguments: &[&str], who| {
        Kinetic::spawn(&mut site.client(program(peers::node(), "client.js", arguments), who))
    };

    let mut clients = [
        (python(&["idle", "statsd.web.pika", "own"]), "USR1"),
        // Agrees to none: amqplib and lapin would take the front door's.
        (python(&["idle", "statsd.web.silent", "0"]), "USR1"),
        (node(&["idle", "statsd.web.amqplib", "own"], &web), "USR2"),
    ];
    for (client, _) in &mut clients {
        client.wait_for("idle");
    }
    let mut collectd = Collectd::start(&amqp_plugin(&site, &web));
    collectd.command("PUTVAL \"web-1/load/gauge-x\" interval=10 1700000000:1");
    site.wait_for_open(4.0);
    let mut consumer = Kinetic::spawn(&mut amqp_tool(
        &site,
        "amqp-consume",
        &alert,
        "alert",
        &["--queue", ANOMALIES_QUEUE, "--count", "1", "cat"],
    ));
    let lapin = site.runtime.block_on(own::connect(&site, &web, "")).unwrap();
    // Reads nothing of forty megabytes.
    site.runtime.block_on(async {
        let channel = own::publishing(&lapin).await.unwrap();
        for _ in 0..8 {
            own::publish(&channel, "statsd.web.large", &vec![b'l'; 5_000_000]).await.unwrap();
        }
    });
    let mut stalled = node(&["stall", STREAM, "statsd.web.large", "8"], &analyzer);
    stalled.wait_for("stalled");
    // Is over its customer's pace for half a minute.
    let fast = site.runtime.block_on(own::connect(&site, &web, "")).unwrap();
    let over_its_pace = site.runtime.spawn(publish_at_once(fast, 3_000));
    site.wait_for_open(8.0);
    let connections = names(&site, 8);

    sleep(MANY_INTERVALS);
    // No longer: what RabbitMQ itself cannot send for 30 s (`tcp_listen_options.send_timeout`) ends a connection without a front door, too.
    stalled.signal("USR2");
    stalled.wait_for("read 8");
    sleep(MANY_INTERVALS);
    assert_eq!(names(&site, 8), connections);
    let fast = site.runtime.block_on(over_its_pace).unwrap();
    assert!(fast.status().connected() && lapin.status().connected());
    for (client, signal) in &mut clients {
        client.signal(signal);
        client.wait_for("published 1");
    }
    collectd.command("PUTVAL \"web-1/load/gauge-x\" interval=10 1700000010:2");
    collectd.command("FLUSH");
    site.runtime.block_on(async {
        let reader = own::connect(&site, &analyzer, "").await.unwrap();
        let mut messages = own::read_stream(&reader).await;
        let expected = [("statsd.web.fast", 3_000), ("collectd.web.web-1", 2), ("statsd.web.silent", 1)];
        own::read_counts(&mut messages, &expected).await;
        let anomaly = own::connect(&site, &analyzer, "").await.unwrap().create_channel().await.unwrap();
        let (exchange, options) =
            ("kinetic.anomalies".into(), lapin::options::BasicPublishOptions::default());
        anomaly
            .basic_publish(
                exchange,
                "pages.slow".into(),
                options,
                b"found",
                lapin::BasicProperties::default(),
            )
            .await
            .unwrap();
        let (status, said) = consumer.wait();
        assert!(status.success() && said.trim_end() == "found", "{status} {said}");
        reader.close(200, "".into()).await.unwrap();
    });

    the_broker_blocks_publishers(&site, &lapin, &mut clients);
    assert_eq!(site.ended("missed_heartbeats"), 0);
    assert_eq!(site.ended("broker_gone"), 0);

    // Stopped, not ended: its connection would stay for ever.
    let (silent, _) = &mut clients[0];
    silent.signal("STOP");
    eventually("the silent client's connection to be ended", || site.ended("missed_heartbeats") == 1);
    silent.signal("CONT");
    let (status, said) = silent.wait();
    assert!(!status.success(), "{said}");
    for (client, _) in &mut clients[1..] {
        client.signal("TERM");
        let (status, said) = client.wait();
        assert!(status.success() && said.ends_with("closed\n"), "{status} {said}");
    }
}

/// An alarm of the broker's memory reaches clients, costs no connection, and what was published meanwhile is confirmed afterwards.
fn the_broker_blocks_publishers(site: &Site, lapin: &Connection, clients: &mut [(Kinetic, &str)]) {
    site.broker.ctl(&["set_vm_memory_high_watermark", "0.00001"]);
    for (client, signal) in &mut *clients {
        client.signal(signal);
    }
    let channel = site.runtime.block_on(own::publishing(lapin)).unwrap();
    let held = site.runtime.spawn(async move { own::publish(&channel, "statsd.web.held", b"held").await });
    eventually("lapin to be told", || lapin.status().blocked());
    clients[2].0.wait_for("blocked");
    sleep(SOME_INTERVALS);
    assert!(!held.is_finished(), "{:?}", site.runtime.block_on(held));
    site.broker.ctl(&["set_vm_memory_high_watermark", "0.6"]);
    assert!(matches!(site.runtime.block_on(held).unwrap(), Ok(Confirmation::Ack(None))));
    eventually("lapin to be told that it is over", || !lapin.status().blocked());
    for (client, _) in clients {
        client.wait_for("published 2");
        client.wait_for("unblocked");
    }
}

/// All at once, as far as the front door reads; and waits for all confirms.
async fn publish_at_once(connection: Connection, number: usize) -> Connection {
    let channel = own::publishing(&connection).await.unwrap();
    let published =
        join_all((0..number).map(|_| own::publish(&channel, "statsd.web.fast", &[b'f'; 1_000]))).await;
    assert!(published.iter().all(|confirmed| matches!(confirmed, Ok(Confirmation::Ack(None)))));
    connection
}

/// The broker's connections: each has another port.
pub(crate) fn names(site: &Site, number: usize) -> Vec<String> {
    let mut names = Vec::new();
    eventually(&format!("the broker to list {number} connections"), || {
        names = site.broker_connections().iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect();
        names.len() == number
    });
    names.sort();
    names
}
