//! An open connection: both directions, heartbeats on each leg of its own, and every way in which it ends.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use jiff::Timestamp;
use kinetic_api::registry::Hold;
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    Door,
    blocked::Blocked,
    flow::{Course, Failed, Flow, Seen},
    handshake::Session,
    leg::{Leg, Received},
    live::Live,
    refusal::Refusal,
    routes::Who,
    walk::Side,
};
use crate::amqp::{Code, Method, frame::HEARTBEAT};

/// How long a peer may take to answer a Close.
const CLOSING: Duration = Duration::from_secs(5);
/// A connection that is to be drained is quiet when its broker has said nothing for so long.
const QUIET: Duration = Duration::from_millis(300);
/// It is drained after so long in any case.
const SETTLING: Duration = Duration::from_secs(3);

/// An open connection.
pub struct Relay {
    door: Arc<Door>,
    client: Leg,
    broker: Leg,
    /// From the client to the broker.
    up: Flow,
    /// From the broker to the client.
    down: Flow,
    who: Who,
    admission: super::routes::Admission,
    seat: super::account::Seat,
    live: Arc<Live>,
    client_heartbeat: u16,
    beat: Duration,
    client_silence: Silence,
    broker_silence: Silence,
    blocked: Blocked,
    /// Nothing more is read from the client before this moment: its customer is over its pace.
    resume: Option<Instant>,
    closing: bool,
    /// That the client had sent by the last beat.
    messages: u64,
}

/// Since when a leg has been silent, in beats; and whether it was said something.
#[derive(Debug, Default)]
struct Silence {
    beats: u32,
    heard: bool,
    told: bool,
}

/// What stops the moving of bytes.
#[derive(Debug)]
enum Event {
    /// The client's leg ended.
    ClientGone,
    /// The broker's leg ended.
    BrokerGone,
    /// Both agreed to end it.
    Closed,
    /// It must end: the client is told why.
    Failed(Failed),
    /// The customer is over its pace for so long.
    Throttled(Duration),
    /// The broker holds publishers up, or does not any more.
    Blocked,
}

/// How a connection ended, as it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By Close and `CloseOk` of the peers.
    Closed,
    /// The client was gone without a word.
    ClientGone,
    /// The client missed its heartbeats.
    Silent,
    /// The broker was gone.
    BrokerGone,
    /// The client broke the rules.
    Violation(Code),
    /// It was not let stay.
    Refused(Refusal),
    /// The front door stops.
    Drained,
}

impl Ended {
    /// The `reason` that it is counted under.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::ClientGone => "client_gone",
            Self::Silent => "missed_heartbeats",
            Self::BrokerGone => "broker_gone",
            Self::Violation(_) => "violation",
            Self::Refused(refusal) => refusal.label(),
            Self::Drained => "drained",
        }
    }
}

impl Relay {
    /// From a session; `early` is what the client sent behind its Open.
    pub fn new(door: Arc<Door>, client: Leg, session: Session, live: Arc<Live>) -> (Self, Vec<u8>) {
        let Session { broker, who, admission, seat, announced, tune, broker_heartbeat } = session;
        let beat = Duration::from_millis(u64::from(broker_heartbeat.max(1)) * 500);
        let relay = Self {
            door,
            client,
            broker: broker.leg,
            up: Flow::new(Side::Client, tune.frame_max),
            down: Flow::new(Side::Broker, tune.frame_max),
            who,
            admission,
            seat,
            live,
            client_heartbeat: tune.heartbeat,
            beat,
            client_silence: Silence::default(),
            broker_silence: Silence::default(),
            blocked: Blocked::new(announced.takes_blocked),
            resume: None,
            closing: false,
            messages: 0,
        };
        (relay, broker.buffer)
    }

    /// Moves bytes until the connection ends. `from_client` and `from_broker` came with the handshake.
    pub async fn run(mut self, from_client: Vec<u8>, from_broker: Vec<u8>) -> Ended {
        let mut first = Seen::default();
        self.up.feed(&from_client, &mut self.broker, &mut first);
        let mut event = self.notice_up(first);
        let mut first = Seen::default();
        self.down.feed(&from_broker, &mut self.client, &mut first);
        event = event.or_else(|| self.notice_down(first));
        drop((from_client, from_broker));

        let mut changes = self.door.changes();
        if self.door.is_draining() {
            return self.drain().await;
        }
        if let Some(ended) = self.reconsider() {
            return self.leave(ended).await;
        }
        let mut beat = Instant::now() + self.beat;
        let mut timer = std::pin::pin!(sleep_until(beat));
        loop {
            if let Some(event) = event.take() {
                match event {
                    Event::Closed => return self.part(Ended::Closed).await,
                    Event::ClientGone | Event::BrokerGone if self.closing => {
                        return self.part(Ended::Closed).await;
                    }
                    Event::ClientGone => return self.without_client(Ended::ClientGone).await,
                    Event::BrokerGone => return self.leave(Ended::BrokerGone).await,
                    Event::Failed(failed) => return self.fail(failed).await,
                    Event::Throttled(wait) => {
                        self.up.take_course(Course::Finishing);
                        self.resume = Some(Instant::now() + wait);
                    }
                    Event::Blocked => self.tell_blocked(),
                }
            }
            let next = self.resume.map_or(beat, |resume| resume.min(beat));
            if timer.deadline() != next {
                timer.as_mut().reset(next);
            }
            tokio::select! {
                biased;
                moved = poll_fn(|cx| self.poll_move(cx)) => event = Some(moved),
                seen = changes.changed() => {
                    if seen.is_err() || self.door.is_draining() {
                        return self.drain().await;
                    }
                    if let Some(ended) = self.reconsider() {
                        return self.leave(ended).await;
                    }
                }
                () = &mut timer => {
                    let now = Instant::now();
                    if now >= beat {
                        beat = now + self.beat;
                        if let Some(ended) = self.beat() {
                            return match ended {
                                Ended::Silent => self.without_client(ended).await,
                                ended => self.leave(ended).await,
                            };
                        }
                    }
                    if self.resume.is_some_and(|resume| now >= resume) {
                        self.resume = None;
                        event = self.go_on();
                    }
                }
            }
        }
    }

    fn reads_client(&self) -> bool {
        self.broker.is_flushed() && self.up.wants_more() && !self.is_to_pause()
    }

    /// Whether the customer has been paused and this connection has yet to be told: what comes after the pause does not pass before that.
    fn is_to_pause(&self) -> bool {
        !self.blocked.is_paused() && self.seat.account().hold() == Hold::Paused
    }

    fn poll_move(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            let mut moved = false;
            if matches!(self.broker.poll_flush(cx), Poll::Ready(Err(_))) {
                return Poll::Ready(Event::BrokerGone);
            }
            if matches!(self.client.poll_flush(cx), Poll::Ready(Err(_))) {
                return Poll::Ready(Event::ClientGone);
            }
            if self.reads_client() {
                let (up, broker, mut seen) = (&mut self.up, &mut self.broker, Seen::default());
                match self.client.poll_receive(cx, &mut |bytes| up.feed(bytes, broker, &mut seen)) {
                    Poll::Ready(Ok(Received::Some)) => {
                        moved = true;
                        if let Some(event) = self.notice_up(seen) {
                            return Poll::Ready(event);
                        }
                    }
                    Poll::Ready(Ok(Received::End) | Err(_)) => return Poll::Ready(Event::ClientGone),
                    Poll::Pending => {}
                }
            }
            if self.client.is_flushed() {
                let (down, client, mut seen) = (&mut self.down, &mut self.client, Seen::default());
                match self.broker.poll_receive(cx, &mut |bytes| down.feed(bytes, client, &mut seen)) {
                    Poll::Ready(Ok(Received::Some)) => {
                        moved = true;
                        if let Some(event) = self.notice_down(seen) {
                            return Poll::Ready(event);
                        }
                    }
                    Poll::Ready(Ok(Received::End) | Err(_)) => return Poll::Ready(Event::BrokerGone),
                    Poll::Pending => {}
                }
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }

    fn notice_up(&mut self, seen: Seen) -> Option<Event> {
        self.client_silence.heard = true;
        self.broker_silence.told |= !self.broker.is_flushed();
        self.closing |= seen.close;
        self.live.received.add(seen.bytes, seen.messages);
        let wait = self.seat.account().charge(seen.bytes, seen.messages);
        if let Some(failed) = seen.failed {
            return Some(Event::Failed(failed));
        }
        if seen.close_ok {
            return Some(Event::Closed);
        }
        wait.filter(|_| self.up.course() == Course::Passing).map(Event::Throttled)
    }

    fn notice_down(&mut self, seen: Seen) -> Option<Event> {
        self.broker_silence.heard = true;
        self.client_silence.told |= !self.client.is_flushed();
        self.closing |= seen.close;
        self.live.sent.add(seen.bytes, seen.messages);
        self.seat.account().sent.add(seen.bytes, seen.messages);
        if let Some(failed) = seen.failed {
            return Some(match failed {
                Failed::Gone => Event::ClientGone,
                _ => Event::BrokerGone,
            });
        }
        if seen.close_ok {
            return Some(Event::Closed);
        }
        seen.alarm.map(|alarm| {
            self.blocked.hear(alarm);
            Event::Blocked
        })
    }

    /// Lets the client's bytes pass again, first those that have waited.
    fn go_on(&mut self) -> Option<Event> {
        if self.blocked.is_paused() || self.resume.is_some() {
            return None;
        }
        self.up.take_course(Course::Passing);
        let mut seen = Seen::default();
        self.up.feed(&[], &mut self.broker, &mut seen);
        self.notice_up(seen)
    }

    /// Whether the client may stay, now that something has changed.
    fn reconsider(&mut self) -> Option<Ended> {
        match self.door.routes().still(&self.who, &self.admission, &self.door.api_keys()) {
            Ok(admission) => self.admission = admission,
            Err(refusal) => return Some(Ended::Refused(refusal)),
        }
        match self.seat.account().hold() {
            Hold::Disconnected => {
                return Some(Ended::Refused(Refusal::Disconnected(self.admission.customer.name.clone())));
            }
            Hold::Paused if !self.blocked.is_paused() => {
                self.blocked.pause(true);
                self.up.take_course(Course::Finishing);
                self.tell_blocked();
            }
            Hold::No if self.blocked.is_paused() => {
                self.blocked.pause(false);
                self.tell_blocked();
                // What has waited goes on with the next beat of the timer, which is now.
                self.resume = Some(Instant::now());
            }
            Hold::Paused | Hold::No => {}
        }
        None
    }

    /// Tells the client whether publishers are held up, where a frame may begin.
    fn tell_blocked(&mut self) {
        if self.down.is_between_frames()
            && let Some(frame) = self.blocked.tell()
        {
            // A leg that is gone shows when it is read.
            let _ = self.client.send(&frame);
        }
    }

    /// Every half of the heartbeats' interval.
    fn beat(&mut self) -> Option<Ended> {
        self.tell_blocked();
        self.show_up();
        if let Some(refusal) = self.door.expired(&self.who, Timestamp::now()) {
            return Some(Ended::Refused(refusal));
        }
        let (client_reads, broker_reads) = (self.reads_client(), self.client.is_flushed());
        if self.client_heartbeat > 0 {
            // Twice the interval is four beats; one more, as a beat may begin right after something was heard. Whoever was told to publish
            // nothing may say nothing at all: lapin holds back its heartbeats, too, and RabbitMQ waits for none.
            if self.client_silence.passes(client_reads && !self.blocked.is_told()) > 4 {
                return Some(Ended::Silent);
            }
            if self.client_silence.is_untold() && self.client.is_flushed() && self.down.is_between_frames() {
                let _ = self.client.send(&HEARTBEAT);
            }
        }
        if self.broker_silence.passes(broker_reads) > 4 {
            return Some(Ended::BrokerGone);
        }
        if self.broker_silence.is_untold() && self.broker.is_flushed() && self.up.is_between_frames() {
            let _ = self.broker.send(&HEARTBEAT);
        }
        None
    }

    /// Whoever has sent messages since the last beat is heard of now.
    fn show_up(&mut self) {
        let messages = self.live.received.messages.load(Relaxed);
        if messages != self.messages {
            self.messages = messages;
            self.door.attendance().sends(&self.live.who.name(), Timestamp::now());
        }
    }

    async fn fail(self, failed: Failed) -> Ended {
        let (code, text, cause) = match failed {
            Failed::Violation(violation) => (violation.code(), violation.to_string(), (0, 0)),
            Failed::NotImplemented => {
                let text = "credentials are the certificate's: reconnect with a new one".to_owned();
                (Code::NotImplemented, text, (10, 70))
            }
            Failed::Unexpected(method) => {
                (Code::CommandInvalid, "not in an open connection".to_owned(), method)
            }
            Failed::Gone => return self.leave(Ended::BrokerGone).await,
        };
        self.close(code, &text, cause, Ended::Violation(code)).await
    }

    /// Ends it from our side, and tells the client why.
    async fn leave(self, ended: Ended) -> Ended {
        let (code, text) = match &ended {
            Ended::Refused(refusal) => (refusal.code(), refusal.to_string()),
            Ended::Drained => (Code::ConnectionForced, "this front door stops: reconnect".to_owned()),
            _ => (Code::ConnectionForced, "the broker is gone: reconnect".to_owned()),
        };
        self.close(code, &text, (0, 0), ended).await
    }

    /// Lets what is on its way settle, and then ends it.
    async fn drain(mut self) -> Ended {
        tokio::time::sleep(self.door.turn_to_drain()).await;
        self.up.take_course(Course::Finishing);
        let settle = async {
            loop {
                let before = self.live.sent.bytes.load(Relaxed);
                if let Ok(event) = timeout(QUIET, poll_fn(|cx| self.poll_move(cx))).await {
                    match event {
                        Event::Throttled(_) | Event::Blocked => {}
                        _ => return,
                    }
                }
                let after = self.live.sent.bytes.load(Relaxed);
                if before == after && self.up.is_between_frames() {
                    return;
                }
            }
        };
        let _ = timeout(SETTLING, settle).await;
        self.leave(Ended::Drained).await
    }

    async fn close(mut self, code: Code, text: &str, cause: (u16, u16), ended: Ended) -> Ended {
        self.tell_broker(text);
        self.up.take_course(Course::Dropping);
        self.down.take_course(Course::Finishing);
        let frame = Method::close(code, text, cause);
        let mut told = false;
        let closing = poll_fn(|cx| {
            loop {
                let _ = self.broker.poll_flush(cx);
                if self.down.is_between_frames() && !told {
                    told = true;
                    if self.client.send(&frame).is_err() {
                        return Poll::Ready(());
                    }
                }
                if matches!(self.client.poll_flush(cx), Poll::Ready(Err(_))) {
                    return Poll::Ready(());
                }
                let (up, broker, mut seen) = (&mut self.up, &mut self.broker, Seen::default());
                let client = self.client.poll_receive(cx, &mut |bytes| up.feed(bytes, broker, &mut seen));
                match client {
                    Poll::Ready(Ok(Received::Some)) if seen.close_ok || seen.close => return Poll::Ready(()),
                    // Whatever else it sends: it was told, and is no longer listened to.
                    Poll::Ready(Ok(Received::Some)) => continue,
                    Poll::Ready(Ok(Received::End) | Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
                if told || !self.client.is_flushed() {
                    return Poll::Pending;
                }
                let (down, client, mut seen) = (&mut self.down, &mut self.client, Seen::default());
                match self.broker.poll_receive(cx, &mut |bytes| down.feed(bytes, client, &mut seen)) {
                    Poll::Ready(Ok(Received::Some)) if seen.failed.is_none() => {}
                    // The frame that it began will never end: then the client sees the end of the connection alone.
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        let _ = timeout(CLOSING, closing).await;
        self.part(ended).await
    }

    /// Ends it towards the broker, the client being gone: what it sent is handed over first.
    async fn without_client(mut self, ended: Ended) -> Ended {
        self.tell_broker("the client is gone");
        let closing = async {
            self.broker.flush().await?;
            let mut came = Vec::new();
            while self.broker.receive(&mut came).await? == Received::Some {
                // CloseOk is among its last bytes; all others are nobody's any more.
                if came.ends_with(&Method::CloseOk.frame()) {
                    break;
                }
                came.drain(..came.len().saturating_sub(32));
            }
            Ok::<_, std::io::Error>(())
        };
        let _ = timeout(CLOSING, closing).await;
        self.part(ended).await
    }

    /// Between frames the broker can be told that it is over; within one, the end of the connection says it.
    fn tell_broker(&mut self, text: &str) {
        if self.up.is_between_frames() && !self.closing {
            let _ = self.broker.send(&Method::close(Code::ConnectionForced, text, (0, 0)));
        }
    }

    async fn part(mut self, ended: Ended) -> Ended {
        let _ = timeout(CLOSING, async { tokio::join!(self.client.end(), self.broker.end()) }).await;
        ended
    }
}

impl Silence {
    /// One beat later: for how many nothing was heard, as far as was listened.
    fn passes(&mut self, listened: bool) -> u32 {
        self.beats = if std::mem::take(&mut self.heard) || !listened { 0 } else { self.beats + 1 };
        self.beats
    }

    fn is_untold(&mut self) -> bool {
        !std::mem::take(&mut self.told)
    }
}
