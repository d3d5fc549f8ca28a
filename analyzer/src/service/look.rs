//! Looks whether a stream is the one that is known, and opens it there.

use std::time::Duration;

use kinetic_bus::{Bus, BusError, StreamOffset, StreamReader};
use tokio::{
    sync::watch,
    time::{self, Instant},
};
use uuid::Uuid;

use super::{message::digest, ticks::Tick};
use crate::checkpoint::{Delivered, Position, Resume, Verdict};

/// So many ticks that the broker has confirmed, and nothing delivered: the offset is beyond the stream's end …
const TICKS: u64 = 2;
/// … unless the broker is slow. Given that long at least, and again after the ticks.
const SLOW: Duration = Duration::from_secs(2);

/// A stream that was looked at.
#[derive(Debug)]
pub(super) enum Found {
    /// The one that is known. What is delivered first may have been read before.
    Same {
        /// Reads on.
        reader: StreamReader,
        /// So many messages are gone that were not read.
        lost: u64,
    },
    /// Another one.
    Anew {
        /// What shows it.
        why: &'static str,
    },
}

/// Reads a stream where it was left, until it is clear whether it is the same. `confirmed` counts the ticks that are published meanwhile.
pub(super) async fn look(
    bus: &Bus,
    stream: &str,
    identity: Option<Uuid>,
    position: Position,
    confirmed: &mut watch::Receiver<u64>,
) -> Result<Found, BusError> {
    let from = StreamOffset::Offset(position.anchor.offset);
    let mut reader = bus.read_stream(stream, from).await?;
    let silence = async {
        let (opened, before) = (Instant::now(), *confirmed.borrow());
        // The sender is ours, and lives as long as the source's task.
        let _ = confirmed.wait_for(|count| *count >= before + TICKS).await;
        time::sleep_until(opened + SLOW).await;
        time::sleep(SLOW).await;
    };
    let first = tokio::select! {
        biased;
        first = reader.next() => first,
        () = silence => return Ok(Found::Anew { why: "it ends before the offset that was read last" }),
    };
    let mut resume = Resume::new(identity, position);
    let mut delivery = first;
    loop {
        let next = match delivery {
            Ok(next) => next,
            Err(BusError::StreamRecreated { .. }) => return Ok(Found::Anew { why: "it was deleted" }),
            Err(error) => return Err(error),
        };
        let what =
            Tick::read(&next.message).map_or(Delivered::Message, |tick| Delivered::Tick(tick.identity));
        match resume.delivered(next.offset, digest(&next.message), what) {
            Verdict::Unclear => {}
            Verdict::Anew => return Ok(Found::Anew { why: "what was read last is not in it" }),
            Verdict::Same { lost } => {
                if next.offset > position.anchor.offset {
                    reader = bus.read_stream(stream, from).await?;
                }
                return Ok(Found::Same { reader, lost });
            }
        }
        delivery = reader.next().await;
    }
}
