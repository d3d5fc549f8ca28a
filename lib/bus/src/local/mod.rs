//! A broker of one vhost in this process: the same rules as RabbitMQ's, in memory.

mod queue;
mod record;
mod stream;

pub(crate) use queue::{QueueConsumer, Receipt};
pub(crate) use stream::StreamReader;

use self::queue::WhenFull;
use crate::{
    Binding, BusError, ConnectionState, Declaration, Declared, ExchangeKind, Message, OwnQueue, QueueKind,
    StreamOffset, topic_matches,
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};
use tokio::sync::watch;

/// How errors name this broker where others give host and port.
const BROKER: &str = "in process";

/// Exchanges, queues and bindings of the one vhost.
#[derive(Debug)]
pub(crate) struct Broker {
    objects: RwLock<Objects>,
    state: watch::Sender<ConnectionState>,
    locks: Mutex<HashSet<String>>,
}

#[derive(Debug, Default)]
struct Objects {
    exchanges: HashMap<String, Exchange>,
    queues: HashMap<String, Target>,
    /// How many queues were given a name so far.
    named: u64,
}

#[derive(Debug)]
struct Exchange {
    kind: ExchangeKind,
    bindings: Vec<Bound>,
}

#[derive(Debug)]
struct Bound {
    routing_key: String,
    queue: String,
    target: Target,
}

/// What a binding leads to.
#[derive(Clone, Debug)]
enum Target {
    Stream(Arc<stream::Log>),
    Queue(Arc<queue::Queue>),
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            objects: RwLock::default(),
            state: watch::Sender::new(ConnectionState::Connected),
            locks: Mutex::default(),
        }
    }
}

impl Broker {
    pub(crate) async fn publish(&self, exchange: &str, message: Message) -> Result<(), BusError> {
        self.check_open()?;
        let mut targets = self.read().route(exchange, &message.routing_key)?;
        let Some(last) = targets.pop() else {
            return Err(BusError::Unroutable {
                exchange: exchange.to_owned(),
                routing_key: message.routing_key,
            });
        };
        for target in targets {
            target.put(message.clone()).await?;
        }
        last.put(message).await
    }

    pub(crate) fn declare(&self, declaration: &Declaration) -> Result<Declared, BusError> {
        self.check_open()?;
        self.write().declare(declaration)
    }

    pub(crate) fn read_stream(&self, name: &str, from: StreamOffset) -> Result<StreamReader, BusError> {
        self.check_open()?;
        match self.read().queue(name)? {
            Target::Stream(log) => Ok(StreamReader::new(Arc::clone(log), from)),
            Target::Queue(_) => Err(BusError::WrongKind {
                queue: name.to_owned(),
                is: "a queue",
                hint: "consume it instead of reading it",
            }),
        }
    }

    pub(crate) fn consume(&self, name: &str, prefetch: u16) -> Result<QueueConsumer, BusError> {
        self.check_open()?;
        match self.read().queue(name)? {
            Target::Queue(queue) => Ok(QueueConsumer::new(Arc::clone(queue), prefetch)),
            Target::Stream(_) => Err(BusError::WrongKind {
                queue: name.to_owned(),
                is: "a stream",
                hint: "read it instead of consuming it",
            }),
        }
    }

    /// Whether the name was free.
    pub(crate) fn lock(&self, name: &str) -> bool {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned())
    }

    pub(crate) fn unlock(&self, name: &str) {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    pub(crate) fn consume_own(
        self: &Arc<Self>,
        wanted: &OwnQueue,
        prefetch: u16,
    ) -> Result<QueueConsumer, BusError> {
        self.check_open()?;
        let (name, queue) = self.write().make_own(wanted)?;
        Ok(QueueConsumer::new(queue, prefetch).that_owns(Arc::clone(self), name))
    }

    /// Takes a queue away, and its bindings.
    fn delete_queue(&self, name: &str) {
        let mut objects = self.write();
        objects.queues.remove(name);
        for exchange in objects.exchanges.values_mut() {
            exchange.bindings.retain(|bound| bound.queue != name);
        }
    }

    pub(crate) fn state(&self) -> watch::Receiver<ConnectionState> {
        self.state.subscribe()
    }

    pub(crate) fn check_open(&self) -> Result<(), BusError> {
        if *self.state.borrow() == ConnectionState::Closed { Err(BusError::Closed) } else { Ok(()) }
    }

    pub(crate) fn close(&self) {
        self.state.send_replace(ConnectionState::Closed);
        for target in self.read().queues.values() {
            match target {
                Target::Stream(log) => log.close(),
                Target::Queue(queue) => queue.close(),
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Objects> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Objects {
    /// The queues that a message goes to, each once. The exchange without a name leads to the queue named by the key.
    fn route(&self, exchange: &str, routing_key: &str) -> Result<Vec<Target>, BusError> {
        if exchange.is_empty() {
            return Ok(self.queues.get(routing_key).cloned().into_iter().collect());
        }
        let exchange = self.exchange(exchange)?;
        let mut taken: Vec<&str> = Vec::new();
        let mut targets = Vec::new();
        for bound in &exchange.bindings {
            let routed = match exchange.kind {
                ExchangeKind::Topic => topic_matches(&bound.routing_key, routing_key),
                ExchangeKind::Direct => bound.routing_key == routing_key,
                ExchangeKind::Fanout => true,
            };
            if routed && !taken.contains(&bound.queue.as_str()) {
                taken.push(&bound.queue);
                targets.push(bound.target.clone());
            }
        }
        Ok(targets)
    }

    fn declare(&mut self, declaration: &Declaration) -> Result<Declared, BusError> {
        let mut declared = Declared::default();
        for exchange in &declaration.exchanges {
            let known = self
                .exchanges
                .entry(exchange.name.clone())
                .or_insert_with(|| Exchange { kind: exchange.kind, bindings: Vec::new() });
            if known.kind != exchange.kind {
                return Err(inequivalent("exchange", &exchange.name));
            }
        }
        for queue in &declaration.queues {
            match (self.queues.get(&queue.name), queue.kind) {
                (None, QueueKind::Stream { retention, .. }) => {
                    self.queues
                        .insert(queue.name.clone(), Target::Stream(Arc::new(stream::Log::new(retention))));
                    declared.created_streams.push(queue.name.clone());
                }
                (None, QueueKind::Quorum { max_length }) => {
                    self.queues.insert(
                        queue.name.clone(),
                        Target::Queue(Arc::new(queue::Queue::new(max_length, WhenFull::Wait))),
                    );
                }
                (Some(Target::Stream(log)), QueueKind::Stream { retention, .. }) => log.retain(retention),
                (Some(Target::Queue(known)), QueueKind::Quorum { max_length })
                    if known.is_like(max_length, WhenFull::Wait) => {}
                (Some(_), _) => return Err(inequivalent("queue", &queue.name)),
            }
        }
        for Binding { exchange, queue, routing_key } in &declaration.bindings {
            self.bind(exchange, queue, routing_key)?;
        }
        Ok(declared)
    }

    fn bind(&mut self, exchange: &str, queue: &str, routing_key: &str) -> Result<(), BusError> {
        let target = self.queue(queue)?.clone();
        let exchange = self.exchanges.get_mut(exchange).ok_or_else(|| not_found("exchange", exchange))?;
        let known = |bound: &Bound| bound.queue == queue && bound.routing_key == routing_key;
        if !exchange.bindings.iter().any(known) {
            let (routing_key, queue) = (routing_key.to_owned(), queue.to_owned());
            exchange.bindings.push(Bound { routing_key, queue, target });
        }
        Ok(())
    }

    fn make_own(&mut self, wanted: &OwnQueue) -> Result<(String, Arc<queue::Queue>), BusError> {
        let name = wanted.name.clone().unwrap_or_else(|| {
            self.named += 1;
            format!("amq.gen-{}", self.named)
        });
        if self.queues.contains_key(&name) {
            return Err(BusError::Refused {
                broker: BROKER.to_owned(),
                text: format!("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}'"),
            });
        }
        for (exchange, _) in &wanted.bindings {
            self.exchange(exchange)?;
        }
        let queue = Arc::new(queue::Queue::new(wanted.max_length, WhenFull::DropOldest));
        self.queues.insert(name.clone(), Target::Queue(Arc::clone(&queue)));
        for (exchange, routing_key) in &wanted.bindings {
            self.bind(exchange, &name, routing_key)?;
        }
        Ok((name, queue))
    }

    fn exchange(&self, name: &str) -> Result<&Exchange, BusError> {
        self.exchanges.get(name).ok_or_else(|| not_found("exchange", name))
    }

    fn queue(&self, name: &str) -> Result<&Target, BusError> {
        self.queues.get(name).ok_or_else(|| not_found("queue", name))
    }
}

impl Target {
    async fn put(&self, message: Message) -> Result<(), BusError> {
        match self {
            Self::Stream(log) => log.append(message).await,
            Self::Queue(queue) => queue.push(message).await,
        }
    }
}

fn not_found(what: &str, name: &str) -> BusError {
    BusError::NotFound { broker: BROKER.to_owned(), text: format!("NOT_FOUND - no {what} '{name}'") }
}

fn inequivalent(what: &str, name: &str) -> BusError {
    BusError::PreconditionFailed {
        broker: BROKER.to_owned(),
        text: format!("PRECONDITION_FAILED - inequivalent arguments for {what} '{name}'"),
    }
}
