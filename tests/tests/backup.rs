//! The history is copied through a pipe while it is written, and put back elsewhere: what is open stays open, and nobody is told twice.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

use kinetic_tests::{
    http::metric,
    load::Load,
    process::{Kinetic, binary, eventually, free_port, incidents, kinetic_with_input, run},
};

#[test]
fn a_history_is_put_back_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (resources, first, second, copy) = (path("load.yaml"), path("first"), path("second"), path("copy"));
    fs::write(&resources, include_str!("resources/load.yaml").replace("above: 100", "above: 10")).unwrap();
    let (port, admin, mails) = (free_port(), free_port(), path("mails"));
    let [statsd, listen] = [port, admin].map(|port| format!("127.0.0.1:{port}"));
    let flags = ["--statsd", &statsd, "--admin", &listen, "--mail-dir", mails.to_str().unwrap()];
    let start = |data: &Path| Kinetic::start(run(&resources, data, &flags));
    let kinetic = start(&first);
    let _load = Load::start(port, 50);
    let told = || fs::read_dir(&mails).map_or(0, Iterator::count);
    eventually("an incident, and its mail", || {
        first.join("kinetic.sqlite").exists() && incidents(&first).len() == 1 && told() == 1
    });

    let restore = |data: &Path, copy: &Path| {
        kinetic_with_input(
            ["incidents", "restore", "-", "--data", data.to_str().unwrap()],
            File::open(copy).unwrap(),
        )
    };
    let backup = Command::new(binary())
        .args(["incidents", "backup", "-", "--data"])
        .arg(&first)
        .stdout(File::create(&copy).unwrap())
        .status();
    assert!(backup.unwrap().success());
    assert_eq!(
        fs::read_dir(&first).unwrap().flatten().filter(|f| f.file_name() == "kinetic.sqlite.backup").count(),
        0
    );
    let busy = restore(&first, &copy);
    assert!(!busy.status.success() && busy.stderr.contains("held by another process"), "{}", busy.stderr);
    let none = restore(&second, &resources);
    assert!(!none.status.success() && none.stderr.contains("no copy of a history"), "{}", none.stderr);
    kinetic.interrupt();

    restore(&second, &copy).expect_success();
    assert_eq!(incidents(&second)[0]["state"], "firing");
    let kinetic = start(&second);
    eventually("the same to be found again", || {
        metric(admin, "kinetic_alert_anomalies_total").is_some_and(|taken| taken >= 1.0)
    });
    let (status, said) = kinetic.interrupt();
    assert!(status.success(), "{status}\n{said}");
    assert_eq!((incidents(&second).len(), told()), (1, 1), "nobody is told twice");
}
