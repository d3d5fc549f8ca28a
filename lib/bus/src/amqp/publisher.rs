//! The pipelined publisher: a task with a channel of its own and a window of unconfirmed messages.

use super::{
    backoff::Backoff,
    convert::Wire,
    failure::Failure,
    publish::confirming_channel,
    supervisor::{Session, Up},
};
use crate::{BusError, Message};
use futures_util::{FutureExt, future};
use lapin::{Channel, Confirmation};
use std::{
    collections::VecDeque,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::sleep,
};

/// How many messages the task takes over at once.
const BATCH: usize = 256;

/// The sender's side.
#[derive(Debug)]
pub(crate) struct Publisher {
    outgoing: mpsc::UnboundedSender<Parcel>,
    ledger: Arc<Ledger>,
}

/// Where a message's own sender is told what became of it.
type Told = oneshot::Sender<Result<(), BusError>>;

/// A message on its way.
struct Parcel {
    wire: Wire,
    /// None: refusals are told to the next who sends.
    told: Option<Told>,
}

/// What both sides account in.
#[derive(Debug)]
struct Ledger {
    /// One permit for each message that may still go unconfirmed. Closed with the bus.
    window: Semaphore,
    size: u32,
    unroutable: AtomicU64,
    refused: Mutex<VecDeque<BusError>>,
}

impl Publisher {
    pub(crate) fn start(session: Arc<Session>, window: usize) -> Self {
        let size = u32::try_from(window.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let ledger = Arc::new(Ledger {
            window: Semaphore::new(size as usize),
            size,
            unroutable: AtomicU64::new(0),
            refused: Mutex::default(),
        });
        // Unbounded, but the window bounds it.
        let (outgoing, incoming) = mpsc::unbounded_channel();
        let worker = Worker {
            ledger: Arc::clone(&ledger),
            incoming,
            again: VecDeque::new(),
            one_by_one: 0,
            finished: false,
            backoff: Backoff::retrying(),
        };
        tokio::spawn(worker.run(session));
        Self { outgoing, ledger }
    }

    pub(crate) async fn send(&self, exchange: &str, message: Message) -> Result<(), BusError> {
        self.hand_over(Parcel { wire: Wire::new(exchange, message)?, told: None }).await?;
        self.ledger.hand_up()
    }

    pub(crate) async fn post(&self, exchange: &str, message: Message, told: Told) -> Result<(), BusError> {
        self.hand_over(Parcel { wire: Wire::new(exchange, message)?, told: Some(told) }).await
    }

    async fn hand_over(&self, parcel: Parcel) -> Result<(), BusError> {
        let permit = self.ledger.window.acquire().await.map_err(|_| BusError::Closed)?;
        self.outgoing.send(parcel).map_err(|_| BusError::Closed)?;
        permit.forget();
        Ok(())
    }

    pub(crate) async fn flush(&self) -> Result<(), BusError> {
        // All permits are back when all is confirmed.
        let all = self.ledger.window.acquire_many(self.ledger.size).await;
        self.ledger.hand_up()?;
        all.map(drop).map_err(|_| BusError::Closed)
    }

    pub(crate) fn unroutable(&self) -> u64 {
        self.ledger.unroutable.load(Ordering::Relaxed)
    }
}

impl Ledger {
    /// The oldest refusal that nobody was told of.
    fn hand_up(&self) -> Result<(), BusError> {
        self.refused().pop_front().map_or(Ok(()), Err)
    }

    fn refused(&self) -> MutexGuard<'_, VecDeque<BusError>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task's side.
struct Worker {
    ledger: Arc<Ledger>,
    incoming: mpsc::UnboundedReceiver<Parcel>,
    /// To be published before anything new: what a connection's end left unconfirmed, and what a full queue refused.
    again: VecDeque<Parcel>,
    /// So many of `again` go out alone: one of them closes the channel, and only alone it shows which.
    one_by_one: usize,
    /// Nobody sends any more.
    finished: bool,
    backoff: Backoff,
}

/// Published, not confirmed.
struct InFlight<'channel> {
    parcel: Parcel,
    confirm: Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send + 'channel>>,
}

/// How a channel came to its end.
enum Ended {
    /// Nobody sends any more, and all is confirmed.
    Done,
    Broken(Failure),
}

impl Worker {
    async fn run(mut self, session: Arc<Session>) {
        while let Ok(up) = session.up().await {
            let ended = match confirming_channel(&up).await {
                Ok(channel) => self.publish_on(&session, &up, &channel).await,
                Err(error) => Ended::Broken(session.failure(&error)),
            };
            match ended {
                Ended::Done => break,
                Ended::Broken(failure) => {
                    self.judge(failure);
                    sleep(self.backoff.pause()).await;
                }
            }
        }
        self.ledger.window.close();
    }

    /// A refusal is its message's where that is known; else all go out one by one until it shows.
    fn judge(&mut self, failure: Failure) {
        match failure {
            Failure::Lost(error) => tracing::debug!(error, "unconfirmed messages will be published again"),
            Failure::Refused(error) if self.one_by_one > 0 => {
                self.one_by_one -= 1;
                if let Some(culprit) = self.again.pop_front() {
                    tracing::warn!(%error, exchange = culprit.wire.exchange.as_str(), "broker refuses a message for good");
                    match culprit.told {
                        // Who posted it may not want to know any more.
                        Some(told) => drop(told.send(Err(error))),
                        None => self.ledger.refused().push_back(error),
                    }
                    self.ledger.window.add_permits(1);
                }
            }
            Failure::Refused(_) => self.one_by_one = self.again.len(),
        }
    }

    /// Publishes until the channel breaks or nothing is left to do.
    async fn publish_on(&mut self, session: &Session, up: &Up, channel: &Channel) -> Ended {
        let mut in_flight: VecDeque<InFlight<'_>> = VecDeque::new();
        let mut nacked: VecDeque<Parcel> = VecDeque::new();
        let mut fresh = Vec::new();
        // While the broker settles messages go out alone until one arrives: together, later ones might arrive first.
        let mut alone = up.is_settling();
        let mut ended = pin!(up.ended.cancelled());
        loop {
            if in_flight.is_empty() && !nacked.is_empty() {
                nacked.append(&mut self.again);
                self.again = std::mem::take(&mut nacked);
                sleep(self.backoff.pause()).await;
            }
            alone = alone && up.is_settling();
            while nacked.is_empty() && (!alone && self.one_by_one == 0 || in_flight.is_empty()) {
                let Some(parcel) = self.again.pop_front() else { break };
                in_flight.push_back(publish(channel, parcel));
            }
            let settled = in_flight.is_empty() && nacked.is_empty();
            if self.finished && settled {
                return Ended::Done;
            }
            let takes_fresh = !self.finished
                && nacked.is_empty()
                && self.again.is_empty()
                && (!alone || in_flight.is_empty());
            let batch = if alone { 1 } else { BATCH };
            tokio::select! {
                biased;
                confirmation = front(&mut in_flight) => {
                    let Some(InFlight { parcel, .. }) = in_flight.pop_front() else { continue };
                    match confirmation {
                        Ok(Confirmation::Nack(None)) => nacked.push_back(parcel),
                        Ok(Confirmation::Ack(Some(_))) if up.is_settling() => nacked.push_back(parcel),
                        Ok(confirmation) => {
                            alone = false;
                            self.confirmed(parcel, confirmation);
                        }
                        Err(error) => {
                            self.keep(nacked.into_iter().chain([parcel]), in_flight);
                            return Ended::Broken(failure(session, up, &error));
                        }
                    }
                }
                () = &mut ended => {
                    self.keep(nacked, in_flight);
                    return Ended::Broken(Failure::Lost("the connection ended".to_owned()));
                }
                taken = self.incoming.recv_many(&mut fresh, batch), if takes_fresh => {
                    self.finished = taken == 0;
                    in_flight.extend(fresh.drain(..).map(|parcel| publish(channel, parcel)));
                }
            }
        }
    }

    /// What is unconfirmed goes out again before the rest, in the order in which it went out.
    fn keep(&mut self, first: impl IntoIterator<Item = Parcel>, in_flight: VecDeque<InFlight<'_>>) {
        let unconfirmed = first.into_iter().chain(in_flight.into_iter().map(|left| left.parcel));
        self.again = unconfirmed.chain(std::mem::take(&mut self.again)).collect();
    }

    fn confirmed(&mut self, parcel: Parcel, confirmation: Confirmation) {
        self.backoff.reset();
        self.one_by_one = self.one_by_one.saturating_sub(1);
        let returned = confirmation.take_message().is_some();
        if returned {
            self.ledger.unroutable.fetch_add(1, Ordering::Relaxed);
        }
        if let Parcel { wire, told: Some(told) } = parcel {
            let unroutable = || BusError::Unroutable {
                exchange: wire.exchange.into(),
                routing_key: wire.routing_key.into(),
            };
            // Who posted it may not want to know any more.
            let _ = told.send(if returned { Err(unroutable()) } else { Ok(()) });
        }
        self.ledger.window.add_permits(1);
    }
}

/// What ended the channel. A refusal that ended the whole connection is no message's.
fn failure(session: &Session, up: &Up, error: &lapin::Error) -> Failure {
    match session.failure(error) {
        Failure::Refused(error) if !up.connection.status().connected() => Failure::Lost(error.to_string()),
        failure => failure,
    }
}

/// Hands a message to the connection and leaves the confirm to be waited for.
fn publish(channel: &Channel, parcel: Parcel) -> InFlight<'_> {
    let mut confirm = parcel.wire.clone().publish(channel).boxed();
    // The first poll queues the frames; being woken again when they are written is of no use.
    if let Poll::Ready(at_once) = confirm.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        confirm = future::ready(at_once).boxed();
    }
    InFlight { parcel, confirm }
}

/// The oldest confirm outstanding; without any, never.
async fn front(in_flight: &mut VecDeque<InFlight<'_>>) -> lapin::Result<Confirmation> {
    match in_flight.front_mut() {
        Some(oldest) => oldest.confirm.as_mut().await,
        None => future::pending().await,
    }
}
