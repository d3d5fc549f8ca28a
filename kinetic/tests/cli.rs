//! The command line as a newcomer meets it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Output, Stdio},
};

fn kinetic(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kinetic")).args(args).stdin(Stdio::null()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

#[test]
fn help_names_every_flag_that_others_script_against() {
    let flags: [(&str, &[&str]); 6] = [
        (
            "run",
            &[
                "--file",
                "--data",
                "--statsd",
                "--statsd-tcp",
                "--amqp",
                "--amqp-admin",
                "--smtp",
                "--mail-from",
                "--mail-dir",
                "--admin",
                "--once",
            ],
        ),
        ("validate", &["<PATH>..."]),
        (
            "generate",
            &[
                "<SCENARIO>",
                "--statsd",
                "--amqp",
                "--out",
                "--hosts",
                "--rate",
                "--duration",
                "--seed",
                "--truth",
            ],
        ),
        ("incidents", &["--data", "--json", "--since"]),
        ("analyzer", &["--config"]),
        ("alert", &["--config"]),
    ];
    for (command, flags) in flags {
        let help = kinetic(&[command, "--help"]);
        assert!(help.status.success());
        for flag in flags {
            assert!(stdout(&help).contains(flag), "{command} --help does not name {flag}");
        }
    }
}

#[test]
fn the_examples_are_valid() {
    let output = kinetic(&["validate", &format!("{EXAMPLES}/web-shop"), &format!("{EXAMPLES}/minimal")]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("ok: 2 Customers, 2 Topologies"), "{}", stdout(&output));
}

#[test]
fn validate_tells_every_error_with_its_place_and_fix() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.yaml");
    let text = fs::read_to_string(format!("{EXAMPLES}/web-shop/topology.yaml")).unwrap();
    let broken = text.replacen("deviation:", "deviaton:", 1).replacen("interval: 5s", "interval: five", 1);
    assert_ne!(text, broken);
    fs::write(&file, &broken).unwrap();
    let output = kinetic(&["validate", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    for word in ["deviaton", "interval"] {
        let line =
            broken.lines().position(|l| l.contains(word) && !l.trim_start().starts_with('#')).unwrap() + 1;
        let told = format!("broken.yaml:{line}:");
        assert!(
            said.lines().any(|l| l.contains(&told) && l.contains(word)),
            "no {told} with {word} in\n{said}"
        );
    }
    assert!(said.contains("did you mean") && said.contains("spec.sources[0].interval"), "{said}");
}

#[test]
fn validate_tells_what_can_never_fire() {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in ["customer.yaml", "topology.yaml"]
        .map(|file| (file, fs::read_to_string(format!("{EXAMPLES}/web-shop/{file}")).unwrap()))
    {
        let text = text.replacen("baseline: 1h", "baseline: 15s", 1).replacen("above: 5\n", "below: 0\n", 1);
        let text = text.replacen("statistic: rate ", "statistic: count ", 1).replacen(
            "clearBelow: 2 ",
            "clearAbove: 2 ",
            1,
        );
        fs::write(folder.path().join(file), text).unwrap();
    }
    let output = kinetic(&["validate", folder.path().to_str().unwrap()]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("topology.yaml:")
            && said.contains("analytic errors can never fire: a count is never below 0"),
        "{said}"
    );
}

#[test]
fn run_refuses_what_cannot_work_and_says_what_would() {
    let web_shop = format!("{EXAMPLES}/web-shop");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["--once"], "--statsd -"),
        (&["--once", "--statsd", "127.0.0.1:0"], "use --statsd -"),
        (&["--statsd", "nowhere"], "IP:PORT"),
        (&["--amqp", "amqp://localhost/vhost"], "leave the path out"),
        (&["--amqp-admin", "http://localhost:15672"], "--amqp"),
        (&["--smtp", "ftp://localhost"], "smtp"),
    ];
    for (flags, text) in cases {
        let output = kinetic(&[&["run", "-f", &web_shop, "--data", data], flags].concat());
        assert!(!output.status.success(), "{flags:?}");
        assert!(stderr(&output).contains(text), "{flags:?}: {}", stderr(&output));
    }
    let missing = kinetic(&["run", "-f", "no-such-folder", "--data", data]);
    assert!(!missing.status.success());
    assert!(stderr(&missing).contains("no-such-folder"), "{}", stderr(&missing));
    let none = kinetic(&["incidents", "--data", "no-such-data"]);
    assert!(!none.status.success());
    assert!(stderr(&none).contains("no-such-data"), "{}", stderr(&none));
}

#[test]
fn once_reads_standard_input_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_kinetic"))
        .args(["run", "-f", &format!("{EXAMPLES}/minimal"), "--data", data, "--statsd", "-", "--once"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    run.stdin.take().unwrap().write_all(b"page.home.time:12|ms|#host:web-1|T1767225600\n").unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("0 findings; 0 mails delivered"), "{}", stdout(&output));
    assert_eq!(stdout(&kinetic(&["incidents", "--data", data])).trim(), "no incidents");
    assert_eq!(stdout(&kinetic(&["incidents", "--json", "--data", data])).trim(), "[]");
}

#[test]
fn without_once_standard_input_is_followed_until_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let resources = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/tests/resources/load.yaml");
    let data = folder.path().to_str().unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_kinetic"))
        .args(["run", "-f", resources, "--data", data, "--statsd", "-", "--admin", "off"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = run.stdin.take().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("statsd: standard input")));
    input.write_all(b"host.load:200|g|#host:web-1\n").unwrap();
    assert!(lines.any(|line| line.contains("INCIDENT") && line.contains("web-1's host.load")));
    // It stays though the input has ended: windows go on, and mails.
    drop(input);
    assert!(lines.any(|line| line.contains("MAIL")));
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    assert!(run.wait().unwrap().success());
}
