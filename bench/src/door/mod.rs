//! The front door beside HAProxy: the same broker, the same client, the same certificates; in turns.

pub mod crowd;
pub mod publisher;
mod rooms;
pub mod sidecar;

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::runtime::Runtime;

use self::{
    publisher::{Publisher, Target, message},
    rooms::HAPROXY,
};
pub use self::{rooms::Rooms, sidecar::Sidecar};
use crate::{median::median, table::Row, usage};

const ROUNDS: usize = 7;
const CONNECTIONS: usize = 4;
const SENDING: Duration = Duration::from_secs(2);
const ROUND_TRIPS: usize = 1_500;
const SIZES: [(usize, &str); 3] = [(64, "64 B"), (1024, "1 KiB"), (65_536, "64 KiB")];

/// What went by one way.
#[derive(Clone, Copy, Debug)]
struct Run {
    messages_per_second: f64,
    /// Seconds of the one in between for a million messages.
    cpu: f64,
}

/// What is compared.
type Figure = fn(&Run) -> f64;

/// Throughput and added latency by message size.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    Runtime::new().context("a tokio runtime")?.block_on(async {
        let rooms = Rooms::start().await?;
        let mut rows = Vec::new();
        for (size, name) in SIZES {
            rows.extend(throughput(&rooms, size, name).await?);
        }
        for (size, name) in SIZES {
            rows.push(latency(&rooms, size, name).await?);
        }
        Ok(rows)
    })
}

async fn throughput(rooms: &Rooms, size: usize, name: &str) -> anyhow::Result<Vec<Row>> {
    let (mut ours, mut theirs, mut direct) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(send(&rooms.ours(), Some(rooms.our_pid()), size).await.context("by the front door")?);
        if let Some(target) = rooms.haproxy() {
            theirs.push(send(&target, rooms.haproxy_pid(), size).await.context("by HAProxy")?);
        }
        direct.push(send(&rooms.direct(), None, size).await.context("direct")?);
    }
    let of = |runs: &[Run], figure: Figure| median(runs.iter().map(figure).collect());
    let speed: Figure = |run| run.messages_per_second;
    let cpu: Figure = |run| run.cpu;
    let ratio = |figure: Figure| {
        if theirs.is_empty() {
            return f64::NAN;
        }
        median(ours.iter().zip(&theirs).map(|(ours, theirs)| figure(ours) / figure(theirs)).collect())
    };
    let beside = |text: String| {
        if theirs.is_empty() { format!("HAProxy: not installed ({HAPROXY})") } else { text }
    };
    Ok(vec![
        Row {
            what: format!("front door, {name}, {CONNECTIONS} connections, confirms"),
            ours: format!("{:.1} k messages/s", of(&ours, speed) / 1e3),
            beside: beside(format!(
                "HAProxy: {:.1} k; no proxy: {:.1} k",
                of(&theirs, speed) / 1e3,
                of(&direct, speed) / 1e3
            )),
            ratio: ratio(speed),
        },
        Row {
            what: format!("front door, {name}: its CPU time, less is better"),
            ours: format!("{:.2} s a million messages", of(&ours, cpu)),
            beside: beside(format!("HAProxy: {:.2} s", of(&theirs, cpu))),
            ratio: ratio(cpu),
        },
    ])
}

async fn send(target: &Target, pid: Option<u32>, size: usize) -> anyhow::Result<Run> {
    let mut publishers = Vec::new();
    for _ in 0..CONNECTIONS {
        publishers.push(Publisher::connect(target).await?);
    }
    let cpu = |pid: Option<u32>| pid.map_or(Ok(Duration::ZERO), usage::cpu);
    let (before, start) = (cpu(pid)?, Instant::now());
    let sending = publishers
        .into_iter()
        .map(|mut publisher| tokio::spawn(async move { publisher.publish(size, SENDING).await }));
    let mut messages = 0;
    for sent in sending.collect::<Vec<_>>() {
        messages += sent.await??;
    }
    let messages = messages as f64;
    Ok(Run {
        messages_per_second: messages / start.elapsed().as_secs_f64(),
        cpu: cpu(pid)?.saturating_sub(before).as_secs_f64() * 1e6 / messages,
    })
}

async fn latency(rooms: &Rooms, size: usize, name: &str) -> anyhow::Result<Row> {
    let mut direct = Publisher::connect(&rooms.direct()).await?;
    let mut ours = Publisher::connect(&rooms.ours()).await?;
    let mut theirs = match rooms.haproxy() {
        Some(target) => Some(Publisher::connect(&target).await?),
        None => None,
    };
    let message = message(size);
    let (mut by_none, mut by_ours, mut by_theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUND_TRIPS {
        by_none.push(direct.round_trip(&message).await?.as_secs_f64() * 1e6);
        by_ours.push(ours.round_trip(&message).await?.as_secs_f64() * 1e6);
        if let Some(theirs) = &mut theirs {
            by_theirs.push(theirs.round_trip(&message).await?.as_secs_f64() * 1e6);
        }
    }
    let none = median(by_none);
    let ours = median(by_ours) - none;
    let (beside, ratio) = if by_theirs.is_empty() {
        (format!("HAProxy: not installed ({HAPROXY})"), f64::NAN)
    } else {
        let theirs = median(by_theirs) - none;
        (format!("HAProxy: {theirs:.0} µs; no proxy: {none:.0} µs in all"), ours / theirs)
    };
    Ok(Row {
        what: format!("front door, {name}: added latency, less is better"),
        ours: format!("{ours:.0} µs, median of {ROUND_TRIPS} round trips"),
        beside,
        ratio,
    })
}
