//! `kinetic arc` changes what analyzers watch for while they run: over RabbitMQ and at an admin address, piped and at a terminal.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use kinetic_tests::{
    feeds::Feeds,
    process::{Ended, Kinetic, binary, eventually, free_port, incidents, kinetic_with_input, run},
    rabbitmq::RabbitMq,
};
use serde_json::Value;

const HOSTS: &str = include_str!("resources/hosts.yaml");
const VHOST: &str = "test.local.shop";

/// Pipes lines into `kinetic arc`.
fn arc(folder: &Path, args: &[&str], lines: &str) -> Ended {
    let input = folder.join("arc-input");
    fs::write(&input, lines).unwrap();
    kinetic_with_input([&["arc"], args].concat(), File::open(input).unwrap())
}

/// The states of the incidents so far, oldest first.
fn states(data: &Path) -> Vec<String> {
    if !data.join("kinetic.sqlite").exists() {
        return Vec::new();
    }
    let text = |incident: &Value| incident["state"].as_str().unwrap().to_owned();
    incidents(data).iter().map(text).collect()
}

fn objects(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn over_a_broker_what_is_watched_for_changes_while_it_runs() {
    let broker = RabbitMq::start();
    broker.add_vhost(VHOST);
    let folder = tempfile::tempdir().unwrap();
    let (resources, data) = (folder.path().join("resources.yaml"), folder.path().join("data"));
    fs::write(&resources, HOSTS).unwrap();
    let port = free_port();
    let start = || {
        Kinetic::start(run(
            &resources,
            &data,
            &[
                "--statsd",
                &format!("127.0.0.1:{port}"),
                "--admin",
                "off",
                "--amqp",
                broker.amqp_url("").trim_end_matches('/'),
            ],
        ))
    };
    let host = broker.amqp_url(VHOST);
    let web = format!("{host}/web");
    let ask = |lines: &str| arc(folder.path(), &[&web], lines);
    let reads = |text: &str| ask("/read\n").stdout.contains(text);

    let kinetic = start();
    let _feeds = Feeds::start(port);
    eventually("the slow host to be found", || states(&data) == ["firing"]);
    let read = ask("/read\n").expect_success();
    assert!(read.stdout.starts_with("web.0  ok\n"), "{}", read.stdout);
    assert!(read.stdout.contains("\n  slow.deviation: 2.0\n"), "{}", read.stdout);
    assert!(read.stdout.contains("\n  hosts.lateness: 500ms\n"), "{}", read.stdout);

    let update = ask("/update slow.deviation: 6\n").expect_success();
    let lines: Vec<_> = update.stdout.lines().collect();
    assert!(lines[0].contains("web.0  slow.deviation: 2.0 → 6.0  (update by "), "{lines:?}");
    assert_eq!(lines[1..], ["web.0  ok", "  slow.deviation: 6.0  (the Topology has 2.0)"]);
    eventually("what fired to resolve", || states(&data) == ["resolved"]);

    let refused = ask("/update {slow.deviation: 3, slow.deviaton: 4}\n/update slow.minFeeds: 2\n/rea\n");
    assert!(!refused.status.success());
    for text in [
        "web.0  refused, nothing was changed\n",
        "  slow.deviaton: there is no such key; did you mean slow.deviation?\n",
        "  slow.minFeeds: 2 is less than 3; use 3 or more\n",
        "`/rea` is no command",
    ] {
        assert!(refused.stdout.contains(text), "{text}\n{}", refused.stdout);
    }

    let (status, said) = kinetic.interrupt();
    assert!(status.success(), "{said}");
    let absent = ask("/read\n");
    assert!(!absent.status.success() && absent.stdout == "web  is not there\n", "{absent:?}");
    let mut kinetic = start();
    eventually("the override to survive the restart", || {
        reads("slow.deviation: 6.0  (the Topology has 2.0)")
    });
    kinetic.wait_for("overridden keys: 1");

    let all = arc(folder.path(), &[&host, "--all", "--expect", "2", "--json"], "/read\n").expect_success();
    let answers = objects(&all);
    let topologies: Vec<_> =
        answers.iter().map(|line| line["answer"]["topology"].as_str().unwrap()).collect();
    assert_eq!(topologies, ["db", "web"]);
    assert_eq!(answers[1]["answer"]["overridden"]["slow.deviation"], 2.0);
    let all = arc(folder.path(), &[&host, "--all", "--timeout", "2s", "--expect", "3", "--json"], "/read\n");
    assert!(!all.status.success(), "{}", all.stdout);
    assert_eq!(objects(&all).last().unwrap()["error"], "2 of 3 analyzers have answered");
    let one = arc(folder.path(), &[&format!("{host}/web.7")], "/delete\n");
    assert!(!one.status.success() && one.stdout == "web.7  is not there\n", "{one:?}");

    // All at once: what one has, the other refuses; each answers for itself.
    let all = arc(folder.path(), &[&host, "--all", "--expect", "2"], "/update full.above: 95\n");
    assert!(!all.status.success());
    assert!(all.stdout.contains("db.0  ok\n  full.above: 95.0  (the Topology has 90.0)\n"), "{}", all.stdout);
    assert!(all.stdout.contains("web.0  refused, nothing was changed\n"), "{}", all.stdout);

    fs::write(&resources, HOSTS.replace("deviation: 2", "deviation: 2.5")).unwrap();
    eventually("the edit to end the override", || reads("slow.deviation: 2.5\n"));
    assert!(reads("nothing is overridden"), "{}", ask("/read\n").stdout);
    eventually("the slow host to be found again", || states(&data) == ["resolved", "firing"]);

    ask("/update slow.deviation: 6\n").expect_success();
    eventually("what fired to resolve again", || states(&data) == ["resolved", "resolved"]);
    broker.ctl(&["close_all_connections", "-p", VHOST, "test"]);
    eventually("the analyzer to be there again", || reads("slow.deviation: 6.0"));
    let restored = ask("/delete slow.deviation\n").expect_success();
    assert!(restored.stdout.ends_with("web.0  ok\n  nothing is overridden\n"), "{}", restored.stdout);
    eventually("the Topology's line to hold again", || states(&data) == ["resolved", "resolved", "firing"]);

    at_a_terminal(&web, &ask);
    let (status, said) = kinetic.interrupt();
    assert!(status.success(), "{said}");
}

/// util-linux's `script` lends it a terminal.
fn at_a_terminal(web: &str, ask: &impl Fn(&str) -> Ended) {
    let command = format!("{} arc {web}", binary().display());
    let mut terminal = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script (util-linux) is installed");
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let (sender, shown) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 1000];
        while let Ok(length @ 1..) = screen.read(&mut bytes) {
            sender.send(String::from_utf8_lossy(&bytes[..length]).into_owned()).unwrap();
        }
    });
    let mut seen = String::new();
    let mut wait_for = |text: &str| {
        eventually(&format!("{text:?} on the screen"), || {
            seen.extend(shown.try_iter());
            seen.contains(text)
        });
    };
    wait_for("web> ");
    keys.write_all(b"/update hosts.lateness:1s\n").unwrap();
    wait_for("hosts.lateness: 1s  (the Topology has 500ms)");
    ask("/update slow.center: Median\n").expect_success();
    wait_for("slow.center: Mean → Median  (update by ");
    keys.write_all(b"/no\n").unwrap();
    wait_for("`/no` is no command");
    keys.write_all(b"/quit\n").unwrap();
    eventually("the terminal to close", || terminal.try_wait().unwrap().is_some());
    assert!(terminal.wait().unwrap().success());
    reader.join().unwrap();
}

/// The status and body of an answer to a request as it stands.
fn http(port: u16, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn in_one_process_the_admin_address_leads_to_the_analyzers() {
    let folder = tempfile::tempdir().unwrap();
    let (resources, data) = (folder.path().join("resources.yaml"), folder.path().join("data"));
    fs::write(&resources, HOSTS).unwrap();
    let (port, admin) = (free_port(), free_port());
    let mut kinetic = Kinetic::start(run(
        &resources,
        &data,
        &["--statsd", &format!("127.0.0.1:{port}"), "--admin", &format!("127.0.0.1:{admin}")],
    ));
    kinetic.wait_for("watching");
    let _feeds = Feeds::start(port);
    eventually("the slow host to be found", || states(&data) == ["firing"]);
    let host = format!("http://127.0.0.1:{admin}");
    let web = format!("{host}/web");
    let update =
        arc(folder.path(), &[&web], "/update {slow.deviation: 6, slow.direction: Above}\n").expect_success();
    assert!(update.stdout.contains("slow.deviation: 6.0  (the Topology has 2.0)"), "{}", update.stdout);
    eventually("what fired to resolve", || states(&data) == ["resolved"]);
    let all = arc(folder.path(), &[&host, "--all", "--json", "--expect", "2"], "/read\n").expect_success();
    assert_eq!(objects(&all).iter().filter(|line| line["answer"]["ok"] == true).count(), 2, "{}", all.stdout);
    let absent = arc(folder.path(), &[&format!("{host}/nobody")], "/read\n");
    assert!(!absent.status.success() && absent.stdout.contains("nobody  is not there"), "{}", absent.stdout);

    let control = |host: &str, kind: &str, body: &str| {
        let length = body.len();
        http(
            admin,
            &format!(
                "POST /api/v1/control HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            ),
        )
    };
    let read = r#"{"controller": "web", "opcode": "read"}"#;
    let (status, body) = control("localhost", "application/json", read);
    assert!(status == 200 && body.contains("\"slow.deviation\":6.0"), "{status} {body}");
    assert_eq!(control("evil.example", "application/json", read).0, 403);
    assert_eq!(control("localhost", "text/plain", read).0, 415);
    for body in
        ["", "{", r#"{"opcode": "uptade"}"#, r#"{"opcode": "update", "body": [1]}"#, &"[".repeat(100_000)]
    {
        let (status, said) = control("localhost", "application/json", body);
        assert!((400..500).contains(&status) && said.len() < 2000, "{status} {said}");
    }
    assert_eq!(control("localhost", "application/json", &" ".repeat(1 << 20)).0, 413);
    let metrics = http(admin, "GET /metrics HTTP/1.0\r\n\r\n").1;
    let counted =
        r#"kinetic_control_messages_total{customer="shop",topology="web",opcode="update",result="ok"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    let (status, said) = kinetic.interrupt();
    assert!(status.success(), "{said}");
}
