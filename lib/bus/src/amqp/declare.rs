//! Declares exchanges, queues and bindings on a broker; or only checks that they are there.

use super::{
    backoff::Backoff,
    config::{Place, short},
    failure::Failure,
    supervisor::Session,
};
use crate::{Argument, Binding, BusError, Declaration, Declared, Exchange, ExchangeKind, Queue, QueueKind};
use lapin::{
    Channel, Connection,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use std::time::Duration;
use tokio::time::sleep;

/// Who waits for an object looks so often whether it is there.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Declares, trying again while the broker is away; what it refuses is the caller's. Who only checks waits for what is missing.
pub(crate) async fn declare(session: &Session, declaration: &Declaration) -> Result<Declared, BusError> {
    let mut backoff = Backoff::retrying();
    let mut created_streams = Vec::new();
    let mut awaits = false;
    loop {
        let up = session.up_or_refused().await?;
        match declare_on(&up.connection, session.manner(), declaration, &mut created_streams).await {
            Ok(()) => {
                session.remember(declaration);
                return Ok(Declared { created_streams });
            }
            Err(Failure::Refused(error @ BusError::NotFound { .. })) if session.manner().checks => {
                if !std::mem::replace(&mut awaits, true) {
                    tracing::info!(%error, "waiting until it is made");
                }
                sleep(LOOK_AGAIN).await;
            }
            Err(Failure::Refused(error)) => return Err(error),
            Err(Failure::Lost(error)) => {
                tracing::debug!(error, "declaring was cut short; trying again");
                sleep(backoff.pause()).await;
            }
        }
    }
}

/// Declares on one connection; adds the streams that were not there to `created`.
pub(super) async fn declare_on(
    connection: &Connection,
    manner: Manner<'_>,
    declaration: &Declaration,
    created: &mut Vec<String>,
) -> Result<(), Failure> {
    let declarer = Declarer { connection, manner };
    for exchange in &declaration.exchanges {
        declarer.exchange(exchange).await?;
    }
    for queue in &declaration.queues {
        let stream = matches!(queue.kind, QueueKind::Stream { .. });
        // Noted before it is declared: if the answer gets lost, the next attempt finds it there.
        if stream && !created.contains(&queue.name) && !declarer.exists(queue).await? {
            created.push(queue.name.clone());
        }
        declarer.queue(queue, arguments(queue.kind)).await?;
    }
    if !manner.checks {
        for binding in &declaration.bindings {
            declarer.binding(binding).await?;
        }
    }
    Ok(())
}

/// Where objects are declared, and whether they are only checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner<'a> {
    pub(super) place: &'a Place,
    pub(super) checks: bool,
}

/// Declares over channels of its own: a refusal closes the channel that it came on.
struct Declarer<'a> {
    connection: &'a Connection,
    manner: Manner<'a>,
}

impl Declarer<'_> {
    async fn exchange(&self, exchange: &Exchange) -> Result<(), Failure> {
        let name = short("an exchange's name", exchange.name.as_str()).map_err(Failure::Refused)?;
        let kind = match exchange.kind {
            ExchangeKind::Topic => lapin::ExchangeKind::Topic,
            ExchangeKind::Direct => lapin::ExchangeKind::Direct,
            ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
        };
        let options = ExchangeDeclareOptions {
            durable: true,
            passive: self.manner.checks,
            ..ExchangeDeclareOptions::default()
        };
        let channel = self.channel().await?;
        channel
            .exchange_declare(name, kind, options, FieldTable::default())
            .await
            .map_err(|error| self.failure(&error))
    }

    async fn exists(&self, queue: &Queue) -> Result<bool, Failure> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        match self.declare_queue(queue, options, FieldTable::default()).await {
            Ok(()) => Ok(true),
            Err(Failure::Refused(BusError::NotFound { .. })) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn queue(&self, queue: &Queue, arguments: FieldTable) -> Result<(), Failure> {
        let options = QueueDeclareOptions {
            durable: true,
            passive: self.manner.checks,
            ..QueueDeclareOptions::default()
        };
        self.declare_queue(queue, options, arguments).await
    }

    async fn binding(&self, binding: &Binding) -> Result<(), Failure> {
        let name = |what, text: &str| short(what, text).map_err(Failure::Refused);
        let queue = name("a queue's name", &binding.queue)?;
        let exchange = name("an exchange's name", &binding.exchange)?;
        let key = name("a binding's key", &binding.routing_key)?;
        let channel = self.channel().await?;
        channel
            .queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default())
            .await
            .map_err(|error| self.failure(&error))
    }

    async fn declare_queue(
        &self,
        queue: &Queue,
        options: QueueDeclareOptions,
        arguments: FieldTable,
    ) -> Result<(), Failure> {
        let name = short("a queue's name", queue.name.as_str()).map_err(Failure::Refused)?;
        let channel = self.channel().await?;
        channel
            .queue_declare(name, options, arguments)
            .await
            .map(|_| ())
            .map_err(|error| self.failure(&error))
    }

    async fn channel(&self) -> Result<Channel, Failure> {
        self.connection.create_channel().await.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &lapin::Error) -> Failure {
        Failure::of(error, self.manner.place)
    }
}

fn arguments(kind: QueueKind) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, argument) in kind.arguments() {
        let value = match argument {
            Argument::Text(text) => AMQPValue::LongString(text.into()),
            Argument::Integer(integer) => AMQPValue::LongLongInt(integer),
        };
        table.insert(name.into(), value);
    }
    table
}
