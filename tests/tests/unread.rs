//! Whoever read what it prints is gone, as a log collector that crashed: it goes on, and stops when asked to.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use kinetic_tests::{
    http::{get, metric},
    process::{binary, eventually, free_port, run},
};

#[test]
fn a_process_that_nobody_reads_goes_on_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (resources, admin) = (folder.path().join("resources.yaml"), free_port());
    fs::write(&resources, include_str!("resources/load.yaml")).unwrap();
    let statsd = format!("127.0.0.1:{}", free_port());
    let at = format!("127.0.0.1:{admin}");
    let flags = ["--statsd", &statsd, "--collectd", "off", "--admin", &at];
    let mut kinetic = Command::new(binary())
        .args(run(&resources, &folder.path().join("data"), &flags))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((kinetic.stdout.take(), kinetic.stderr.take()));
    eventually("it to be ready", || get(admin, "/readyz").is_some_and(|(status, _)| status == 200));
    fs::write(&resources, "kind: Nonsense").unwrap();
    let goes_on =
        || metric(admin, "kinetic_analyzer_windows_closed_total").is_some_and(|closed| closed >= 5.0);
    eventually("windows to close", goes_on);
    Command::new("kill").args(["-TERM", &kinetic.id().to_string()]).status().unwrap();
    let start = Instant::now();
    while kinetic.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_mins(1) {
            kinetic.kill().unwrap();
            panic!("it does not stop");
        }
        sleep(Duration::from_millis(20));
    }
    assert!(kinetic.wait().unwrap().success());
}
