//! Messages that wait for the next tick, while a stretch of the stream is read in which nobody may have ticked.
//!
//! What is too far ahead of the last tick is counted as future (DESIGN.md, "Time", rule 2). Where nobody ticked for long that would be
//! all there is; so the next tick must be known first. That decides alike whenever the stream is read; the wall clock is asked only
//! where no tick comes in time or within [`MOST_BYTES`].

use std::time::Duration;

use kinetic_bus::StreamDelivery;
use tokio::time::Instant;

/// So much waits at most.
const MOST_BYTES: usize = 32 << 20;

/// What a message takes beside its body, roughly.
const OVERHEAD: usize = 256;

/// Messages that wait, in order.
#[derive(Debug, Default)]
pub(super) struct Lookahead {
    held: Vec<StreamDelivery>,
    bytes: usize,
    since: Option<Instant>,
}

impl Lookahead {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Puts a message at the end; whether there is room for another.
    pub(super) fn hold(&mut self, delivery: StreamDelivery) -> bool {
        self.since.get_or_insert_with(Instant::now);
        self.bytes += delivery.message.body.len() + OVERHEAD;
        self.held.push(delivery);
        self.bytes < MOST_BYTES
    }

    /// Everything that waits.
    pub(super) fn release(&mut self) -> Vec<StreamDelivery> {
        self.bytes = 0;
        self.since = None;
        std::mem::take(&mut self.held)
    }

    /// When the first of those that wait has waited for so long; never, if none waits.
    pub(super) fn waited(&self, patience: Duration) -> impl Future<Output = ()> + use<> {
        let since = self.since;
        async move {
            match since {
                Some(since) => tokio::time::sleep_until(since + patience).await,
                None => std::future::pending().await,
            }
        }
    }
}
