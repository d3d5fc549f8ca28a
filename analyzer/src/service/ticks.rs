//! Ticks: the wall time, published into a source's stream and trusted only when read back (DESIGN.md, rule 1).
//!
//! Of several analyzers that share a stream the first ticks; another does when it has not read a tick for three intervals, so that a
//! partition goes on when the first is away, and the stream does not hold N times as many.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kinetic_api::{
    names,
    plan::{SourcePlan, TopologyPlan},
};
use kinetic_bus::{Bus, HeaderValue, Message};
use tokio::{
    sync::watch,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

/// Without a tick for so many intervals, an analyzer that is not the first ticks, too.
const MISSED: u32 = 3;

/// A tick that was read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    /// When it was published, in milliseconds since the epoch.
    pub(crate) wall_ms: i64,
    /// The stream's identity, as its publisher knew or proposed it.
    pub(super) identity: Option<Uuid>,
}

impl Tick {
    /// The tick that a message of this stream is, if it is one.
    pub(crate) fn read(message: &Message) -> Option<Self> {
        if !message.routing_key.starts_with("tick.") {
            return None;
        }
        let Some(HeaderValue::Int(wall_ms)) = message.header(names::TICK_HEADER) else { return None };
        let identity = match message.header(names::STREAM_IDENTITY_HEADER) {
            Some(HeaderValue::Text(text)) => text.parse().ok(),
            _ => None,
        };
        Some(Self { wall_ms: *wall_ms, identity })
    }
}

/// A tick of now. A message id marks it, so that whoever waits for this very tick knows it again.
pub(super) fn message(topology: &str, source: &str, identity: Option<Uuid>, id: Uuid) -> Message {
    let mut headers =
        vec![(names::TICK_HEADER.to_owned(), HeaderValue::Int(Timestamp::now().as_millisecond()))];
    if let Some(identity) = identity {
        headers.push((names::STREAM_IDENTITY_HEADER.to_owned(), HeaderValue::Text(identity.to_string())));
    }
    Message {
        routing_key: names::tick(topology, source),
        headers,
        message_id: Some(id.to_string()),
        ..Message::default()
    }
}

/// The ticks that a source's task publishes, beside its reading.
#[derive(Debug)]
pub(super) struct Ticking {
    /// The stream's identity, once it is known.
    identity: watch::Sender<Option<Uuid>>,
    /// When a tick was last read.
    heard: watch::Sender<Instant>,
    /// How many ticks of ours the broker has confirmed.
    confirmed: watch::Sender<u64>,
    running: CancellationToken,
}

impl Ticking {
    /// No tick yet.
    pub(super) fn new() -> Self {
        Self {
            identity: watch::Sender::new(None),
            heard: watch::Sender::new(Instant::now()),
            confirmed: watch::Sender::new(0),
            running: CancellationToken::new(),
        }
    }

    /// Begins to tick, at once and then every interval, until cancelled or started anew. Whoever does not lead only helps out.
    pub(super) fn start(
        &mut self,
        bus: Bus,
        plan: Arc<TopologyPlan>,
        index: usize,
        leads: bool,
        cancel: &CancellationToken,
    ) {
        self.running.cancel();
        self.running = cancel.child_token();
        let (stop, identity) = (self.running.clone(), self.identity.subscribe());
        let (heard, confirmed) = (self.heard.subscribe(), self.confirmed.clone());
        tokio::spawn(async move {
            let source = &plan.sources[index];
            let publishing = publish(&bus, &plan, source, leads, &identity, &heard, &confirmed);
            stop.run_until_cancelled(publishing).await;
        });
    }

    pub(super) fn stop(&self) {
        self.running.cancel();
    }

    pub(super) fn identity(&self) -> Option<Uuid> {
        *self.identity.borrow()
    }

    pub(super) fn know(&self, identity: Option<Uuid>) {
        self.identity.send_replace(identity);
    }

    /// A tick was read.
    pub(super) fn hear(&self) {
        self.heard.send_replace(Instant::now());
    }

    /// How many of our ticks the broker has confirmed.
    pub(super) fn count(&self) -> u64 {
        *self.confirmed.borrow()
    }

    /// The same, now and in future.
    pub(super) fn confirmed(&self) -> watch::Receiver<u64> {
        self.confirmed.subscribe()
    }
}

/// Ticks for ever: when a window's end is the lateness ago, so that a window which silence closes is closed as soon as it may be. A broker
/// that is away holds ticks up; they are not made up for.
async fn publish(
    bus: &Bus,
    plan: &TopologyPlan,
    source: &SourcePlan,
    leads: bool,
    identity: &watch::Receiver<Option<Uuid>>,
    heard: &watch::Receiver<Instant>,
    confirmed: &watch::Sender<u64>,
) {
    let missed = Duration::from_millis(source.interval_ms.unsigned_abs()) * MISSED;
    loop {
        let known = *identity.borrow();
        let tick = message(&plan.name, &source.name, known, Uuid::new_v4());
        match bus.publish(names::METRICS_EXCHANGE, tick).await {
            Ok(()) => confirmed.send_modify(|count| *count += 1),
            Err(error) => {
                warn!(topology = %plan.name, source = %source.name, %error, "a tick was not published");
            }
        }
        loop {
            let now_ms = Timestamp::now().as_millisecond();
            let pause_ms = until_next(now_ms, source.interval_ms, source.lateness_ms);
            time::sleep(Duration::from_millis(pause_ms.unsigned_abs())).await;
            if leads || heard.borrow().elapsed() > missed {
                break;
            }
        }
    }
}

/// Milliseconds from now to the next tick; at least one, at most an interval.
fn until_next(now_ms: i64, interval_ms: i64, lateness_ms: i64) -> i64 {
    let interval_ms = interval_ms.max(1);
    interval_ms - now_ms.saturating_sub(lateness_ms).rem_euclid(interval_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let identity = Uuid::new_v4();
        let before = Timestamp::now().as_millisecond();
        let tick = Tick::read(&message("web", "pages", Some(identity), Uuid::new_v4())).unwrap();
        assert_eq!(tick.identity, Some(identity));
        assert!(tick.wall_ms >= before);
        assert_eq!(Tick::read(&message("web", "pages", None, Uuid::new_v4())).unwrap().identity, None);
    }

    #[test]
    fn ticks_come_when_a_windows_end_is_the_lateness_ago() {
        for (now, next) in [(20_000, 300), (20_299, 1), (20_300, 10_000), (29_999, 301), (0, 300)] {
            assert_eq!(until_next(now, 10_000, 300), next, "at {now}");
        }
    }

    #[test]
    fn a_clients_message_is_no_tick() {
        let mut forged = message("web", "pages", None, Uuid::new_v4());
        forged.routing_key = "statsd.web.web-1".into();
        assert_eq!(Tick::read(&forged), None);
    }
}
