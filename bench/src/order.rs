//! Which functions of `kinetic` run when it does its daily work: `make release` lays these beside each other.

use std::{collections::BTreeSet, process::Command, thread::sleep, time::Duration};

use anyhow::ensure;
use kinetic_tests::process::Kinetic as Process;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    door::{Rooms, Sidecar, publisher::Publisher},
    load::{Load, PACKET, Sender},
    peers::{Callgrind, Kinetic},
};

/// All four analytics, and an alert with a mail.
const RESOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/web-shop");
/// Some fifty times slower than without callgrind, they are to keep up.
const LINES_PER_SECOND: u64 = 10_000;
const SECONDS: u64 = 10;
/// Until the slow host is found, and the mail of it written.
const UNTIL_MAILED: u64 = 45;
/// What is on its way is taken by then.
const SETTLE: Duration = Duration::from_secs(2);

/// Which of sidecar, front door and `kinetic run` run a function, in an order that leaves what a sidecar runs together, and what
/// `kinetic run` does.
const RUN_BY: [[bool; 3]; 7] = [
    [true, false, false],
    [true, true, false],
    [true, true, true],
    [true, false, true],
    [false, false, true],
    [false, true, true],
    [false, true, false],
];

/// Prints their symbols, one a line.
pub fn print() -> anyhow::Result<()> {
    let (sidecar, front_door, run) = (Callgrind::new()?, Callgrind::new()?, Callgrind::new()?);
    one_process(&run)?;
    Runtime::new()?.block_on(on_the_way(&sidecar, &front_door))?;
    let programs = [sidecar.functions()?, front_door.functions()?, run.functions()?];
    let all: BTreeSet<_> = programs.iter().flatten().collect();
    for group in RUN_BY {
        let run_by = |function: &String| programs.each_ref().map(|program| program.contains(function));
        all.iter().filter(|function| run_by(function) == group).for_each(|function| println!("{function}"));
    }
    Ok(())
}

fn load(port: u16, seconds: u64) -> Load {
    Load { port, series: 1_000, rate: LINES_PER_SECOND, seconds, packet: PACKET }
}

fn one_process(callgrind: &Callgrind) -> anyhow::Result<()> {
    let kinetic = Kinetic::start_on(callgrind.kinetic()?, RESOURCES.as_ref(), TempDir::new()?, &[])?;
    let mut hosts = Command::new(Kinetic::program()?);
    hosts.args(["generate", "slow-host", "--hosts", "8", "--at", "2s", "--seed", "7"]);
    hosts.args(["--duration", &format!("{UNTIL_MAILED}s")]);
    hosts.args(["--statsd", &format!("127.0.0.1:{}", kinetic.server.port)]);
    let mut hosts = Process::spawn(&mut hosts);
    Sender::start(load(kinetic.server.port, UNTIL_MAILED))?.finish()?;
    hosts.wait();
    sleep(SETTLE);
    ensure!(kinetic.counter("kinetic_analyzer_samples_total")? > 0, "nothing was analysed");
    kinetic.server.process.interrupt();
    Ok(())
}

async fn on_the_way(sidecar: &Callgrind, front_door: &Callgrind) -> anyhow::Result<()> {
    let rooms = Rooms::start_by(front_door.kinetic()?).await?;
    let mut publisher = Publisher::connect(&rooms.ours()).await?;
    publisher.publish(PACKET, SETTLE).await?;
    let sidecar = Sidecar::start_by(sidecar.kinetic()?, &rooms)?;
    let sender = Sender::start(load(sidecar.statsd, SECONDS))?;
    sidecar.pass_amqp().await?;
    tokio::task::spawn_blocking(|| sender.finish()).await??;
    tokio::time::sleep(SETTLE).await;
    sidecar.process.interrupt();
    rooms.end();
    Ok(())
}
