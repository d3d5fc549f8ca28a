//! No room for checkpoints: said once and counted, and everything else goes on.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, os::unix::fs::symlink};

use kinetic_tests::{
    http::metric,
    load::Load,
    process::{Kinetic, eventually, free_port, incidents, run},
};

#[test]
fn what_is_wrong_is_found_though_no_checkpoint_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let (resources, data) = (folder.path().join("resources.yaml"), folder.path().join("data"));
    fs::write(&resources, include_str!("resources/load.yaml")).unwrap();
    // Where the next checkpoint is written until it is whole: a file to which every write says that the disk is full.
    let checkpoints = data.join("checkpoints");
    fs::create_dir_all(&checkpoints).unwrap();
    let next = checkpoints.join("shop.web.hosts.0of1.new");
    symlink("/dev/full", &next).unwrap();

    let (statsd, admin) = (free_port(), free_port());
    let mut kinetic = Kinetic::start(run(
        &resources,
        &data,
        &[
            "--statsd",
            &format!("127.0.0.1:{statsd}"),
            "--collectd",
            "off",
            "--admin",
            &format!("127.0.0.1:{admin}"),
        ],
    ));
    kinetic.wait_for("watching: loaded");
    let load = Load::start(statsd, 5);
    let failures = || metric(admin, "kinetic_checkpoint_failures_total").unwrap_or(0.0);
    eventually("a checkpoint to fail", || failures() >= 1.0);
    kinetic.wait_for("Is the disk full");
    load.set(500);
    eventually("the incident", || incidents(&data).len() == 1);
    assert!(!checkpoints.join("shop.web.hosts.0of1.checkpoint").exists());

    fs::remove_file(&next).unwrap();
    eventually("a checkpoint", || checkpoints.join("shop.web.hosts.0of1.checkpoint").exists());
    let failed = failures();
    load.set(5);
    eventually("the incident to be over", || incidents(&data)[0]["state"] == "resolved");
    assert!((failures() - failed).abs() < 0.5, "there is room again");
    drop(load);
    let (status, said) = kinetic.interrupt();
    assert!(status.success(), "{status}\n{said}");
}
