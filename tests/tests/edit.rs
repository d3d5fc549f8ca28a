//! A Topology edited while Kinetic runs takes effect; a broken edit changes nothing and says why; Ctrl-C ends cleanly.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use kinetic_tests::{
    load::Load,
    process::{Kinetic, eventually, free_port, incidents, run},
};
use serde_json::Value;

#[test]
fn edits_take_effect_and_broken_ones_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let (resources, data) = (folder.path().join("resources.yaml"), folder.path().join("data"));
    let text = include_str!("resources/load.yaml");
    fs::write(&resources, text).unwrap();
    let port = free_port();
    let mut kinetic =
        Kinetic::start(run(&resources, &data, &["--statsd", &format!("127.0.0.1:{port}"), "--admin", "off"]));
    kinetic.wait_for("watching: loaded");
    let load = Load::start(port, 50);
    kinetic.wait_for("1 series");
    assert_eq!(incidents(&data), Vec::<Value>::new(), "50 is not above 100");

    fs::write(&resources, text.replace("above: 100", "above: 10")).unwrap();
    eventually("the edit to take effect", || incidents(&data).len() == 1);
    let open = incidents(&data);
    assert_eq!((&open[0]["state"], &open[0]["origin"]), (&"firing".into(), &"web-1".into()));
    assert_eq!(open[0]["facts"]["threshold"], 10.0);

    fs::write(&resources, text.replace("above: 100", "abov: 60")).unwrap();
    kinetic.wait_for("everything stays as it was");
    let said = kinetic.printed();
    assert!(said.contains("resources.yaml:23") && said.contains("abov"), "{said}");
    load.set(5);
    eventually("the old line, above: 10, to resolve", || incidents(&data)[0]["state"] == "resolved");
    load.set(20);
    eventually("the old line, above: 10, to fire again", || incidents(&data).len() == 2);

    fs::write(&resources, text).unwrap();
    eventually("the repaired file to take effect", || incidents(&data)[1]["state"] == "resolved");

    let (status, said) = kinetic.interrupt();
    assert!(status.success(), "{status}\n{said}");
    drop(load);
}

#[test]
fn a_topology_that_is_removed_resolves_what_fires() {
    let folder = tempfile::tempdir().unwrap();
    let (resources, data) = (folder.path().join("resources.yaml"), folder.path().join("data"));
    let text = include_str!("resources/load.yaml").replace("above: 100", "above: 10");
    fs::write(&resources, &text).unwrap();
    let port = free_port();
    let kinetic =
        Kinetic::start(run(&resources, &data, &["--statsd", &format!("127.0.0.1:{port}"), "--admin", "off"]));
    let _load = Load::start(port, 50);
    eventually("an incident", || data.join("kinetic.sqlite").exists() && incidents(&data).len() == 1);
    fs::write(&resources, text.replace("name: loaded", "name: other")).unwrap();
    eventually("the incident of the analytic that is gone to be over", || {
        incidents(&data).iter().any(|i| i["analytic"] == "loaded" && i["state"] == "resolved")
    });
    let (status, said) = kinetic.interrupt();
    assert!(status.success(), "{status}\n{said}");
}
