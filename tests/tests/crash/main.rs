//! What an analyzer goes through besides being killed: its stream deleted, trimmed; its checkpoint lost, damaged; another analyzer of the
//! same partition, another number of partitions. Each ends as DESIGN.md says ("Time, and what survives a crash"), and nobody is told twice.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod feed;
mod site;

use std::fs;

use kinetic_tests::{process::eventually, rabbitmq::RabbitMq};

use crate::site::{STREAM, Site, damage};

#[test]
fn each_loss_ends_as_designed() {
    let broker = RabbitMq::start();
    a_crash_and_a_lost_or_damaged_checkpoint_tell_nobody_twice(&broker);
    a_stream_that_is_made_anew_is_read_from_its_beginning(&broker);
    a_stream_that_was_trimmed_is_read_on(&broker);
    one_of_two_analyzers_stands_by(&broker);
    another_number_of_analyzers_goes_on(&broker);
}

fn a_crash_and_a_lost_or_damaged_checkpoint_tell_nobody_twice(broker: &RabbitMq) {
    let site = Site::new(broker, "losses");
    let (analyzer, _alert) = (site.analyzer("data", &[]), site.alert());
    analyzer.wait_until_ready();
    let feed = site.feed(500);
    site.expect(1, 1);
    assert!(analyzer.metric("kinetic_analyzer_duplicate_messages_total") > 0.0);
    eventually("a checkpoint", || analyzer.metric("kinetic_checkpoint_saved_timestamp_seconds") > 0.0);
    feed.set(5);
    site.expect(1, 0);
    feed.set(500);
    site.expect(2, 1);

    // Killed: the checkpoint is from before the second incident.
    analyzer.kill();
    let analyzer = site.analyzer("data", &[]);
    eventually("it to resume", || analyzer.process.printed().contains("resumed from the checkpoint"));
    analyzer.wait_until_ready();
    site.expect(2, 1);

    // The checkpoint is lost.
    analyzer.stop();
    fs::remove_file(site.checkpoint("data")).unwrap();
    let analyzer = site.analyzer("data", &[]);
    analyzer.wait_until_ready();
    feed.set(5);
    site.expect(2, 0);
    feed.set(500);
    site.expect(3, 1);

    // It is damaged, here and there.
    let mut analyzer = analyzer;
    for seed in 0..4 {
        analyzer.stop();
        damage(&site.checkpoint("data"), seed);
        analyzer = site.analyzer("data", &[]);
        analyzer.wait_for_condition("CheckpointSetAside");
        analyzer.wait_until_ready();
        site.expect(3, 1);
    }
    let damaged =
        |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "damaged");
    assert_eq!(site.checkpoints("data").iter().filter(|path| damaged(path)).count(), 1, "the last is kept");
    feed.set(5);
    site.expect(3, 0);
    analyzer.stop();
}

fn a_stream_that_is_made_anew_is_read_from_its_beginning(broker: &RabbitMq) {
    let site = Site::new(broker, "anew");
    let (analyzer, _alert) = (site.analyzer("data", &[]), site.alert());
    analyzer.wait_until_ready();
    let feed = site.feed(500);
    site.expect(1, 1);
    analyzer.stop();
    site.broker.ctl(&["delete_queue", "-p", &site.vhost, STREAM]);

    // What was firing still is: the incident stays the one that it was.
    let analyzer = site.analyzer("data", &[]);
    analyzer.wait_for_condition("StreamMadeAnew");
    analyzer.wait_for_condition("CheckpointSetAside");
    analyzer.wait_until_ready();
    feed.set(5);
    site.expect(1, 0);

    // Under its hands, by someone who declares it again at once.
    feed.set(500);
    site.expect(2, 1);
    site.broker.ctl(&["delete_queue", "-p", &site.vhost, STREAM]);
    eventually("the analyzer to notice", || analyzer.process.printed().contains("made anew"));
    feed.set(5);
    site.expect(2, 0);
    analyzer.stop();
}

fn a_stream_that_was_trimmed_is_read_on(broker: &RabbitMq) {
    let site = Site::new(broker, "trimmed");
    let text = fs::read_to_string(site.path("resources.yaml")).unwrap();
    site.write(
        &text.replace("origin: {tag: host}", "retention: {age: 24h, size: 32Mi}, origin: {tag: host}"),
    );
    let (analyzer, _alert) = (site.analyzer("data", &[]), site.alert());
    analyzer.wait_until_ready();
    let feed = site.feed(500);
    site.expect(1, 1);
    analyzer.stop();

    let keep = r#"{"max-length-bytes": 1000000}"#;
    broker.ctl(&["set_policy", "-p", &site.vhost, "--apply-to", "queues", "small", "^kinetic.metrics", keep]);
    let filler = format!(
        r#"{{"properties": {{}}, "routing_key": "statsd.web.web-1", "payload": "{}", "payload_encoding": "string"}}"#,
        "#".repeat(100_000)
    );
    for _ in 0..50 {
        broker.http("POST", &format!("/api/exchanges/{}/kinetic.metrics/publish", site.vhost), &filler);
    }
    let analyzer = site.analyzer("data", &[]);
    analyzer.wait_for_condition("DataLost");
    analyzer.wait_until_ready();
    site.expect(1, 1);
    feed.set(5);
    site.expect(1, 0);
    analyzer.stop();
}

fn one_of_two_analyzers_stands_by(broker: &RabbitMq) {
    let site = Site::new(broker, "two");
    let (first, _alert) = (site.analyzer("first", &[]), site.alert());
    first.wait_until_ready();
    let feed = site.feed(500);
    site.expect(1, 1);
    let second = site.analyzer("second", &[]);
    eventually("the second to stand by", || {
        second.ready().is_some_and(|(status, why)| status == 503 && why.contains("standby"))
    });
    first.kill();
    second.wait_until_ready();
    feed.set(5);
    site.expect(1, 0);

    // The first comes back, and stands by in its turn.
    let first = site.analyzer("first", &[]);
    eventually("the first to stand by", || first.ready().is_some_and(|(_, why)| why.contains("standby")));
    second.stop();
    first.wait_until_ready();
    feed.set(500);
    site.expect(2, 1);
    first.stop();
}

fn another_number_of_analyzers_goes_on(broker: &RabbitMq) {
    let site = Site::new(broker, "shared");
    let (analyzer, _alert) = (site.analyzer("data", &[]), site.alert());
    analyzer.wait_until_ready();
    let feed = site.feed(500);
    site.expect(1, 1);

    // While it runs.
    site.share(3);
    eventually("the third of three", || analyzer.process.printed().contains("2 of 3"));
    analyzer.wait_until_ready();
    feed.set(5);
    site.expect(1, 0);
    feed.set(500);
    site.expect(2, 1);

    // While it does not; and what fired is out of the stream's memory.
    analyzer.stop();
    site.share(2);
    let analyzer = site.analyzer("data", &[]);
    analyzer.wait_for_condition("CheckpointSetAside");
    analyzer.wait_until_ready();
    site.expect(2, 1);
    analyzer.stop();

    // One process a partition, each with a folder of its own.
    let halves =
        [site.analyzer("left", &["--partition", "0"]), site.analyzer("right", &["--partition", "1"])];
    halves.iter().for_each(site::Analyzer::wait_until_ready);
    feed.set(5);
    site.expect(2, 0);
    for half in halves {
        half.stop();
    }
}
