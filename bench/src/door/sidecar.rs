//! `kinetic sidecar` under statsd packets, before the front door.

use std::{process::Command, time::Duration};

use anyhow::{Context, ensure};
use kinetic_tests::process::{Kinetic as Process, free_port};
use lapin::{BasicProperties, Connection, ConnectionProperties, options::BasicPublishOptions};
use tokio::runtime::Runtime;

use super::rooms::{Rooms, VHOST, listening};
use crate::{
    load::{Load, PACKET, Sender, Sent},
    peers::Kinetic,
    table::Row,
    traffic::Traffic,
    usage,
};

/// Packets a second.
const RATE: u64 = 50_000;
/// Room for one line, and not for two.
const ONE_LINE: usize = 50;
const SERIES: usize = 1_000;
const WARM_UP_SECONDS: u64 = 3;
const SECONDS: u64 = 15;
/// What is on its way when the sender ends is taken by then.
const SETTLE: Duration = Duration::from_millis(500);
/// Cores that it may take.
const CORES: f64 = 0.5;
/// Bytes that it may hold.
const LIMIT: f64 = 20e6;

/// A sidecar at work.
#[derive(Debug)]
pub struct Sidecar {
    /// Its process.
    pub process: Process,
    /// Where it takes statsd, by UDP.
    pub statsd: u16,
    amqp: u16,
}

impl Sidecar {
    /// Starts it by a command that ends in the program, with the front door of these rooms as its upstream.
    pub fn start_by(mut command: Command, rooms: &Rooms) -> anyhow::Result<Self> {
        let (statsd, amqp) = (free_port(), free_port());
        let local = |port: u16| format!("127.0.0.1:{port}");
        command.args(["sidecar", "--upstream", &format!("localhost:{}", rooms.our_port()), "--vhost", VHOST]);
        command.args(["--statsd", &local(statsd), "--amqp", &local(amqp)]);
        let (client, trust) = (rooms.client(), rooms.trust());
        command.arg("--cert").arg(&client.certificate).arg("--key").arg(&client.key).arg("--ca").arg(&trust);
        command.arg("--spool").arg(rooms.at("spool"));
        Ok(Self { process: listening(Process::spawn(&mut command), amqp)?, statsd, amqp })
    }

    /// A publisher that knows of no TLS says something.
    pub async fn pass_amqp(&self) -> anyhow::Result<()> {
        let url = format!("amqp://127.0.0.1:{}/%2f", self.amqp);
        let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let options = BasicPublishOptions::default();
        channel
            .basic_publish(
                "kinetic.metrics".into(),
                "statsd.web.here".into(),
                options,
                b"hits:1|c",
                BasicProperties::default(),
            )
            .await?
            .await?;
        connection.close(200, "".into()).await?;
        Ok(())
    }
}

/// Processor time and memory, with packets of a single line, and with full ones.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    Runtime::new().context("a tokio runtime")?.block_on(async {
        let rooms = Rooms::start().await?;
        let mut rows = measured(&rooms, ONE_LINE, "one line each").await?;
        rows.extend(measured(&rooms, PACKET, "1,432 bytes each").await?);
        Ok(rows)
    })
}

async fn measured(rooms: &Rooms, packet: usize, name: &str) -> anyhow::Result<Vec<Row>> {
    let sidecar = Sidecar::start_by(Command::new(Kinetic::program()?), rooms)?;
    let traffic = Traffic::plain(SERIES, 10 * SERIES, packet);
    let rate = RATE * traffic.samples / traffic.messages.len() as u64;
    let send = |seconds: u64| {
        let load = Load { port: sidecar.statsd, series: SERIES, rate, seconds, packet };
        tokio::task::spawn_blocking(move || Sender::start(load)?.finish())
    };
    send(WARM_UP_SECONDS).await??;
    let before = usage::cpu(sidecar.process.pid())?;
    let Sent { lines, packets } = send(SECONDS).await??;
    tokio::time::sleep(SETTLE).await;
    let cores = usage::cpu(sidecar.process.pid())?.saturating_sub(before).as_secs_f64() / SECONDS as f64;
    let lost = usage::udp_drops(sidecar.statsd)?;
    ensure!(lost * 1_000 < packets, "{lost} of {packets} packets were lost");
    let resident = usage::peak_rss(sidecar.process.pid())? as f64;
    let rate = packets as f64 / SECONDS as f64 / 1e3;
    Ok(vec![
        Row {
            what: format!("sidecar, {rate:.0} k packets/s, {name}"),
            ours: format!("{cores:.2} cores, {:.2} M lines/s", lines as f64 / SECONDS as f64 / 1e6),
            beside: format!("limit (less is better): {CORES} cores"),
            ratio: cores / CORES,
        },
        Row {
            what: "sidecar: peak RSS".into(),
            ours: format!("{:.1} MB", resident / 1e6),
            beside: format!("limit (less is better): {:.0} MB", LIMIT / 1e6),
            ratio: resident / LIMIT,
        },
    ])
}
