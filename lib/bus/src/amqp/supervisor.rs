//! Keeps one connection to a vhost: makes it, watches it, makes it again.

use super::{
    backoff::Backoff,
    config::{AmqpConfig, Place},
    declare::{Manner, declare_on},
    failure::Failure,
    lock::{self, Locks},
    publish::ChannelPool,
    tls,
};
use crate::{BusError, ConnectionState, Declaration};
use futures_util::StreamExt;
use lapin::{Connection, Event, types::ReplyCode};
use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long TCP, TLS and the AMQP handshake may take together.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// How long the broker may take to answer Connection.Close.
const CLOSING: Duration = Duration::from_secs(5);
/// How often a connection is looked at besides being listened to.
const LOOK: Duration = Duration::from_secs(5);
/// How long a broker that was away may take to find its streams again.
const SETTLING: Duration = Duration::from_secs(15);
/// AMQP's reply code for a connection that ends as it should.
const SUCCESS: ReplyCode = 200;

/// One vhost on a broker: what publishers, readers and consumers share. The connection ends with the last of them.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    pub(super) pool: ChannelPool,
    stop: CancellationToken,
    _stop_with_the_last: DropGuard,
}

#[derive(Debug)]
struct Shared {
    config: AmqpConfig,
    place: Place,
    link: watch::Sender<Link>,
    state: watch::Sender<ConnectionState>,
    objects: Mutex<Objects>,
    locks: Mutex<Locks>,
    /// Somebody wants the next attempt now.
    hurry: Notify,
}

/// What is declared again on each connection, and what had to be made anew by that.
#[derive(Debug, Default)]
struct Objects {
    declaration: Declaration,
    /// How often each stream was made anew.
    recreated: HashMap<String, u64>,
}

/// The connection as its users see it.
#[derive(Clone, Debug)]
enum Link {
    Connecting,
    Refused(BusError),
    Up(Up),
    Closed,
}

/// A connection that stood a moment ago.
#[derive(Clone, Debug)]
pub(super) struct Up {
    pub(super) connection: Arc<Connection>,
    /// Tells this connection from the ones before.
    pub(super) generation: u64,
    /// Until when the broker may not have found all of its queues again.
    settled: Instant,
    /// Cancelled when it stands no more: the client does not tell everyone who waits for it.
    pub(super) ended: CancellationToken,
}

impl Up {
    /// Whether a message that goes nowhere may only be early: a broker that has just started takes connections before its streams have
    /// leaders, and what is published to them until then it returns, and confirms (seen of RabbitMQ 3.10; `recover` in 4's
    /// `rabbit_stream_queue.erl` leaves it to the stream coordinator, too).
    pub(super) fn is_settling(&self) -> bool {
        Instant::now() < self.settled
    }
}

impl Session {
    /// Starts to connect in the background, for ever.
    pub(crate) fn start(config: AmqpConfig) -> Arc<Self> {
        let shared = Arc::new(Shared {
            place: config.place(),
            config,
            link: watch::Sender::new(Link::Connecting),
            state: watch::Sender::new(ConnectionState::Connecting { attempt: 0, error: None }),
            objects: Mutex::default(),
            locks: Mutex::default(),
            hurry: Notify::new(),
        });
        let stop = CancellationToken::new();
        tokio::spawn(supervise(Arc::clone(&shared), stop.clone()));
        Arc::new(Self {
            shared,
            pool: ChannelPool::default(),
            stop: stop.clone(),
            _stop_with_the_last: stop.drop_guard(),
        })
    }

    pub(crate) fn state(&self) -> watch::Receiver<ConnectionState> {
        self.shared.state.subscribe()
    }

    pub(crate) async fn connected(&self, limit: Duration) -> Result<(), BusError> {
        match timeout(limit, self.up_or_refused()).await {
            Ok(result) => result.map(|_| ()),
            Err(_) => Err(BusError::Unreachable {
                broker: self.shared.place.broker.clone(),
                seconds: limit.as_secs(),
                text: match &*self.shared.state.borrow() {
                    ConnectionState::Connecting { error: Some(error), .. } => error.clone(),
                    _ => "no answer".to_owned(),
                },
            }),
        }
    }

    pub(crate) async fn close(&self) {
        self.stop.cancel();
        let mut state = self.state();
        // The sender lives in `self`: waiting cannot fail.
        let _ = state.wait_for(|state| *state == ConnectionState::Closed).await;
    }

    /// The connection; waits for it, whatever it takes. Fails only with [`BusError::Closed`].
    pub(super) async fn up(&self) -> Result<Up, BusError> {
        let mut link = self.shared.link.subscribe();
        let settled = link.wait_for(|link| matches!(link, Link::Up(_) | Link::Closed)).await;
        match settled.as_deref() {
            Ok(Link::Up(up)) => Ok(up.clone()),
            _ => Err(BusError::Closed),
        }
    }

    /// The connection; waits through outages, but not for what waiting does not cure. An old refusal is tried once more.
    pub(super) async fn up_or_refused(&self) -> Result<Up, BusError> {
        let mut link = self.shared.link.subscribe();
        if matches!(*link.borrow_and_update(), Link::Refused(_)) {
            self.shared.hurry.notify_one();
            let _ = link.changed().await;
        }
        let settled = link.wait_for(|link| !matches!(link, Link::Connecting)).await;
        match settled.as_deref() {
            Ok(Link::Up(up)) => Ok(up.clone()),
            Ok(Link::Refused(error)) => Err(error.clone()),
            _ => Err(BusError::Closed),
        }
    }

    /// What an error of the client means here.
    pub(super) fn failure(&self, error: &lapin::Error) -> Failure {
        Failure::of(error, &self.shared.place)
    }

    pub(super) fn place(&self) -> &Place {
        &self.shared.place
    }

    /// How objects are declared here.
    pub(super) fn manner(&self) -> Manner<'_> {
        self.shared.manner()
    }

    /// Objects to declare again on each connection.
    pub(super) fn remember(&self, declaration: &Declaration) {
        self.shared.objects().declaration.merge(declaration);
    }

    /// The locks that are held.
    pub(super) fn locks(&self) -> MutexGuard<'_, Locks> {
        self.shared.locks()
    }

    /// A lock's holder is gone.
    pub(crate) fn forget_lock(&self, name: &str, lost: &CancellationToken) {
        self.locks().forget(name, lost);
    }

    /// The connection, if there is one.
    pub(super) fn up_now(&self) -> Option<Up> {
        match &*self.shared.link.borrow() {
            Link::Up(up) => Some(up.clone()),
            Link::Connecting | Link::Refused(_) | Link::Closed => None,
        }
    }

    /// How often a stream was found missing after a reconnection, and made anew.
    pub(super) fn times_recreated(&self, stream: &str) -> u64 {
        self.shared.objects().recreated.get(stream).copied().unwrap_or(0)
    }
}

impl Shared {
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locks(&self) -> MutexGuard<'_, Locks> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn manner(&self) -> Manner<'_> {
        Manner { place: &self.place, checks: self.config.checks }
    }

    /// A connection on which everything is declared. Locks come first: who lost one learns of it before anything can be published.
    async fn open(&self) -> Result<Arc<Connection>, Failure> {
        let connection = self.connect().await?;
        let held = self.locks().names();
        for lost in lock::retake(&connection, &self.place, held).await? {
            self.locks().lose(&lost);
        }
        self.redeclare(&connection).await?;
        Ok(Arc::new(connection))
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let properties = self.config.properties().map_err(Failure::Refused)?;
        let attempt = async {
            match &self.config.tls {
                Some(tls) => tls::connect(self.config.uri.clone(), properties, Arc::clone(tls)).await,
                None => Connection::connect_uri(self.config.uri.clone(), properties).await,
            }
        };
        match timeout(HANDSHAKE, attempt).await {
            Ok(result) => result.map_err(|error| Failure::of(&error, &self.place)),
            Err(_) => Err(Failure::Lost(format!("no AMQP handshake within {} s", HANDSHAKE.as_secs()))),
        }
    }

    /// Declares what was declared before. A refusal leaves the connection standing: other objects still work, and
    /// whoever needs the refused one gets the broker's answer.
    async fn redeclare(&self, connection: &Connection) -> Result<(), Failure> {
        let declaration = self.objects().declaration.clone();
        let mut created = Vec::new();
        let result = declare_on(connection, self.manner(), &declaration, &mut created).await;
        let mut objects = self.objects();
        for stream in created {
            tracing::warn!(
                broker = self.place.broker,
                stream,
                "stream was missing after a reconnection; {}",
                if self.config.checks { "it will be another one" } else { "made anew" }
            );
            *objects.recreated.entry(stream).or_default() += 1;
        }
        match result {
            Err(Failure::Refused(error)) => {
                tracing::error!(%error, "the broker does not have, or refuses to declare, what it had before");
                Ok(())
            }
            other => other,
        }
    }

    fn set_state(&self, state: ConnectionState) {
        self.state.send_replace(state);
    }
}

async fn supervise(shared: Arc<Shared>, stop: CancellationToken) {
    let place = &shared.place;
    let mut backoff = Backoff::connecting();
    let mut attempt = 0;
    let mut told = String::new();
    let mut settling = if shared.config.settles_at_first { SETTLING } else { Duration::ZERO };
    for generation in 1.. {
        let failure = match serve(&shared, generation, settling, &stop).await {
            Served::Stopped => break,
            Served::Ended(error) => {
                settling = SETTLING;
                backoff.reset();
                attempt = 0;
                told.clear();
                tracing::warn!(
                    broker = place.broker,
                    vhost = place.vhost,
                    error,
                    "connection lost; reconnecting"
                );
                Failure::Lost(error)
            }
            Served::Failed(failure) => {
                // When it answers, it may have started a moment ago.
                settling = SETTLING;
                attempt += 1;
                // A new failure is news; its hundredth repetition is not.
                let error = failure.text();
                if error != told {
                    tracing::warn!(
                        broker = place.broker,
                        vhost = place.vhost,
                        error,
                        "cannot connect; retrying"
                    );
                    told = error;
                }
                failure
            }
        };
        shared.set_state(ConnectionState::Connecting { attempt, error: Some(failure.text()) });
        shared.link.send_replace(match failure {
            Failure::Lost(_) => Link::Connecting,
            Failure::Refused(error) => Link::Refused(error),
        });
        tokio::select! {
            () = stop.cancelled() => break,
            () = shared.hurry.notified() => {}
            () = sleep(backoff.pause()) => {}
        }
    }
    shared.link.send_replace(Link::Closed);
    shared.set_state(ConnectionState::Closed);
}

/// How a connection came to its end.
enum Served {
    Stopped,
    Failed(Failure),
    Ended(String),
}

/// One connection, from the first byte to the last.
async fn serve(shared: &Shared, generation: u64, settling: Duration, stop: &CancellationToken) -> Served {
    let opened = tokio::select! {
        opened = shared.open() => opened,
        () = stop.cancelled() => return Served::Stopped,
    };
    let connection = match opened {
        Ok(connection) => connection,
        Err(failure) => return Served::Failed(failure),
    };
    let place = &shared.place;
    tracing::info!(broker = place.broker, vhost = place.vhost, user = place.user, "connected");
    let ended = CancellationToken::new();
    let _in_any_case = ended.clone().drop_guard();
    let settled = Instant::now() + settling;
    shared.link.send_replace(Link::Up(Up {
        connection: Arc::clone(&connection),
        generation,
        settled,
        ended,
    }));
    shared.set_state(ConnectionState::Connected);
    tokio::select! {
        error = watch_over(shared, &connection) => {
            shared.link.send_replace(Link::Connecting);
            Served::Ended(error)
        }
        () = stop.cancelled() => {
            shared.link.send_replace(Link::Closed);
            match timeout(CLOSING, connection.close(SUCCESS, "OK".into())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "connection ended before it was closed"),
                Err(_) => tracing::warn!(broker = place.broker, "broker did not answer Connection.Close"),
            }
            Served::Stopped
        }
    }
}

/// Follows a connection's events until it ends; returns why.
async fn watch_over(shared: &Shared, connection: &Connection) -> String {
    let mut events = pin!(connection.events_listener());
    // What happened before there was a listener, nobody tells.
    while connection.status().connected() {
        match timeout(LOOK, events.next()).await {
            Ok(Some(Event::ConnectionBlocked(reason))) => {
                tracing::warn!(
                    broker = shared.place.broker,
                    reason,
                    "broker takes no messages; publishing waits"
                );
                shared.set_state(ConnectionState::Blocked { reason });
            }
            Ok(Some(Event::ConnectionUnblocked)) => {
                tracing::info!(broker = shared.place.broker, "broker takes messages again");
                shared.set_state(ConnectionState::Connected);
            }
            // A channel's error is an event too; it is told to who used the channel, and the connection goes on.
            Ok(Some(Event::Error(error))) if !connection.status().connected() => {
                return Failure::of(&error, &shared.place).text();
            }
            Ok(Some(_)) | Err(_) => {}
            Ok(None) => break,
        }
    }
    "the connection ended".to_owned()
}
