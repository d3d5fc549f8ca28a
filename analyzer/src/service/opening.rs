//! Where a source's task begins to read: where it was left, if the stream is the same, else at the beginning.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use kinetic_api::anomaly::Anomaly;
use kinetic_bus::{Bus, BusError, StreamOffset, StreamReader, needs};
use tokio::time::{self, Instant};
use tracing::{info, warn};
use uuid::Uuid;

use super::{
    Mode, Report,
    drops::Drops,
    generation::generation,
    look::{Found, look},
    lookahead::Lookahead,
    running::{RETRY, Running},
    saving::Saving,
    source::SourceTask,
    status::ConditionType,
    store::{self, Loaded, Store},
    ticks::Ticking,
};
use crate::{
    checkpoint::{Checkpoint, Handover, Producers, Until},
    engine::Engine,
};

impl Running {
    /// Opens the stream, with what the checkpoint knows of it.
    pub(super) async fn open(task: SourceTask) -> Result<Self, BusError> {
        let SourceTask { config, plan, index, active_since, created, board, cancel, lost } = task;
        let once = matches!(config.mode, Mode::Once { .. });
        let store = Store::new(&config.data_dir, &plan, index, config.partition);
        let Loaded { checkpoint, fired, aside } =
            if once { Loaded::default() } else { load(&store, generation(&plan, index)).await };
        let source = &plan.sources[index];
        let (partition, bus) = (config.partition, config.bus.clone());
        let mut ticking = Ticking::new();
        if created {
            ticking.know(Some(Uuid::new_v4()));
        }
        if !once {
            ticking.start(bus.clone(), Arc::clone(&plan), index, partition.leads(), &cancel);
        }
        let (reader, stream) = begin(&bus, &source.stream, &ticking, checkpoint.as_ref(), created).await?;
        let metrics = config.metrics.source(&plan.customer, &plan.name, &source.name, partition);
        let mut running = Self {
            engine: Engine::new(&plan, index, config.limits, active_since)
                .owning(partition)
                .with_types(Arc::clone(&config.types)),
            reader,
            ticking,
            identified: false,
            position: None,
            last_tick: None,
            heard: (Instant::now(), 0),
            lookahead: Lookahead::default(),
            producers: Producers::default(),
            handover: None,
            saving: (!once).then(|| Saving::new(store, metrics.checkpoints())),
            unpublished: false,
            duplicates: 0,
            drops: Drops::default(),
            conditions: BTreeMap::new(),
            report: once.then(Report::default),
            bus,
            config,
            plan,
            index,
            metrics,
            board,
            cancel,
            lost,
        };
        for told in aside {
            running.set(ConditionType::CheckpointSetAside, told);
        }
        running.inherit(fired);
        match (checkpoint, stream) {
            (Some(checkpoint), Stream::Same { lost }) => {
                if lost > 0 {
                    running.data_lost(lost);
                }
                running.resume(checkpoint).await?;
            }
            (Some(checkpoint), Stream::Anew { why }) => {
                running.made_anew(why, store::fired(checkpoint).collect());
            }
            (None, _) => {}
        }
        running.tell();
        Ok(running)
    }

    /// Goes on from a checkpoint of this stream.
    async fn resume(&mut self, checkpoint: Checkpoint) -> Result<(), BusError> {
        let active_since = self.engine.active_since().clone();
        let (limits, partition) = (self.config.limits, self.config.partition);
        let engine =
            Engine::restore(&self.plan, self.index, limits, active_since, partition, &checkpoint.engine);
        match engine {
            Ok(engine) => self.engine = engine.with_types(Arc::clone(&self.config.types)),
            Err(error) => {
                let told = self.saving.as_ref().map(|s| s.store().set_aside("damaged", &error.to_string()));
                self.set(ConditionType::CheckpointSetAside, told.unwrap_or_default());
                self.inherit(store::fired(checkpoint).collect());
                return self.begin_anew(self.engine.active_since().clone()).await;
            }
        }
        let Checkpoint { identity, position, last_tick, producers, handover, .. } = checkpoint;
        info!(topology = %self.plan.name, source = %self.source().name, %partition, offset = position.map(|p| p.last), "resumed from the checkpoint");
        if self.bus.keeps_streams() {
            self.position = position;
            self.identified = identity.is_some();
            if identity.is_some() {
                self.ticking.know(identity);
            }
        }
        (self.last_tick, self.producers, self.handover) = (last_tick, producers, handover);
        Ok(())
    }

    /// The stream is not the one that was read before.
    fn made_anew(&mut self, why: &str, orphans: Vec<Anomaly>) {
        let stream = self.source().stream.clone();
        warn!(topology = %self.plan.name, %stream, why, "the stream was made anew: it is read from its beginning");
        self.set(ConditionType::StreamMadeAnew, format!("stream {stream} was made anew: {why}"));
        if let Some(saving) = &self.saving
            && let Some(told) = saving.store().set_aside_if_there("foreign", "its stream was made anew")
        {
            self.set(ConditionType::CheckpointSetAside, told);
        }
        self.inherit(orphans);
    }

    /// What was firing by another state. Whatever really fires is found again before long, under the incident that is open; what is not
    /// is over: once the stream has been read up to now, and every analytic has had time to make up its mind.
    fn inherit(&mut self, mut firing: Vec<Anomaly>) {
        firing.retain(|anomaly| self.engine.owns(anomaly));
        if firing.is_empty() {
            return;
        }
        let source = self.source();
        let windows = self.plan.analytics.iter().map(|analytic| analytic.persistence.of).max().unwrap_or(1);
        let patience_ms = source.interval_ms * (i64::from(windows) + 2) + source.lateness_ms;
        let until = Until::Tick(Timestamp::now().as_millisecond().saturating_add(patience_ms));
        let before = self.handover.take().into_iter().flat_map(|handover| handover.firing);
        self.handover = Some(Handover { until, firing: before.chain(firing).collect() });
    }

    /// The stream cannot be read on: it was deleted, or the right to it was taken, or another is there by its name. It is declared again,
    /// and looked at; findings that were published before have the same ids.
    pub(super) async fn reopen(&mut self) {
        let identity = self.ticking.identity();
        // What is published meanwhile must not name another stream by this one's identity.
        self.ticking.know(None);
        let (cancel, lost) = (self.cancel.clone(), self.lost.clone());
        loop {
            let attempt = async {
                time::sleep(RETRY).await;
                self.look_again(identity).await
            };
            let again = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                () = lost.cancelled() => break,
                again = attempt => again,
            };
            match again {
                Ok(()) => return,
                Err(BusError::Closed) => break,
                Err(error) => {
                    warn!(topology = %self.plan.name, %error, "the stream cannot be read yet");
                }
            }
        }
        self.ticking.know(identity);
    }

    async fn look_again(&mut self, identity: Option<Uuid>) -> Result<(), BusError> {
        let declared = self.bus.declare(&needs::topology(&self.plan)).await?;
        let stream = self.source().stream.clone();
        let anew = match self.position {
            _ if declared.created_streams.contains(&stream) => Some("it was deleted"),
            None => return self.begin_anew(self.engine.active_since().clone()).await,
            Some(position) => {
                let mut confirmed = self.ticking.confirmed();
                match look(&self.bus, &stream, identity, position, &mut confirmed).await? {
                    Found::Same { reader, lost } => {
                        self.reader = reader;
                        if lost > 0 {
                            self.data_lost(lost);
                        }
                        None
                    }
                    Found::Anew { why } => Some(why),
                }
            }
        };
        self.heard.0 = Instant::now();
        if let Some(why) = anew {
            let active_since = self.engine.active_since().clone();
            let orphans = self.engine.firing();
            self.begin_anew(active_since).await?;
            self.identified = false;
            self.made_anew(why, orphans);
        } else {
            self.ticking.know(identity);
        }
        Ok(())
    }
}

/// What a stream is, beside what a checkpoint tells of it.
enum Stream {
    /// The one that it tells of, or nothing is told; so many messages are gone from it that were not read.
    Same { lost: u64 },
    /// Another one.
    Anew { why: &'static str },
}

/// Opens a stream where a checkpoint left it, if it is the same, else at its beginning.
async fn begin(
    bus: &Bus,
    stream: &str,
    ticking: &Ticking,
    checkpoint: Option<&Checkpoint>,
    created: bool,
) -> Result<(StreamReader, Stream), BusError> {
    let kept = bus.keeps_streams();
    let told = match checkpoint {
        Some(_) if created && kept => Stream::Anew { why: "it did not exist" },
        // In process a stream ends with the process; what is known goes on with the next one.
        Some(Checkpoint { identity, position: Some(position), .. }) if kept => {
            match look(bus, stream, *identity, *position, &mut ticking.confirmed()).await? {
                Found::Same { reader, lost } => return Ok((reader, Stream::Same { lost })),
                Found::Anew { why } => Stream::Anew { why },
            }
        }
        _ => Stream::Same { lost: 0 },
    };
    Ok((bus.read_stream(stream, StreamOffset::First).await?, told))
}

/// Looks at the files away from the tasks that serve.
async fn load(store: &Store, generation: u64) -> Loaded {
    let store = store.clone();
    tokio::task::spawn_blocking(move || store.load(generation)).await.unwrap_or_default()
}
