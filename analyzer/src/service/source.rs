//! One source at work: its stream in, its findings out.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use kinetic_api::{
    anomaly::Anomaly,
    names,
    plan::{OriginRule, SourcePlan, TopologyPlan},
};
use kinetic_bus::{Bus, BusError, HeaderValue, Message, StreamDelivery, StreamOffset, StreamReader};
use tokio::{
    sync::{mpsc, watch},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::{
    AnalyzerConfig, Mode, Report, declaration,
    metrics::SourceMetrics,
    status::{SourceStatus, StatusBoard},
    ticks::{self, Tick},
};
use crate::engine::{Engine, Input};

/// How long to wait before a finding, or a stream, that the broker refused is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What a source is told while it works.
#[derive(Debug)]
pub(super) enum Command {
    /// The Topology was edited; the source is the one at `index` now.
    Plan { plan: Arc<TopologyPlan>, index: usize, active_since: HashMap<String, i64> },
    /// The source is gone: what fires is resolved.
    Retire,
}

/// A source's task, before it runs.
#[derive(Debug)]
pub(super) struct SourceTask {
    pub(super) config: AnalyzerConfig,
    pub(super) plan: Arc<TopologyPlan>,
    pub(super) index: usize,
    pub(super) active_since: HashMap<String, i64>,
    /// Whether the stream was made just now: then its identity is made now, too.
    pub(super) created: bool,
    pub(super) board: StatusBoard,
}

/// A source's task, running.
struct Running {
    bus: Bus,
    plan: Arc<TopologyPlan>,
    index: usize,
    engine: Engine,
    reader: StreamReader,
    identity: watch::Sender<Option<Uuid>>,
    /// Ends the task.
    cancel: CancellationToken,
    ticker: CancellationToken,
    /// The offset of the last message that was taken in.
    offset: Option<u64>,
    /// The wall time of the last tick that was read.
    last_tick: Option<i64>,
    /// After a rebuild: what the engine before held to be firing when it had read up to an offset.
    handover: Option<(u64, Vec<Anomaly>)>,
    report: Option<Report>,
    metrics: SourceMetrics,
    board: StatusBoard,
}

impl SourceTask {
    /// Reads until cancelled, retired, or at the end of what is there.
    pub(super) async fn run(
        self,
        mut commands: mpsc::Receiver<Command>,
        cancel: CancellationToken,
    ) -> Result<Report, BusError> {
        let source = &self.plan.sources[self.index];
        let reader = self.config.bus.read_stream(&source.stream, StreamOffset::First);
        let Some(reader) = cancel.run_until_cancelled(reader).await else { return Ok(Report::default()) };
        let reader = reader?;
        let engine = Engine::new(&self.plan, self.index, self.config.limits, self.active_since.clone());
        let (end, input_done) = match &self.config.mode {
            Mode::Live => (None, CancellationToken::new()),
            Mode::Once { input_done } => (Some(Uuid::new_v4()), input_done.clone()),
        };
        let mut end_is_out = false;
        let mut running = Running {
            bus: self.config.bus.clone(),
            metrics: self.config.metrics.source(&self.plan.customer, &self.plan.name, &source.name),
            index: self.index,
            engine,
            reader,
            identity: watch::channel(self.created.then(Uuid::new_v4)).0,
            cancel: cancel.clone(),
            ticker: cancel.child_token(),
            offset: None,
            last_tick: None,
            handover: None,
            report: end.map(|_| Report::default()),
            board: self.board,
            plan: self.plan,
        };
        if end.is_none() {
            running.start_ticker();
        }
        running.tell();
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(running.report.unwrap_or_default()),
                Some(command) = commands.recv() => match command {
                    Command::Plan { plan, index, active_since } => {
                        running.reconfigure(plan, index, &active_since, &self.config).await?;
                    }
                    Command::Retire => {
                        running.retire().await;
                        return Ok(running.report.unwrap_or_default());
                    }
                },
                () = input_done.cancelled(), if !end_is_out && end.is_some() => {
                    end_is_out = true;
                    if let Some(id) = end {
                        running.publish_end(id);
                    }
                }
                delivery = running.reader.next() => match delivery {
                    Ok(delivery) => {
                        running.catch_up();
                        let is_end = end_is_out && is_message(&delivery.message, end);
                        running.take(delivery).await;
                        while let Some(next) = running.reader.try_next() {
                            if is_end || (end_is_out && is_message(&next.message, end)) {
                                return Ok(running.finish().await);
                            }
                            running.take(next).await;
                            if cancel.is_cancelled() || !commands.is_empty() {
                                break;
                            }
                        }
                        if is_end {
                            return Ok(running.finish().await);
                        }
                        // A replay must not keep ticks and probes waiting.
                        tokio::task::yield_now().await;
                    }
                    Err(BusError::Closed) => return Ok(running.report.unwrap_or_default()),
                    Err(error) => running.begin_again(&error, &self.config).await,
                },
            }
        }
    }
}

fn is_message(message: &Message, id: Option<Uuid>) -> bool {
    id.is_some_and(|id| message.message_id.as_deref() == Some(id.to_string().as_str()))
}

impl Running {
    fn source(&self) -> &SourcePlan {
        &self.plan.sources[self.index]
    }

    fn start_ticker(&mut self) {
        let (bus, plan, index) = (self.bus.clone(), Arc::clone(&self.plan), self.index);
        let (identity, stop) = (self.identity.subscribe(), self.ticker.clone());
        tokio::spawn(async move { ticks::publish(bus, &plan, &plan.sources[index], identity, stop).await });
    }

    /// The tick after which nothing is left to read. It is published beside the reading: within the process a publisher waits for readers that
    /// are far behind, and that may be us.
    fn publish_end(&self, id: Uuid) {
        let identity = *self.identity.borrow();
        let tick = ticks::message(&self.plan.name, &self.source().name, identity, id);
        let (bus, topology) = (self.bus.clone(), self.plan.name.clone());
        tokio::spawn(async move {
            if let Err(error) = bus.publish(names::METRICS_EXCHANGE, tick).await {
                warn!(%topology, %error, "the end of the stream cannot be marked: stop and try again");
            }
        });
    }

    /// What the stream holds beyond the last tick came while nobody ticked, at the latest now.
    fn catch_up(&mut self) {
        let interval_ms = self.source().interval_ms;
        let now = Timestamp::now().as_millisecond();
        if self.last_tick.is_none_or(|tick| now.saturating_sub(tick) > interval_ms.saturating_mul(2)) {
            self.engine.catch_up(now);
        }
    }

    /// Takes one message in, and publishes what it leads to before the next is looked at.
    async fn take(&mut self, delivery: StreamDelivery) {
        let mut found = Vec::new();
        self.offset = Some(delivery.offset);
        if let Some(tick) = Tick::read(&delivery.message) {
            self.know(tick.identity);
            self.last_tick = Some(tick.wall_ms);
            self.engine.tick(tick.wall_ms, &mut found);
            self.tell();
        } else {
            self.engine.message(&input(self.source(), &delivery.message), &mut found);
        }
        if let Some((until, _)) = self.handover
            && delivery.offset >= until
        {
            self.hand_over(&mut found);
        }
        self.publish(found).await;
    }

    /// A stream's identity is the one in the first tick that can be read in it; whoever reads one without proposes one.
    fn know(&self, read: Option<Uuid>) {
        self.identity.send_if_modified(|known| {
            let unknown = known.is_none();
            if unknown {
                *known = Some(read.unwrap_or_else(Uuid::new_v4));
            }
            unknown
        });
    }

    /// What the engine before held to be firing, and this one does not, is over.
    fn hand_over(&mut self, found: &mut Vec<Anomaly>) {
        if let Some((_, old)) = self.handover.take() {
            self.engine.resolve_orphans(old, found);
        }
    }

    async fn publish(&mut self, found: Vec<Anomaly>) {
        for anomaly in found {
            let data = &anomaly.data;
            debug!(
                customer = %data.customer, topology = %data.topology, analytic = %data.analytic, series = %anomaly.subject,
                state = data.state.as_str(), score = data.score, window_end = %anomaly.time, found = ?data.found,
                "{}", data.explanation
            );
            self.metrics.finding(data);
            if let Some(report) = &mut self.report {
                report.published.push(anomaly.id.clone());
            }
            let message = event(&anomaly);
            while let Err(error) = self.bus.publish(names::ANOMALIES_EXCHANGE, message.clone()).await {
                if error == BusError::Closed {
                    return;
                }
                warn!(id = %anomaly.id, %error, "a finding was not published, trying again");
                time::sleep(RETRY).await;
                let _ = self.bus.declare(&declaration::anomalies()).await;
            }
        }
    }

    async fn reconfigure(
        &mut self,
        plan: Arc<TopologyPlan>,
        index: usize,
        active_since: &HashMap<String, i64>,
        config: &AnalyzerConfig,
    ) -> Result<(), BusError> {
        self.bus.declare(&declaration::topology(&plan)).await?;
        let new_interval = plan.sources[index].interval_ms != self.source().interval_ms;
        let mut found = Vec::new();
        let rebuild = self.engine.reconfigure(&plan, index, active_since.clone(), &mut found).is_err();
        self.plan = plan;
        self.index = index;
        if rebuild {
            let old = self.engine.firing();
            info!(topology = %self.plan.name, source = %self.source().name, "the edit needs the stream to be read again: warming up");
            self.rebuild(active_since.clone(), config).await?;
            self.handover = self.offset.take().map(|offset| (offset, old));
        } else {
            info!(topology = %self.plan.name, source = %self.source().name, "the edit is in effect");
        }
        self.publish(found).await;
        if new_interval && self.report.is_none() {
            self.ticker.cancel();
            self.ticker = self.cancel.child_token();
            self.start_ticker();
        }
        self.tell();
        Ok(())
    }

    async fn rebuild(
        &mut self,
        active_since: HashMap<String, i64>,
        config: &AnalyzerConfig,
    ) -> Result<(), BusError> {
        self.reader = self.bus.read_stream(&self.source().stream, StreamOffset::First).await?;
        self.engine = Engine::new(&self.plan, self.index, config.limits, active_since);
        Ok(())
    }

    /// The stream cannot be read on: it was deleted, or the right to it. It is declared again and read from its beginning; findings that
    /// were published before have the same ids.
    async fn begin_again(&mut self, error: &BusError, config: &AnalyzerConfig) {
        warn!(topology = %self.plan.name, source = %self.source().name, %error, "the stream cannot be read on; reading it anew");
        loop {
            time::sleep(RETRY).await;
            let declared = self.bus.declare(&declaration::topology(&self.plan)).await;
            let active_since = self.engine.active_since().clone();
            let again = match declared {
                Ok(_) => self.rebuild(active_since, config).await,
                Err(error) => Err(error),
            };
            match again {
                Ok(()) => {
                    self.identity.send_replace(None);
                    self.offset = None;
                    return;
                }
                Err(BusError::Closed) => return,
                Err(error) => warn!(topology = %self.plan.name, %error, "the stream cannot be read yet"),
            }
        }
    }

    async fn finish(mut self) -> Report {
        let mut found = Vec::new();
        self.engine.finish(&mut found);
        self.hand_over(&mut found);
        self.publish(found).await;
        self.tell();
        self.report.unwrap_or_default()
    }

    async fn retire(&mut self) {
        self.ticker.cancel();
        let mut found = Vec::new();
        let firing = self.engine.firing();
        self.engine.resolve_all(firing, &mut found);
        self.publish(found).await;
    }

    fn tell(&mut self) {
        let counters = self.engine.counters();
        self.metrics.update(&counters);
        if let Some(bad) = self.engine.take_bad_line() {
            warn!(topology = %self.plan.name, source = %self.source().name, bad_lines = counters.bad_lines, reason = %bad.reason, line = %bad.line, "a line was not understood (one of many is shown)");
        }
        self.board.set(
            &self.source().name,
            SourceStatus {
                live: self.last_tick.is_some(),
                samples: counters.samples,
                series: counters.series,
                windows: counters.windows,
                firing: self.engine.firing_count(),
                analytics: self.engine.analytics(),
            },
        );
    }
}

/// What the engine needs of a message.
fn input<'a>(source: &SourcePlan, message: &'a Message) -> Input<'a> {
    let origin = match &source.origin {
        OriginRule::Header(name) => name.as_str(),
        OriginRule::Tag(_) | OriginRule::Pattern { .. } => names::ORIGIN_HEADER,
    };
    Input {
        body: &message.body,
        routing_key: &message.routing_key,
        content_type: message.content_type.as_deref(),
        origin: match message.header(origin) {
            Some(HeaderValue::Text(text)) => Some(text),
            _ => None,
        },
        timestamp_in_ms: match message.header(names::TIMESTAMP_HEADER) {
            Some(HeaderValue::Int(ms)) => Some(*ms),
            #[allow(clippy::cast_possible_truncation, reason = "`as` saturates; no clock is near the bounds")]
            Some(HeaderValue::Float(ms)) => Some(*ms as i64),
            Some(HeaderValue::Text(text)) => text.parse().ok(),
            _ => None,
        },
        timestamp: message.timestamp,
    }
}

/// A finding as a message: a `CloudEvents` event in JSON's structured mode.
fn event(anomaly: &Anomaly) -> Message {
    Message {
        routing_key: format!("{}.{}", anomaly.data.topology, anomaly.data.analytic),
        content_type: Some(names::CLOUDEVENT_CONTENT_TYPE.into()),
        message_id: Some(anomaly.id.clone()),
        body: serde_json::to_vec(anomaly)
            .expect("a finding holds text and finite numbers, which JSON can carry")
            .into(),
        ..Message::default()
    }
}
