//! Asking analyzers over a bus: who is there, what they answer, who does not.

use std::{collections::BTreeMap, time::Duration};

use kinetic_analyzer::service;
use kinetic_api::{
    control::{Answer, Command, Notice},
    names,
};
use kinetic_bus::{Bus, BusError, HeaderValue, Message, OwnQueue, QueueConsumer};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::place::Target;

/// After so long without a further answer those that are there have answered who is there.
const QUIET: Duration = Duration::from_secs(1);

/// So many answers and notices wait at most.
const WAITING: u64 = 10_000;

/// A command, and how long to wait for its answers.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) target: Target,
    pub(crate) command: Command,
    /// Who asks.
    pub(crate) by: String,
    pub(crate) patience: Duration,
    /// So many analyzers must answer.
    pub(crate) expect: Option<usize>,
}

/// What came of a command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// By Topology and number.
    pub(crate) answers: Vec<Answer>,
    /// Analyzers that are not there.
    pub(crate) absent: Vec<String>,
    /// Analyzers that are there and have not answered in time.
    pub(crate) silent: Vec<String>,
}

impl Report {
    /// Whether all that should have has done what was asked.
    pub(crate) fn is_ok(&self, expect: Option<usize>) -> bool {
        self.absent.is_empty()
            && self.silent.is_empty()
            && self.answers.iter().all(|answer| answer.ok)
            && self.answers.len() >= expect.unwrap_or(1)
    }
}

/// What comes in without being asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    /// A change of an analyzer's configuration object.
    Notice(Notice),
    /// An answer to a question that is given up.
    Late(Answer),
}

/// Asks over a bus. Answers and notices come in over one queue, in the order in which they were sent.
#[derive(Debug)]
pub(crate) struct Asker {
    bus: Bus,
    queue: QueueConsumer,
    /// Where answers go.
    key: String,
}

/// One analyzer: Topology and number.
type Address = (String, u32);

impl Asker {
    pub(crate) async fn open(bus: Bus) -> Result<Self, BusError> {
        bus.declare(&service::control_exchanges()).await?;
        let key = format!("arc.{}", Uuid::new_v4());
        let bindings = vec![
            (names::REPLIES_EXCHANGE.to_owned(), key.clone()),
            (names::CONFIG_EXCHANGE.to_owned(), String::new()),
        ];
        let queue = bus.consume_own(&OwnQueue { name: None, bindings, max_length: WAITING }, 100).await?;
        Ok(Self { bus, queue, key })
    }

    /// Waits for what comes in. Cancel-safe.
    pub(crate) async fn hear(&mut self) -> Result<Heard, BusError> {
        loop {
            match self.next().await? {
                (_, Some(Incoming::Notice(notice))) => return Ok(Heard::Notice(notice)),
                (_, Some(Incoming::Answer(answer))) => return Ok(Heard::Late(answer)),
                (_, None) => {}
            }
        }
    }

    /// Asks, and collects the answers; what else comes in meanwhile goes to `hear`.
    pub(crate) async fn ask(
        &mut self,
        question: &Question,
        hear: &mut impl FnMut(Heard),
    ) -> Result<Report, BusError> {
        let (key, topology) = match &question.target {
            Target::Analyzer(topology, number) => {
                let mut round = Round::default();
                self.each(vec![(topology.clone(), *number)], question, &mut round, hear).await?;
                return Ok(round.report());
            }
            Target::Topology(topology) => (names::control_all(topology), Some(topology.clone())),
            Target::All => (names::CONTROL_ALL.to_owned(), None),
        };
        let mut called = Round::default();
        let until = Instant::now() + question.patience;
        if !self.publish(&mut called, &key, &Command::Read, &question.by, until).await? {
            let absent = vec![topology.unwrap_or_else(|| names::CONTROL_ALL.to_owned())];
            return Ok(Report { absent, ..Report::default() });
        }
        let one_topology = topology.is_some();
        let complete = |round: &Round| {
            let count = round.answers.len();
            question.expect.is_some_and(|expect| count >= expect)
                || (one_topology
                    && round
                        .answers
                        .values()
                        .next()
                        .is_some_and(|a| count >= a.controller.analyzers as usize))
        };
        let quiet = question.expect.is_none().then_some(QUIET);
        self.collect(&mut called, until, quiet, complete, hear).await?;
        let mut addresses: Vec<Address> = called
            .answers
            .keys()
            .map(|(topology, _)| topology.clone())
            .flat_map(|topology| {
                let analyzers = called
                    .answers
                    .iter()
                    .filter(|((t, _), _)| *t == topology)
                    .map(|(_, a)| a.controller.analyzers)
                    .max();
                (0..analyzers.unwrap_or_default()).map(move |number| (topology.clone(), number))
            })
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            called.silent = vec![topology.unwrap_or_else(|| names::CONTROL_ALL.to_owned())];
            return Ok(called.report());
        }
        let mut round = Round::default();
        if question.command == Command::Read {
            addresses.retain(|address| !called.answers.contains_key(address));
            round.answers = called.answers;
        }
        self.each(addresses, question, &mut round, hear).await?;
        Ok(round.report())
    }

    /// Asks each of these by name.
    async fn each(
        &mut self,
        addresses: Vec<Address>,
        question: &Question,
        round: &mut Round,
        hear: &mut impl FnMut(Heard),
    ) -> Result<(), BusError> {
        let until = Instant::now() + question.patience;
        let mut waiting = Vec::new();
        for address in addresses {
            let key = names::control(&address.0, address.1);
            if self.publish(round, &key, &question.command, &question.by, until).await? {
                waiting.push(address);
            } else {
                round.absent.push(key);
            }
        }
        let complete = |round: &Round| waiting.iter().all(|address| round.answers.contains_key(address));
        self.collect(round, until, None, complete, hear).await?;
        let silent = waiting.iter().filter(|address| !round.answers.contains_key(*address));
        round.silent.extend(silent.map(|(topology, number)| names::control(topology, *number)));
        Ok(())
    }

    /// Sends a command; false if nobody is there to take it.
    async fn publish(
        &self,
        round: &mut Round,
        key: &str,
        command: &Command,
        by: &str,
        until: Instant,
    ) -> Result<bool, BusError> {
        let id = Uuid::new_v4().to_string();
        round.asked.push(id.clone());
        let text = |name: &str, value: &str| (name.to_owned(), HeaderValue::from(value));
        let message = Message {
            routing_key: key.to_owned(),
            headers: vec![
                text(names::OPCODE_HEADER, command.opcode().as_str()),
                text(names::ASKER_HEADER, by),
            ],
            content_type: Some(names::JSON_CONTENT_TYPE.into()),
            correlation_id: Some(id),
            reply_to: Some(self.key.clone()),
            body: command.body().into(),
            ..Message::default()
        };
        match timeout_at(until, self.bus.publish(names::CONTROL_EXCHANGE, message)).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(BusError::Unroutable { .. })) => Ok(false),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                // Says where the broker should be, and what the last attempt to reach it met.
                self.bus.connected(QUIET).await?;
                Ok(true)
            }
        }
    }

    /// Takes answers in until there are enough, until it is quiet after the first, or until it is time.
    async fn collect(
        &mut self,
        round: &mut Round,
        until: Instant,
        quiet: Option<Duration>,
        complete: impl Fn(&Round) -> bool,
        hear: &mut impl FnMut(Heard),
    ) -> Result<(), BusError> {
        let mut end = until;
        while !complete(round) {
            match timeout_at(end, self.next()).await {
                Err(_) => break,
                Ok(heard) => match heard? {
                    (Some(id), Some(Incoming::Answer(answer))) if round.asked.contains(&id) => {
                        let address = (answer.controller.topology.clone(), answer.controller.analyzer);
                        round.answers.insert(address, answer);
                        end = quiet.map_or(until, |quiet| until.min(Instant::now() + quiet));
                    }
                    (_, Some(Incoming::Answer(answer))) => hear(Heard::Late(answer)),
                    (_, Some(Incoming::Notice(notice))) => hear(Heard::Notice(notice)),
                    (_, None) => {}
                },
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<(Option<String>, Option<Incoming>), BusError> {
        let delivery = self.queue.next().await?;
        let Message { correlation_id, body, routing_key, .. } = delivery.message.clone();
        delivery.ack().await;
        // What is neither is somebody's who may publish here, and no answer of ours.
        let incoming = if routing_key == self.key {
            serde_json::from_slice(&body).ok().map(Incoming::Answer)
        } else {
            serde_json::from_slice(&body).ok().map(Incoming::Notice)
        };
        Ok((correlation_id, incoming))
    }
}

/// A message that came in.
enum Incoming {
    Answer(Answer),
    Notice(Notice),
}

/// What was asked at a time, and what came of it.
#[derive(Debug, Default)]
struct Round {
    /// The questions' correlation ids.
    asked: Vec<String>,
    answers: BTreeMap<Address, Answer>,
    absent: Vec<String>,
    silent: Vec<String>,
}

impl Round {
    fn report(self) -> Report {
        let Self { answers, absent, silent, .. } = self;
        Report { answers: answers.into_values().collect(), absent, silent }
    }
}

#[cfg(test)]
mod tests;
