//! Many connections, most of which say nothing.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::{StreamExt, stream};
use tokio::runtime::Runtime;

use super::{publisher::Publisher, rooms::Rooms};
use crate::{table::Row, usage};

/// Two descriptors each: a usual hard limit of 20,000 just holds them.
const CONNECTIONS: usize = 9_900;
/// Handshakes at a time.
const AT_ONCE: usize = 32;
/// What may be resident.
const LIMIT: f64 = 400e6;
/// New connections a minute.
const RATE: f64 = 2_000.0;
/// Of the traffic that flows meanwhile.
const SIZE: usize = 1024;

/// Opens them while others publish, and looks what the front door takes.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    Runtime::new().context("a tokio runtime")?.block_on(async {
        let rooms = Rooms::start().await?;
        let rows = open(&rooms).await;
        rows.with_context(|| format!("the front door says:\n{}", rooms.our_log()))
    })
}

async fn open(rooms: &Rooms) -> anyhow::Result<Vec<Row>> {
    let target = rooms.ours();
    let mut busy = Publisher::connect(&target).await?;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let traffic = tokio::spawn(async move {
        let mut messages = 0;
        while stopped.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
            messages += busy.publish(SIZE, Duration::from_millis(200)).await?;
        }
        anyhow::Ok(messages)
    });
    let start = Instant::now();
    let opening = stream::iter(0..CONNECTIONS).map(|_| Publisher::connect(&target)).buffer_unordered(AT_ONCE);
    let crowd: Vec<_> = opening.collect().await;
    let crowd: Vec<_> =
        crowd.into_iter().collect::<anyhow::Result<_>>().context("one of many connections")?;
    let took = start.elapsed().as_secs_f64();
    drop(stop);
    let messages = traffic.await?.context("the traffic meanwhile")? as f64;
    let resident = usage::peak_rss(rooms.our_pid())? as f64;
    drop(crowd);
    let per_minute = CONNECTIONS as f64 / took * 60.0;
    Ok(vec![
        Row {
            what: format!(
                "front door: new connections a minute, {:.0} k messages/s meanwhile",
                messages / took / 1e3
            ),
            ours: format!("{per_minute:.0}"),
            beside: format!("limit: {RATE:.0}"),
            ratio: per_minute / RATE,
        },
        Row {
            what: format!("front door: {CONNECTIONS} open connections: peak RSS"),
            ours: format!("{:.0} MB", resident / 1e6),
            beside: format!("limit (less is better): {:.0} MB", LIMIT / 1e6),
            ratio: resident / LIMIT,
        },
    ])
}
