//! A day of noise, end to end: 100 series whose windows are means of 30 normal samples, all defaults, fewer than one incident for the whole set,
//! in groups of 4, 10 and 50 and against their own past.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    path::Path,
    process::{Command, Stdio},
};

use kinetic_tests::process::{binary, incidents, kinetic_with_input};
use serde_json::Value;

/// The incidents of a day of noise, and what `run` printed at its end.
fn a_day(tails: &str) -> (Vec<Value>, String) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let resources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/resources/noise.yaml");
    let mut generate = Command::new(binary())
        .args(["generate", "noise", "--hosts", "100", "--rate", "3", "--duration", "24h", "--seed", "1"])
        .args(["--tails", tails, "--out", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = generate.stdout.take().unwrap();
    let (resources, folder) = (resources.to_str().unwrap(), data.to_str().unwrap());
    let run = ["run", "-f", resources, "--data", folder, "--statsd", "-", "--once"];
    let ended = kinetic_with_input(run, lines).expect_success();
    assert!(generate.wait().unwrap().success());
    (incidents(&data), ended.stdout)
}

#[test]
fn a_day_of_normal_noise_is_quiet() {
    let (incidents, printed) = a_day("normal");
    assert!(printed.contains("findings;"), "{printed}");
    assert!(incidents.is_empty(), "{incidents:#?}");
}
