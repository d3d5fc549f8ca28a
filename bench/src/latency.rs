//! How soon a finding is out: from the end of the window in which a packet crossed the line, beyond the lateness, under half of
//! the load that is taken without loss.

use std::{
    net::UdpSocket,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    load::{Load, PACKET, Sender},
    peers::Kinetic,
    table::Row,
    udp,
};

const SERIES: usize = 10_000;
const SECONDS: u64 = 30;
/// A packet that crosses the line is sent so often, each of a series that was never seen.
const PROBE_EVERY: Duration = Duration::from_millis(10);
const LATENESS_MS: i64 = 100;
/// As `docs/performance.md` promises, at the 99th percentile.
const LIMIT_MS: f64 = 100.0;
/// What is found last is told by then.
const SETTLE: Duration = Duration::from_secs(5);

const RESOURCES: &str = r#"
apiVersion: kinetic.dev/v1alpha1
kind: Topology
metadata: {name: web}
spec:
  customer: shop
  sources:
    - {name: pages, type: statsd, profiles: [web], interval: 1s, lateness: 100ms}
  analytics:
    - {name: full, source: pages, match: {metric: "**"}, statistic: mean, persistence: {windows: 1, of: 1}, threshold: {above: 1000000000, clearBelow: 900000000}}
"#;
/// Above the threshold.
const CROSSES: u64 = 2_000_000_000;

/// A line of the log that tells of a finding.
#[derive(Debug, Deserialize)]
struct Found {
    timestamp: Timestamp,
    state: String,
    window_end: Timestamp,
}

/// The 99th percentile beside the promise.
pub fn row() -> anyhow::Result<Row> {
    let mut kinetic = Kinetic::start(RESOURCES, &["--log", "warn,kinetic_analyzer=debug"])?;
    let port = kinetic.server.port;
    let rate = udp::peak(&kinetic, SERIES)? / 2;
    let background = Sender::start(Load { port, series: SERIES, rate, seconds: SECONDS, packet: PACKET })?;
    let probes = thread::spawn(move || probe(port));
    let probes = probes.join().map_err(|_| anyhow::anyhow!("the probes' thread panicked"))??;
    background.finish()?;
    sleep(SETTLE);
    ensure!(kinetic.server.process.is_running(), "kinetic ended:\n{}", kinetic.server.process.printed());
    let printed = kinetic.server.process.printed();
    let found = printed.lines().filter_map(|line| serde_json::from_str::<Found>(line).ok());
    let mut late: Vec<f64> = found
        .filter(|found| found.state == "firing")
        .map(|found| {
            let since_end = found.timestamp.as_microsecond() - found.window_end.as_microsecond();
            since_end as f64 / 1e3 - LATENESS_MS as f64
        })
        .collect();
    late.sort_by(f64::total_cmp);
    ensure!(late.len() == probes, "{} findings of {probes} packets:\n{printed}", late.len());
    let percentile = |percent: usize| late[(late.len() - 1) * percent / 100];
    Ok(Row {
        what: format!("finding out after window + lateness, {:.1} M lines/s", rate as f64 / 1e6),
        ours: format!("p50 {:.1} ms, p99 {:.1} ms, of {}", percentile(50), percentile(99), late.len()),
        beside: format!("limit of p99 (less is better): {LIMIT_MS} ms"),
        ratio: percentile(99) / LIMIT_MS,
    })
}

/// Sends packets that cross the line while the background lasts; how many.
fn probe(port: u16) -> anyhow::Result<usize> {
    let socket = UdpSocket::bind("127.0.0.1:0").context("a socket to send from")?;
    let end = Duration::from_secs(SECONDS.saturating_sub(2));
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < end {
        socket.send_to(format!("probe.{sent}:{CROSSES}|g").as_bytes(), ("127.0.0.1", port))?;
        sent += 1;
        sleep(PROBE_EVERY);
    }
    Ok(sent)
}
