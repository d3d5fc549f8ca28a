//! How an analyzer is asked: control messages in, answers and notices out (DESIGN.md, "Control messages").

use std::time::Duration;

use kinetic_api::{
    control::{Command, CommandError, Controller, Notice},
    names,
};
use kinetic_bus::{Bus, BusError, HeaderValue, Message, OwnQueue, QueueConsumer, needs};
use tokio::{
    sync::{mpsc, oneshot},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Metrics, overrides::Outcome};

/// How long to wait before a queue that the broker refused is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// So many control messages wait at most; of more, the oldest go.
const WAITING: u64 = 1000;

/// A control message, for the analyzer to decide on.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) command: Result<Command, CommandError>,
    pub(super) by: Option<String>,
    pub(super) decided: oneshot::Sender<Decided>,
}

/// What the analyzer has decided, and what tells when that is in effect and durable.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) outcome: Outcome,
    pub(super) done: Vec<oneshot::Receiver<()>>,
}

/// The way in and out, as the analyzer sees it.
#[derive(Debug)]
pub(super) struct Control {
    asked: mpsc::Receiver<Asked>,
    notices: mpsc::UnboundedSender<Notice>,
    /// Where nobody can ask, nobody is gone either.
    _nobody: Option<mpsc::Sender<Asked>>,
}

impl Control {
    /// Takes control messages until cancelled, in a task of its own.
    pub(super) fn start(
        bus: Bus,
        controller: Controller,
        metrics: Metrics,
        cancel: CancellationToken,
    ) -> Self {
        let (asking, asked) = mpsc::channel(1);
        // Bounded by edits of the Topology, which are few.
        let (notices, told) = mpsc::unbounded_channel();
        let desk = Desk { bus, controller, metrics, asking };
        tokio::spawn(async move { cancel.run_until_cancelled(desk.serve(told)).await });
        Self { asked, notices, _nobody: None }
    }

    /// A run that ends takes none.
    pub(super) fn none() -> Self {
        let (asking, asked) = mpsc::channel(1);
        Self { asked, notices: mpsc::unbounded_channel().0, _nobody: Some(asking) }
    }

    /// The next control message.
    pub(super) async fn next(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            // The task ends with the bus or the analyzer only.
            None => std::future::pending().await,
        }
    }

    /// Tells whoever subscribes.
    pub(super) fn tell(&self, notice: Option<Notice>) {
        if let Some(notice) = notice {
            // Where nobody listens nobody needs to know.
            let _ = self.notices.send(notice);
        }
    }
}

/// Takes messages, has them decided on, and answers: one after the other.
struct Desk {
    bus: Bus,
    controller: Controller,
    metrics: Metrics,
    asking: mpsc::Sender<Asked>,
}

impl Desk {
    async fn serve(self, mut notices: mpsc::UnboundedReceiver<Notice>) {
        let mut told = String::new();
        loop {
            let error = match self.queue().await {
                Ok(mut queue) => loop {
                    tokio::select! {
                        Some(notice) = notices.recv() => self.publish_notice(&notice).await,
                        delivery = queue.next() => match delivery {
                            Ok(delivery) => {
                                let message = delivery.message.clone();
                                delivery.ack().await;
                                self.take(message).await;
                                told.clear();
                            }
                            Err(error) => break error,
                        },
                    }
                },
                Err(error) => error,
            };
            if error == BusError::Closed {
                return;
            }
            let text = error.to_string();
            // The broker's refusal is news once.
            if text != told {
                warn!(controller = %self.controller, %error, "control messages cannot be taken; trying again");
                told = text;
            }
            time::sleep(RETRY).await;
        }
    }

    async fn queue(&self) -> Result<QueueConsumer, BusError> {
        self.bus.declare(&needs::control()).await?;
        let Controller { topology, analyzer, .. } = &self.controller;
        let keys = [
            names::control(topology, *analyzer),
            names::control_all(topology),
            names::CONTROL_ALL.to_owned(),
        ];
        let bindings = keys.into_iter().map(|key| (names::CONTROL_EXCHANGE.to_owned(), key)).collect();
        self.bus.consume_own(&OwnQueue { name: None, bindings, max_length: WAITING }, 1).await
    }

    async fn take(&self, message: Message) {
        let header = |name| message.header(name).and_then(HeaderValue::as_str);
        let command = Command::parse(header(names::OPCODE_HEADER), &message.body);
        let opcode = command.as_ref().ok().map(Command::opcode);
        let by = header(names::ASKER_HEADER).map(|by| by.chars().take(100).collect());
        let (sender, decided) = oneshot::channel();
        if self.asking.send(Asked { command, by, decided: sender }).await.is_err() {
            return;
        }
        let Ok(Decided { outcome, done }) = decided.await else { return };
        for done in done {
            // A source that has ended has nothing left to make durable.
            let _ = done.await;
        }
        self.metrics.control(&self.controller, opcode, outcome.answer.ok);
        // First what everybody is told, so that who subscribes and asks over one queue sees the change before the answer.
        if let Some(notice) = &outcome.notice {
            self.publish_notice(notice).await;
        }
        let Some(reply_to) = message.reply_to else { return };
        let answer = Message {
            routing_key: reply_to,
            correlation_id: message.correlation_id,
            content_type: Some(names::JSON_CONTENT_TYPE.into()),
            body: serde_json::to_vec(&outcome.answer).expect("an answer is JSON already").into(),
            ..Message::default()
        };
        self.publish(names::REPLIES_EXCHANGE, answer).await;
    }

    async fn publish_notice(&self, notice: &Notice) {
        let message = Message {
            routing_key: self.controller.to_string(),
            content_type: Some(names::JSON_CONTENT_TYPE.into()),
            body: serde_json::to_vec(notice).expect("a notice is JSON already").into(),
            ..Message::default()
        };
        self.publish(names::CONFIG_EXCHANGE, message).await;
    }

    async fn publish(&self, exchange: &str, message: Message) {
        match self.bus.publish(exchange, message).await {
            // Nobody listens, or who asked has gone.
            Ok(()) | Err(BusError::Unroutable { .. } | BusError::Closed) => {}
            Err(error) => debug!(controller = %self.controller, exchange, %error, "not published"),
        }
    }
}
