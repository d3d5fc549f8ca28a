//! Which functions of `kinetic` run when it does its daily work: `make release` lays these beside each other.

use std::{thread::sleep, time::Duration};

use anyhow::ensure;
use tokio::runtime::Runtime;

use crate::{
    door::{Rooms, Sidecar, publisher::Publisher},
    load::{Load, PACKET, Sender},
    peers::{Callgrind, Kinetic},
};

/// All analytics, and an alert for what the one that always fires finds.
const RESOURCES: &str = r#"
apiVersion: kinetic.dev/v1alpha1
kind: Topology
metadata: {name: web}
spec:
  customer: shop
  sources:
    - {name: pages, type: statsd, profiles: [web], interval: 1s, lateness: 1s}
  analytics:
    - {name: full, source: pages, match: {metric: "shop.checkout.**.used"}, statistic: mean, threshold: {above: 0}}
    - {name: odd-latency, source: pages, match: {metric: "**.time"}, statistic: p95, stddev: {deviation: 6, direction: Both, baseline: 1h}}
    - {name: silent, source: pages, match: {metric: "shop.search.**"}, absence: {after: 1m}}
---
apiVersion: kinetic.dev/v1alpha1
kind: Alert
metadata: {name: web}
spec:
  topology: web
  groupBy: [analytic]
  groupWait: 1s
  receivers:
    - {name: oncall, email: {to: [oncall@shop.example]}}
"#;
/// Some fifty times slower than without callgrind, they are to keep up.
const LINES_PER_SECOND: u64 = 10_000;
const SECONDS: u64 = 10;
/// What is on its way is taken by then.
const SETTLE: Duration = Duration::from_secs(2);

/// Prints their symbols, one a line.
pub fn print() -> anyhow::Result<()> {
    let callgrind = Callgrind::new()?;
    one_process(&callgrind)?;
    Runtime::new()?.block_on(front_door(&callgrind))?;
    for function in callgrind.functions()? {
        println!("{function}");
    }
    Ok(())
}

fn load(port: u16) -> Load {
    Load { port, series: 1_000, rate: LINES_PER_SECOND, seconds: SECONDS, packet: PACKET }
}

fn one_process(callgrind: &Callgrind) -> anyhow::Result<()> {
    let kinetic = Kinetic::start_by(callgrind.kinetic()?, RESOURCES, &[])?;
    Sender::start(load(kinetic.server.port))?.finish()?;
    sleep(SETTLE);
    ensure!(kinetic.counter("kinetic_analyzer_samples_total")? > 0, "nothing was analysed");
    kinetic.server.process.interrupt();
    Ok(())
}

async fn front_door(callgrind: &Callgrind) -> anyhow::Result<()> {
    let rooms = Rooms::start_by(callgrind.kinetic()?).await?;
    let mut publisher = Publisher::connect(&rooms.ours()).await?;
    publisher.publish(PACKET, SETTLE).await?;
    let sidecar = Sidecar::start_by(callgrind.kinetic()?, &rooms)?;
    let sender = Sender::start(load(sidecar.statsd))?;
    sidecar.pass_amqp().await?;
    tokio::task::spawn_blocking(|| sender.finish()).await??;
    tokio::time::sleep(SETTLE).await;
    sidecar.process.interrupt();
    rooms.end();
    Ok(())
}
