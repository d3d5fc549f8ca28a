//! The whole process over UDP: lines a CPU second, memory and loss, beside netdata and brubeck at the same rate.

use std::{thread::sleep, time::Duration};

use anyhow::Context;

use crate::{
    load::{Load, PACKET, Sender, Sent},
    peers::{Brubeck, Kinetic, Netdata, Server, brubeck, netdata},
    table::Row,
    usage,
};

/// Sums are made over so long, by all of them.
const INTERVAL_SECONDS: u64 = 10;
/// Every series has been met by then, and a window closed.
const WARM_UP_SECONDS: u64 = 12;
const MEASURED_SECONDS: u64 = 20;
/// What is on its way when the sender ends is taken by then.
const SETTLE: Duration = Duration::from_millis(500);
/// Lines a second: what every one of them takes without loss.
const RATE: u64 = 1_500_000;

/// Every series against a threshold, the percentiles of a tenth of the timers against their own past.
const RESOURCES: &str = r#"
apiVersion: kinetic.dev/v1alpha1
kind: Topology
metadata: {name: web}
spec:
  customer: shop
  sources:
    - {name: pages, type: statsd, profiles: [web], interval: 10s, lateness: 1s}
  analytics:
    - {name: full, source: pages, match: {metric: "**"}, statistic: mean, threshold: {above: 1000000000, clearBelow: 900000000}}
    - {name: odd-latency, source: pages, match: {metric: "shop.checkout.**.time"}, statistic: p95, stddev: {deviation: 6, direction: Both, baseline: 1h}}
"#;

/// Where the search for the peak begins, and by how much it goes on.
const FIRST_STEP: u64 = 1_000_000;
const STEP_PERCENT: u64 = 125;
const STEP_SECONDS: u64 = 3;

/// Packets that the intake took from the system and then dropped.
const DROPPED: &str = "kinetic_intake_dropped_packets_total";

/// What was seen of one server at one number of series.
#[derive(Clone, Copy, Debug)]
struct Seen {
    sent: Sent,
    cpu: Duration,
    peak_rss: u64,
    /// Datagrams that were lost: at the socket, and of ours within.
    dropped: u64,
}

impl Seen {
    /// Of those that arrived: what a server did not take has cost it nothing.
    fn lines_a_cpu_second(&self) -> f64 {
        self.sent.lines as f64 * (1.0 - self.loss()) / self.cpu.as_secs_f64()
    }

    /// The share of packets that were lost.
    fn loss(&self) -> f64 {
        self.dropped as f64 / self.sent.packets as f64
    }

    fn text(&self) -> String {
        format!("{:.2} M lines/CPU s, {:.2} % lost", self.lines_a_cpu_second() / 1e6, self.loss() * 100.0)
    }
}

/// Every peer beside ours, at two numbers of series.
pub fn rows(rate: Option<u64>) -> anyhow::Result<Vec<Row>> {
    let rate = rate.unwrap_or(RATE);
    let mut rows = Vec::new();
    for (series, name) in [(1_000, "1,000"), (100_000, "100,000")] {
        let what = |peer: &str| format!("UDP, {name} series, {:.1} M/s, {peer}", rate as f64 / 1e6);
        let ours = ours(series, rate)?;
        let theirs = Netdata::find()
            .map(|netdata| measured(&netdata.start(INTERVAL_SECONDS)?, series, rate))
            .transpose()
            .context("netdata")?;
        rows.extend(beside(&what("netdata"), &ours, theirs, netdata::INSTALL));
        let theirs = Brubeck::find()?
            .map(|brubeck| measured(&brubeck.start(INTERVAL_SECONDS)?, series, rate))
            .transpose()
            .context("brubeck")?;
        let how = format!("set {} to its binary", brubeck::VARIABLE);
        rows.extend(beside(&what("brubeck"), &ours, theirs, &how));
    }
    Ok(rows)
}

fn beside(what: &str, ours: &Seen, theirs: Option<Seen>, how: &str) -> [Row; 2] {
    let memory = |seen: &Seen| format!("{:.1} MB", seen.peak_rss as f64 / 1e6);
    let (speed, size, faster, smaller) = match theirs {
        Some(theirs) => (
            theirs.text(),
            memory(&theirs),
            ours.lines_a_cpu_second() / theirs.lines_a_cpu_second(),
            ours.peak_rss as f64 / theirs.peak_rss as f64,
        ),
        None => (format!("skipped: {how}"), "skipped".to_owned(), f64::NAN, f64::NAN),
    };
    [
        Row { what: what.to_owned(), ours: ours.text(), beside: speed, ratio: faster },
        Row {
            what: format!("{what}: peak RSS, less is better"),
            ours: memory(ours),
            beside: size,
            ratio: smaller,
        },
    ]
}

fn ours(series: usize, rate: u64) -> anyhow::Result<Seen> {
    let kinetic = Kinetic::start(RESOURCES, &[])?;
    let seen = measured(&kinetic.server, series, rate)?;
    let dropped = seen.dropped + kinetic.counter(DROPPED)?;
    Ok(Seen { dropped, ..seen })
}

/// The most lines a second that a running `kinetic` takes without loss, to a quarter's precision.
pub fn peak(kinetic: &Kinetic, series: usize) -> anyhow::Result<u64> {
    let port = kinetic.server.port;
    let lost = || Ok::<_, anyhow::Error>(usage::udp_drops(port)? + kinetic.counter(DROPPED)?);
    let load = |rate, seconds| Sender::start(Load { port, series, rate, seconds, packet: PACKET })?.finish();
    load(FIRST_STEP, STEP_SECONDS)?;
    let (mut peak, mut rate) = (FIRST_STEP / 2, FIRST_STEP);
    loop {
        let before = lost()?;
        let sent = load(rate, STEP_SECONDS)?;
        sleep(SETTLE);
        let too_slow_to_send = sent.lines < rate * STEP_SECONDS / 100 * 95;
        if lost()? > before || too_slow_to_send {
            return Ok(peak);
        }
        (peak, rate) = (rate, rate * STEP_PERCENT / 100);
    }
}

/// Sends to a server, first to warm it up, then to measure.
fn measured(server: &Server, series: usize, rate: u64) -> anyhow::Result<Seen> {
    let pid = server.process.pid();
    let load =
        |seconds| Sender::start(Load { port: server.port, series, rate, seconds, packet: PACKET })?.finish();
    load(WARM_UP_SECONDS)?;
    sleep(SETTLE);
    let (cpu, dropped) = (usage::cpu(pid)?, usage::udp_drops(server.port)?);
    let sent = load(MEASURED_SECONDS)?;
    sleep(SETTLE);
    Ok(Seen {
        sent,
        cpu: usage::cpu(pid)?.saturating_sub(cpu),
        peak_rss: usage::peak_rss(pid)?,
        dropped: usage::udp_drops(server.port)? - dropped,
    })
}
