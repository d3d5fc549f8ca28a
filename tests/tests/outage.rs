//! The broker stopped and started under a running Kinetic: it is a state, not a crash, and what comes after is found.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use kinetic_tests::{
    load::Load,
    process::{self, Kinetic, eventually, free_port, incidents, run},
    rabbitmq::RabbitMq,
};
use serde_json::Value;

#[test]
fn a_broker_that_comes_back_is_used_again() {
    let broker = RabbitMq::start();
    let url = broker.amqp_url("");
    let folder = tempfile::tempdir().unwrap();
    let (resources, data) = (folder.path().join("resources.yaml"), folder.path().join("data"));
    fs::write(&resources, include_str!("resources/load.yaml")).unwrap();
    let port = free_port();
    let args = |more: &[&str]| {
        let statsd = format!("127.0.0.1:{port}");
        let usual = ["--statsd", &statsd, "--admin", "off", "--amqp", url.trim_end_matches('/')];
        run(&resources, &data, &[&usual, more].concat())
    };

    // Without an administrator the vhost must exist: the error says how.
    let refused = process::kinetic(args(&[]));
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("rabbitmqctl add_vhost test.local.shop"), "{}", refused.stderr);

    let mut kinetic = Kinetic::start(args(&["--amqp-admin", &broker.admin_url()]));
    kinetic.wait_for("watching: loaded");
    let load = Load::start(port, 500);
    eventually("the first incident", || data.join("kinetic.sqlite").exists() && incidents(&data).len() == 1);

    broker.stop();
    load.set(5);
    broker.start_again();
    eventually("the first incident to be over", || incidents(&data)[0]["state"] == "resolved");
    broker.kill9();
    load.set(500);
    broker.start_again();
    eventually("the second incident", || incidents(&data).len() == 2);
    assert!(kinetic.is_running());

    // A restart reads the stream again: the same findings, the same incidents, nobody told twice.
    let (status, said) = kinetic.interrupt();
    assert!(status.success(), "{status}\n{said}");
    let before = incidents(&data);
    let mut again = Kinetic::start(args(&["--amqp-admin", &broker.admin_url()]));
    again.wait_for("watching: loaded");
    load.set(5);
    eventually("the second incident to be over", || incidents(&data)[1]["state"] == "resolved");
    let after = incidents(&data);
    assert_eq!(after.len(), 2, "{after:#?}");
    assert_eq!(before[0], after[0], "what was over stays as it was");
    let told = |incident: &Value| {
        incident["notifications"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|n| n["reason"] == "FirstNotification")
            .count()
    };
    assert!(after.iter().all(|i| told(i) == 1), "{after:#?}");
    let (status, said) = again.interrupt();
    assert!(status.success(), "{status}\n{said}");
}

#[test]
fn a_broker_that_never_was_is_waited_for_but_holds_up_no_stop() {
    let folder = tempfile::tempdir().unwrap();
    let resources = folder.path().join("resources.yaml");
    fs::write(&resources, include_str!("resources/load.yaml")).unwrap();
    let mut kinetic = Kinetic::start(run(
        &resources,
        &folder.path().join("data"),
        &[
            "--statsd",
            &format!("127.0.0.1:{}", free_port()),
            "--admin",
            "off",
            "--amqp",
            &format!("amqp://127.0.0.1:{}", free_port()),
        ],
    ));
    kinetic.wait_for("it is tried again for ever");
    kinetic.wait_for("kinetic is running");
    let (status, said) = kinetic.interrupt();
    assert!(status.success(), "{status}\n{said}");
    assert!(said.contains("Connection refused"), "{said}");
    assert!(!said.contains("not everything ended in time") && !said.contains("ERROR"), "{said}");
}
