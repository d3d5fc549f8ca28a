//! statsd, pika, amqplib, UDP; and what Telegraf and Vector write.

use std::{
    fs,
    io::Write,
    net::UdpSocket,
    process::{Command, Stdio},
};

use jiff::Timestamp;
use kinetic_tests::{
    peers,
    process::{Kinetic, eventually, free_port},
};
use tempfile::TempDir;

use super::{Place, WINDOW_S, expected::Expected};

/// Lines that are sent in one piece, so that they fall into one window.
const LINES: &str = "page.time:12|ms|#env:prod\npage.time:18.5|ms|@0.5|#env:prod\nhits:3|c|@0.1\nhits:1|c\n\
                     temperature:20|g\ntemperature:-1.5|g\nusers:anna|s\nusers:ben|s\nusers:anna|s";

/// By source, what gives no sample: Telegraf's texts.
pub(crate) const DROPPED: [(&str, &str, u32); 1] = [("telegraf", "no_value", 2)];

/// A statsd at work; its folder holds its configuration.
pub(crate) struct Statsd {
    _process: Kinetic,
    _folder: TempDir,
}

/// Sends by all of them.
pub(crate) fn send(place: &Place<'_>) -> Vec<Statsd> {
    let (statsd, to_statsd) = start_statsd(place, "statsd", "packets");
    let (flushing, to_flushing) = start_statsd(place, "flushes", "flushes");
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.send_to(LINES.as_bytes(), ("127.0.0.1", to_statsd)).unwrap();
    socket.send_to(b"orders:2|c\norders:3|c\nstock:17.25|g", ("127.0.0.1", to_flushing)).unwrap();
    let with_host: Vec<_> = LINES.lines().map(with_host).collect();
    socket.send_to(with_host.join("\n").as_bytes(), ("127.0.0.1", place.lines)).unwrap();

    let start = place.start;
    let timed: Vec<_> = LINES.lines().map(|line| format!("{line}|T{start}")).collect();
    pika(place, "statsd.pika.web-1", &["--content-type", "text/x-statsd"], &timed.join("\n"));
    publish(peers::node().arg(peers::examples().join("publish.js")), place, "statsd.amqplib.web-1", LINES);

    let telegraf = "telegraf.telegraf.any";
    let influx = format!(
        "cpu,cpu=cpu0,host=web-9 usage_idle=98.5,usage_user=1i,note=\"as, is\" {start}500000000\n\
         cpu,cpu=cpu0,host=web-9 usage_idle=97.25 {}500000000\n",
        start + WINDOW_S
    );
    // Telegraf says text/plain whatever it writes, and has no headers.
    let plain = ["--bare", "--content-type", "text/plain"];
    pika(place, telegraf, &plain, &influx);
    let batch = format!(
        r#"{{"metrics": [{{"fields": {{"used_percent": 12.300000000000002, "label": "x"}}, "name": "disk", "tags": {{"host": "web-9", "path": "/"}}, "timestamp": {start}}}]}}"#
    );
    pika(place, telegraf, &plain, &batch);

    let at = Timestamp::from_second(start).unwrap();
    for values in [
        r#""kind": "incremental", "counter": {"value": 1.5}"#,
        r#""kind": "incremental", "counter": {"value": 2.0}"#,
    ] {
        vector(place, "requests", values, at);
    }
    vector(place, "queue", r#""kind": "absolute", "gauge": {"value": 0.30000000000000004}"#, at);
    let samples = r#"[{"value": 4.0, "rate": 3}, {"value": 10.0, "rate": 1}]"#;
    let distribution = format!(
        r#""kind": "incremental", "distribution": {{"samples": {samples}, "statistic": "histogram"}}"#
    );
    vector(place, "latency", &distribution, at);
    vec![statsd, flushing]
}

/// A line with the tag that names the origin.
fn with_host(line: &str) -> String {
    let tags = if line.contains("|#") { "," } else { "|#" };
    format!("{line}{tags}host:web-7")
}

/// Starts a statsd that publishes what it takes; gives the port where it takes it.
fn start_statsd(place: &Place<'_>, profile: &str, send: &str) -> (Statsd, u16) {
    let folder = tempfile::tempdir().unwrap();
    let (port, management) = (free_port(), free_port());
    let config = folder.path().join("config.js");
    let backend = peers::examples().join("statsd-amqp.js").canonicalize().unwrap();
    let text = format!(
        r#"{{ address: "127.0.0.1", port: {port}, mgmt_address: "127.0.0.1", mgmt_port: {management}, flushInterval: 500,
             deleteCounters: true, backends: ["{}"],
             kinetic: {{ url: "{}", profile: "{profile}", origin: "web-1", send: "{send}" }} }}"#,
        backend.display(),
        place.broker.amqp_url(place.vhost)
    );
    fs::write(&config, text).unwrap();
    let mut process = Kinetic::spawn(peers::statsd().arg(&config));
    eventually("statsd to listen", || {
        assert!(process.is_running(), "{}", process.printed());
        std::net::TcpStream::connect(("127.0.0.1", management)).is_ok()
    });
    (Statsd { _process: process, _folder: folder }, port)
}

/// Publishes with pika.
fn pika(place: &Place<'_>, key: &str, arguments: &[&str], body: &str) {
    publish(peers::python().arg(peers::examples().join("publish.py")).args(arguments), place, key, body);
}

/// As Vector's amqp sink writes a metric in JSON.
fn vector(place: &Place<'_>, name: &str, values: &str, at: Timestamp) {
    let event = format!(
        r#"{{"name": "{name}", "namespace": "shop", "tags": {{"host": "web-8", "env": "prod"}}, "timestamp": "{at}", {values}}}"#
    );
    pika(place, "vector.vector.any", &["--bare"], &event);
}

fn publish(program: &mut Command, place: &Place<'_>, key: &str, body: &str) {
    let program = program.arg(place.broker.amqp_url(place.vhost)).arg(key);
    let mut child = program.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{key}: {}", String::from_utf8_lossy(&ended.stderr));
}

/// What they come out as.
pub(crate) fn expected(place: &Place<'_>) -> Vec<Expected> {
    let mut expected = Vec::new();
    for (source, origin, at) in [
        ("statsd", "web-1", None),
        ("udp", "web-7", None),
        ("pika", "web-1", Some(place.start)),
        ("amqplib", "web-1", None),
    ] {
        expected.extend(lines(source, origin, at));
    }
    let start = place.start;
    let gauge = |source, metric: &str, tags, origin, values: &[(i64, f64)]| Expected {
        source,
        metric: metric.to_owned(),
        tags,
        origin,
        kind: "gauge",
        windows: values
            .iter()
            .map(|(after, value)| (Some(start + after), vec![("count", 1.0), ("last", *value)]))
            .collect(),
    };
    expected.push(gauge(
        "telegraf",
        "cpu.usage_idle",
        vec![("cpu", "cpu0")],
        "web-9",
        &[(0, 98.5), (10, 97.25)],
    ));
    expected.push(gauge("telegraf", "cpu.usage_user", vec![("cpu", "cpu0")], "web-9", &[(0, 1.0)]));
    let digits = 12.300_000_000_000_002;
    expected.push(gauge("telegraf", "disk.used_percent", vec![("path", "/")], "web-9", &[(0, digits)]));
    let env = vec![("env", "prod")];
    expected.push(gauge("vector", "shop.queue", env.clone(), "web-8", &[(0, 0.300_000_000_000_000_04)]));
    let of_vector = |metric: &str, kind, statistics| Expected {
        source: "vector",
        metric: metric.to_owned(),
        tags: env.clone(),
        origin: "web-8",
        kind,
        windows: vec![(Some(start), statistics)],
    };
    expected.push(of_vector("shop.requests", "counter", vec![("sum", 3.5), ("rate", 0.35), ("count", 2.0)]));
    let latency = vec![("count", 4.0), ("sum", 22.0), ("mean", 5.5), ("min", 4.0), ("max", 10.0)];
    expected.push(of_vector("shop.latency", "distribution", latency));
    expected
}

/// What [`LINES`] come out as.
fn lines(source: &'static str, origin: &'static str, at: Option<i64>) -> Vec<Expected> {
    let series = [
        // The second stands for two.
        (
            "page.time",
            "timer",
            vec![("count", 3.0), ("sum", 49.0), ("mean", 49.0 / 3.0), ("max", 18.5), ("rate", 0.3)],
        ),
        ("hits", "counter", vec![("sum", 31.0), ("rate", 3.1), ("count", 11.0)]),
        ("temperature", "gauge", vec![("last", 18.5), ("min", 18.5), ("max", 20.0), ("count", 2.0)]),
        ("users", "set", vec![("count", 3.0)]),
    ];
    series
        .into_iter()
        .map(|(metric, kind, statistics)| Expected {
            source,
            metric: metric.to_owned(),
            tags: if metric == "page.time" { vec![("env", "prod")] } else { Vec::new() },
            origin,
            kind,
            windows: vec![(at, statistics)],
        })
        .collect()
}
