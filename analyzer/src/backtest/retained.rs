//! Reads what a stream retains; writes nothing.

use std::time::Duration;

use jiff::Timestamp;
use kinetic_api::plan::SourcePlan;
use kinetic_bus::{Bus, BusError, StreamDelivery, StreamOffset, StreamReader};
use tokio::time::timeout;

use super::replay::Replay;
use crate::service::{Tick, input};

/// A stream that gives nothing for so long holds nothing (more) to read: AMQP 0-9-1 does not show its end.
const IDLE: Duration = Duration::from_secs(10);
/// The messages of the last chunk come together.
const CHUNK: Duration = Duration::from_millis(300);
/// So many messages after the beginning of the last chunk are read at most, though more come in meanwhile.
const NEWEST: u64 = 10_000;

/// How reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the message that was the last one when reading began.
    Reached,
    /// There was nothing to read.
    Nothing,
    /// The broker gave no more before that message.
    Stalled {
        /// The last message read.
        offset: u64,
        /// The message that was the last one.
        last: u64,
    },
}

/// Reads a stream from `from` on into a replay, up to what is its last message when this is called.
///
/// # Errors
/// The stream is not there, or may not be read.
pub async fn read(
    bus: &Bus,
    stream: &str,
    from: StreamOffset,
    source: &SourcePlan,
    replay: &mut Replay,
) -> Result<End, BusError> {
    let Some(last) = last_offset(bus, stream).await? else { return Ok(End::Nothing) };
    // What is read came before now: no sample of it is from the future.
    replay.catch_up(Timestamp::now().as_millisecond());
    let mut reader = bus.read_stream(stream, from).await?;
    let mut read = None;
    while read.is_none_or(|offset| offset < last) {
        let Some(delivery) = next(&mut reader, IDLE).await? else {
            return Ok(match read {
                Some(offset) => End::Stalled { offset, last },
                None => End::Nothing,
            });
        };
        read = Some(delivery.offset);
        if let Some(tick) = Tick::read(&delivery.message) {
            replay.tick(tick.wall_ms);
        } else {
            replay.message(&input(source, &delivery.message));
        }
    }
    Ok(End::Reached)
}

/// The last message's offset. A reader that begins with the last chunk sees it at once, and what comes in meanwhile after it.
async fn last_offset(bus: &Bus, stream: &str) -> Result<Option<u64>, BusError> {
    let mut reader = bus.read_stream(stream, StreamOffset::Last).await?;
    let Some(first) = next(&mut reader, IDLE).await? else { return Ok(None) };
    let mut last = first.offset;
    while last - first.offset < NEWEST
        && let Some(delivery) = next(&mut reader, CHUNK).await?
    {
        last = delivery.offset;
    }
    Ok(Some(last))
}

async fn next(reader: &mut StreamReader, patience: Duration) -> Result<Option<StreamDelivery>, BusError> {
    match reader.try_next() {
        Some(delivery) => Ok(Some(delivery)),
        None => timeout(patience, reader.next()).await.ok().transpose(),
    }
}
