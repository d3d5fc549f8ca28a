//! A source's task while it reads: what it knows, and what each message does to it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use kinetic_api::{
    anomaly::Anomaly,
    names,
    plan::{SourcePlan, TopologyPlan},
};
use kinetic_bus::{Bus, BusError, StreamDelivery, StreamOffset, StreamReader, needs};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::{
    AnalyzerConfig, Report,
    drops::Drops,
    lookahead::Lookahead,
    message::{digest, event, input},
    metrics::SourceMetrics,
    saving::Saving,
    status::Condition,
    status::{ConditionType, SourceStatus, StatusBoard},
    ticks::{self, Tick, Ticking},
};
use crate::{
    checkpoint::{Anchor, Handover, Position, Producers, Until},
    engine::Engine,
};

/// How long to wait before a finding, or a stream, that the broker refused is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// How long a stop waits for the finding that is being published.
const LAST_FINDING: Duration = Duration::from_secs(3);

/// A source's task, running.
pub(super) struct Running {
    pub(super) bus: Bus,
    pub(super) config: AnalyzerConfig,
    pub(super) plan: Arc<TopologyPlan>,
    pub(super) index: usize,
    pub(super) engine: Engine,
    pub(super) reader: StreamReader,
    pub(super) ticking: Ticking,
    /// Whether the stream's identity was read in it.
    pub(super) identified: bool,
    /// How far the stream was read.
    pub(super) position: Option<Position>,
    /// The wall time of the last tick that was read.
    pub(super) last_tick: Option<i64>,
    /// When the last message was delivered, and how many of our ticks had been confirmed then.
    pub(super) heard: (Instant, u64),
    pub(super) lookahead: Lookahead,
    pub(super) producers: Producers,
    /// What the engine before this one held to be firing, until this one has read as much.
    pub(super) handover: Option<Handover>,
    /// None in a run that ends: it leaves nothing behind.
    pub(super) saving: Option<Saving>,
    /// A finding did not get out: what the engine knows must not be saved.
    pub(super) unpublished: bool,
    pub(super) duplicates: u64,
    pub(super) drops: Drops,
    pub(super) conditions: BTreeMap<ConditionType, Condition>,
    pub(super) report: Option<Report>,
    pub(super) metrics: SourceMetrics,
    pub(super) board: StatusBoard,
    pub(super) cancel: CancellationToken,
    pub(super) lost: CancellationToken,
}

impl Running {
    pub(super) fn source(&self) -> &SourcePlan {
        &self.plan.sources[self.index]
    }

    /// Whether nothing more may be taken in.
    pub(super) fn must_stop(&self) -> bool {
        self.cancel.is_cancelled() || self.lost.is_cancelled() || self.unpublished
    }

    pub(super) fn into_report(self) -> Report {
        self.report.unwrap_or_default()
    }

    pub(super) fn start_ticking(&mut self) {
        let (bus, plan) = (self.bus.clone(), Arc::clone(&self.plan));
        self.ticking.start(bus, plan, self.index, self.config.partition.leads(), &self.cancel);
    }

    /// The tick after which nothing is left to read. It is published beside the reading: within the process a publisher waits for readers that
    /// are far behind, and that may be us.
    pub(super) fn publish_end(&self, id: Uuid) {
        let tick = ticks::message(&self.plan.name, &self.source().name, self.ticking.identity(), id);
        let (bus, topology) = (self.bus.clone(), self.plan.name.clone());
        tokio::spawn(async move {
            if let Err(error) = bus.publish(names::METRICS_EXCHANGE, tick).await {
                warn!(%topology, %error, "the end of the stream cannot be marked: stop and try again");
            }
        });
    }

    /// Takes one message; where nobody may have ticked for long, it waits for the next tick.
    pub(super) async fn take(&mut self, delivery: StreamDelivery) {
        self.heard = (Instant::now(), self.ticking.count());
        let now = Timestamp::now().as_millisecond();
        let behind = self.last_tick.is_some_and(|tick| now.saturating_sub(tick) > self.engine.ahead_ms());
        if !behind && self.lookahead.is_empty() {
            self.take_in(delivery).await;
            return;
        }
        let tick = Tick::read(&delivery.message);
        let has_room = self.lookahead.hold(delivery);
        if tick.is_some() || !has_room {
            self.release(tick.map(|tick| tick.wall_ms)).await;
        }
    }

    /// Waits until messages have waited for a tick for longer than one should take.
    pub(super) fn held_for_long(&self) -> impl Future<Output = ()> + use<> {
        self.lookahead.waited(Duration::from_millis(self.source().interval_ms.unsigned_abs() * 2))
    }

    /// Takes in what waits, given the next tick; without one, the wall clock stands in for it.
    pub(super) async fn release(&mut self, tick: Option<i64>) {
        let next = tick.unwrap_or_else(|| Timestamp::now().as_millisecond());
        if self.last_tick.is_some_and(|last| next.saturating_sub(last) > self.engine.ahead_ms()) {
            self.engine.catch_up(next);
        }
        for delivery in self.lookahead.release() {
            if self.must_stop() {
                return;
            }
            self.take_in(delivery).await;
        }
    }

    /// Takes one message in, and publishes what it leads to before the next is looked at.
    async fn take_in(&mut self, delivery: StreamDelivery) {
        let StreamDelivery { offset, message } = delivery;
        if let Some(Position { last, .. }) = self.position {
            if offset <= last {
                return;
            }
            if offset > last + 1 && self.bus.keeps_streams() {
                self.data_lost(offset - last - 1);
            }
        }
        let mut found = Vec::new();
        let tick = Tick::read(&message);
        // A tick is like no other message; until there is one, the last message must do.
        let anchor = match (tick, self.position) {
            (None, Some(Position { anchor, .. })) => anchor,
            _ => Anchor { offset, digest: digest(&message) },
        };
        self.position = Some(Position { last: offset, anchor });
        if let Some(tick) = tick {
            self.know(tick.identity);
            self.ticking.hear();
            self.last_tick = Some(tick.wall_ms);
            self.engine.tick(tick.wall_ms, &mut found);
            self.tell();
        } else if self.producers.is_new(message.message_id.as_deref()) {
            self.engine.message(&input(&self.plan.sources[self.index], &message), &mut found);
        } else {
            self.duplicates += 1;
        }
        let caught_up = self.handover.as_ref().is_some_and(|handover| match handover.until {
            Until::Offset(until) => offset >= until,
            Until::Tick(until) => tick.is_some_and(|tick| tick.wall_ms >= until),
        });
        if caught_up {
            self.hand_over(&mut found);
        }
        self.publish(found).await;
    }

    /// A stream's identity is the first that a tick tells in it; whoever reads a tick without one proposes one.
    fn know(&mut self, read: Option<Uuid>) {
        if self.identified {
            return;
        }
        self.identified = read.is_some();
        let proposed = self.ticking.identity().unwrap_or_else(Uuid::new_v4);
        self.ticking.know(Some(read.unwrap_or(proposed)));
    }

    /// What the engine before held to be firing, and this one does not, is over.
    fn hand_over(&mut self, found: &mut Vec<Anomaly>) {
        if let Some(Handover { firing, .. }) = self.handover.take() {
            self.engine.resolve_orphans(firing, found);
        }
    }

    /// Publishes findings one by one, each confirmed. One that cannot be published before a stop stays unpublished, and nothing that
    /// contains it is saved.
    async fn publish(&mut self, found: Vec<Anomaly>) {
        for anomaly in found {
            if self.unpublished {
                return;
            }
            let data = &anomaly.data;
            debug!(
                customer = %data.customer, topology = %data.topology, analytic = %data.analytic, series = %anomaly.subject,
                state = data.state.as_str(), score = data.score, window_end = %anomaly.time, found = ?data.found,
                "{}", data.explanation
            );
            let too_late = async {
                self.cancel.cancelled().await;
                time::sleep(LAST_FINDING).await;
            };
            let published = tokio::select! {
                biased;
                () = self.lost.cancelled() => false,
                published = publish_one(&self.bus, &anomaly) => published,
                () = too_late => false,
            };
            if !published {
                self.unpublished = true;
                return;
            }
            self.metrics.finding(data);
            if let Some(report) = &mut self.report {
                report.published.push(anomaly.id.clone());
            }
        }
    }

    pub(super) async fn reconfigure(
        &mut self,
        plan: Arc<TopologyPlan>,
        index: usize,
        active_since: &HashMap<String, i64>,
    ) -> Result<(), BusError> {
        self.bus.declare(&needs::topology(&plan)).await?;
        let new_interval = plan.sources[index].interval_ms != self.source().interval_ms;
        let mut found = Vec::new();
        let rebuild = self.engine.reconfigure(&plan, index, active_since.clone(), &mut found).is_err();
        self.plan = plan;
        self.index = index;
        if rebuild {
            info!(topology = %self.plan.name, source = %self.source().name, "the edit needs the stream to be read again: warming up");
            let until = self.position.map(|position| Until::Offset(position.last));
            let fired = self.fired();
            self.begin_anew(active_since.clone()).await?;
            self.handover = until.map(|until| Handover { until, firing: fired });
        } else {
            info!(topology = %self.plan.name, source = %self.source().name, "the edit is in effect");
        }
        self.publish(found).await;
        if new_interval && self.report.is_none() {
            self.start_ticking();
        }
        self.tell();
        Ok(())
    }

    /// All that fires, or is held to until the stream has been read again.
    pub(super) fn fired(&mut self) -> Vec<Anomaly> {
        let mut fired = self.engine.firing();
        fired.extend(self.handover.take().into_iter().flat_map(|handover| handover.firing));
        fired
    }

    /// Reads the stream from its beginning, with nothing known.
    pub(super) async fn begin_anew(&mut self, active_since: HashMap<String, i64>) -> Result<(), BusError> {
        self.reader = self.bus.read_stream(&self.source().stream, StreamOffset::First).await?;
        self.engine = Engine::new(&self.plan, self.index, self.config.limits, active_since)
            .owning(self.config.partition)
            .with_types(Arc::clone(&self.config.types));
        self.position = None;
        self.producers = Producers::default();
        self.lookahead = Lookahead::default();
        self.last_tick = None;
        Ok(())
    }

    /// Closes what is open, at the end of a run that has one.
    pub(super) async fn finish(mut self) -> Report {
        self.release(None).await;
        let mut found = Vec::new();
        self.engine.finish(&mut found);
        self.hand_over(&mut found);
        self.publish(found).await;
        self.tell();
        self.into_report()
    }

    /// Resolves what fires: the source is no longer read.
    pub(super) async fn retire(&mut self) {
        self.ticking.stop();
        let mut found = Vec::new();
        let fired = self.fired();
        self.engine.resolve_all(fired, &mut found);
        self.publish(found).await;
        self.forget().await;
    }

    pub(super) fn data_lost(&mut self, messages: u64) {
        let told = format!("{messages} messages left stream {} before they were read", self.source().stream);
        warn!(topology = %self.plan.name, source = %self.source().name, messages, "data lost: the stream was trimmed beyond what was read");
        self.set(ConditionType::DataLost, told);
    }

    /// Sets a condition that stays until the process ends, or is cleared.
    pub(super) fn set(&mut self, kind: ConditionType, message: String) {
        self.conditions.insert(kind, Condition { since: Timestamp::now(), message });
        self.tell();
    }

    pub(super) fn tell(&mut self) {
        let counters = self.engine.counters();
        self.metrics.update(&counters, self.duplicates);
        self.metrics.conditions(&self.conditions);
        if let Some(bad) = self.engine.take_bad_line() {
            warn!(topology = %self.plan.name, source = %self.source().name, bad_lines = counters.bad_lines, reason = %bad.reason, line = %bad.line, "a line was not understood (one of many is shown)");
        }
        for told in self.drops.tell(self.last_tick.unwrap_or_default(), &counters) {
            warn!(topology = %self.plan.name, source = %self.source().name, reason = told.reason, dropped = told.dropped, "{}", told.meaning);
        }
        self.board.set(
            &self.source().name,
            SourceStatus {
                live: self.last_tick.is_some(),
                last_tick_ms: self.last_tick,
                samples: counters.samples,
                series: counters.series,
                windows: counters.windows,
                firing: self.engine.firing_count(),
                analytics: self.engine.analytics(),
                conditions: self.conditions.clone(),
            },
        );
    }
}

/// Publishes a finding until it is confirmed; false if the bus was closed.
async fn publish_one(bus: &Bus, anomaly: &Anomaly) -> bool {
    let message = event(anomaly);
    while let Err(error) = bus.publish(names::ANOMALIES_EXCHANGE, message.clone()).await {
        if error == BusError::Closed {
            return false;
        }
        warn!(id = %anomaly.id, %error, "a finding was not published, trying again");
        time::sleep(RETRY).await;
        let _ = bus.declare(&needs::anomalies()).await;
    }
    true
}
