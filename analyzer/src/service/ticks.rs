//! Ticks: the wall time, published into a source's stream and trusted only when read back (DESIGN.md, rule 1).

use std::time::Duration;

use jiff::Timestamp;
use kinetic_api::{
    names,
    plan::{SourcePlan, TopologyPlan},
};
use kinetic_bus::{Bus, HeaderValue, Message};
use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

/// A tick that was read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tick {
    /// When it was published, in milliseconds since the epoch.
    pub(super) wall_ms: i64,
    /// The stream's identity, as its publisher knew or proposed it.
    pub(super) identity: Option<Uuid>,
}

impl Tick {
    /// The tick that a message of this stream is, if it is one.
    pub(super) fn read(message: &Message) -> Option<Self> {
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

/// Publishes a tick at once and then every interval, until cancelled. A broker that is away holds them up; they are not made up for.
pub(super) async fn publish(
    bus: Bus,
    plan: &TopologyPlan,
    source: &SourcePlan,
    identity: watch::Receiver<Option<Uuid>>,
    cancel: CancellationToken,
) {
    let mut timer = time::interval(Duration::from_millis(source.interval_ms.unsigned_abs()));
    timer.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            () = cancel.cancelled() => return,
        }
        let known = *identity.borrow();
        let tick = message(&plan.name, &source.name, known, Uuid::new_v4());
        tokio::select! {
            published = bus.publish(names::METRICS_EXCHANGE, tick) => {
                if let Err(error) = published {
                    warn!(topology = %plan.name, source = %source.name, %error, "a tick was not published");
                }
            }
            () = cancel.cancelled() => return,
        }
    }
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
    fn a_clients_message_is_no_tick() {
        let mut forged = message("web", "pages", None, Uuid::new_v4());
        forged.routing_key = "statsd.web.web-1".into();
        assert_eq!(Tick::read(&forged), None);
    }
}
