//! An analyzer at work: reads a Topology's streams, ticks, and publishes what its engines find.
//!
//! ```text
//! stream ─▶ source (one task a source) ─▶ engine (pure) ─▶ findings ─▶ kinetic.anomalies
//!    ▲                                                        the only way out, confirmed one by one
//!    └── ticks (one task a source)      └─▶ checkpoint (a file a source)
//! kinetic.control ─▶ control (one task) ─▶ overrides ─▶ the sources' plan ─▶ kinetic.config, kinetic.replies
//! ```
//!
//! All that is decided follows from what is read in the streams, in order (DESIGN.md, "Time, and what survives a crash"); the wall clock
//! enters as ticks only. A task begins in `opening`, where the checkpoint says; `running` is what it does with a message.

mod active_since;
mod command;
mod control;
mod drops;
mod generation;
mod look;
mod lookahead;
mod message;
mod metrics;
mod opening;
mod overrides;
mod persist;
mod record;
mod running;
mod saving;
mod series;
mod source;
mod standby;
mod status;
mod store;
mod ticks;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use kinetic_api::{control::Controller, plan::TopologyPlan};
use kinetic_bus::{Bus, BusError};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use kinetic_bus::needs::{anomalies, control as control_exchanges, topology as declaration};

pub use self::{
    active_since::ActiveSince,
    metrics::Metrics,
    record::RecordError,
    series::SeriesDesk,
    status::{Condition, ConditionType, SourceStatus, Status},
};
use self::{
    command::Command,
    control::{Asked, Control, Decided},
    overrides::Configured,
    source::SourceTask,
    status::StatusBoard,
};
pub(crate) use self::{message::input, ticks::Tick};
use crate::{decode::collectd::types_db::TypesDb, engine::EngineLimits, partition::Partition};

/// What an analyzer works with.
#[derive(Clone, Debug)]
pub struct AnalyzerConfig {
    /// The customer's vhost.
    pub bus: Bus,
    /// The folder for what must outlive the process.
    pub data_dir: PathBuf,
    /// Since when each analytic is active, by name, as whoever made the Topology says: a JSON file, looked at whenever a plan is taken up.
    pub active_since: Option<PathBuf>,
    /// What it may use.
    pub limits: EngineLimits,
    /// Which of the analyzers that share the Topology's streams it is.
    pub partition: Partition,
    /// collectd's types.
    pub types: Arc<TypesDb>,
    /// Whether it goes on or comes to an end.
    pub mode: Mode,
    /// Counters that all analyzers of the process share.
    pub metrics: Metrics,
}

/// Whether an analyzer goes on or comes to an end.
#[derive(Clone, Debug)]
pub enum Mode {
    /// It reads for ever. Findings of windows that ended before their analytic became active are history.
    Live,
    /// It reads what is there once `input_done`, closes all windows and ends. All findings count as live.
    Once {
        /// Cancelled when everything that is to be read has been published and confirmed.
        input_done: CancellationToken,
    },
}

/// What stops an analyzer.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzerError {
    /// The bus refuses what an analyzer needs.
    #[error("topology {topology}: {source}")]
    Bus {
        /// The Topology.
        topology: String,
        /// What the broker said.
        source: BusError,
    },
    /// What must outlive the process cannot be kept.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A task of the analyzer ended by a fault of ours.
    #[error("topology {topology}: an analyzer task failed: {reason}; this is a bug, please report it")]
    Task {
        /// The Topology.
        topology: String,
        /// What the runtime says.
        reason: String,
    },
}

/// One Topology's analyzer.
#[derive(Debug)]
pub struct Analyzer {
    config: AnalyzerConfig,
    plan: watch::Receiver<Option<Arc<TopologyPlan>>>,
    board: StatusBoard,
    desk: SeriesDesk,
}

/// What ends the tasks of an analyzer.
#[derive(Clone, Debug)]
struct Stop {
    /// They save what they know.
    cancel: CancellationToken,
    /// They leave everything as it is: another analyzer has taken over.
    lost: CancellationToken,
}

/// What an analyzer leaves behind.
#[derive(Debug, Default)]
pub struct Report {
    /// The ids of the findings that were published and confirmed, under [`Mode::Once`].
    pub published: Vec<String>,
}

impl Analyzer {
    /// An analyzer for a plan that may change; `None` means that the Topology is gone.
    #[must_use]
    pub fn new(config: AnalyzerConfig, plan: watch::Receiver<Option<Arc<TopologyPlan>>>) -> Self {
        Self { config, plan, board: StatusBoard::default(), desk: SeriesDesk::default() }
    }

    /// Where the analyzer can be asked for the series that it sees.
    #[must_use]
    pub fn series(&self) -> SeriesDesk {
        self.desk.clone()
    }

    /// Where the analyzer tells how it fares.
    #[must_use]
    pub fn status(&self) -> Status {
        self.board.reader()
    }

    /// Reads until cancelled, until the Topology is gone (then what fires is resolved), or, under [`Mode::Once`], to the end. Stands by
    /// while another analyzer of the same partition is at work.
    pub async fn run(&mut self, cancel: CancellationToken) -> Result<Report, AnalyzerError> {
        if matches!(self.config.mode, Mode::Once { .. }) {
            return self.work(&cancel, &CancellationToken::new()).await;
        }
        loop {
            let Some(lock) = self.stand_by(&cancel).await? else { return Ok(Report::default()) };
            let lost = lock.lost();
            let done = self.work(&cancel, &lost).await;
            lock.release().await;
            if !lost.is_cancelled() || cancel.is_cancelled() {
                return done;
            }
        }
    }

    /// Works until cancelled, until the lock is lost, until the Topology is gone, or to the end.
    async fn work(
        &mut self,
        cancel: &CancellationToken,
        lost: &CancellationToken,
    ) -> Result<Report, AnalyzerError> {
        let Some(plan) = self.plan.borrow_and_update().clone() else { return Ok(Report::default()) };
        let cancel = cancel.child_token();
        let _stop_tasks = cancel.clone().drop_guard();
        let (mut configured, mut control) = self.configure(&plan, &cancel)?;
        let mut since = ActiveSince::open(&self.config.data_dir, self.config.active_since.as_deref())?;
        let mut tasks: JoinSet<Result<Report, BusError>> = JoinSet::new();
        let mut sources: HashMap<String, mpsc::Sender<Command>> = HashMap::new();
        let mut report = Report::default();
        let mut is_watched = true;
        let stop = Stop { cancel, lost: lost.clone() };
        self.start_missing(&configured, &mut since, &mut sources, &mut tasks, &stop).await?;
        if stop.cancel.is_cancelled() {
            return Ok(report);
        }
        info!(customer = %plan.customer, topology = %plan.name, partition = %self.config.partition, sources = plan.sources.len(), analytics = plan.analytics.len(), "analyzer started");
        loop {
            tokio::select! {
                biased;
                () = lost.cancelled() => {
                    while tasks.join_next().await.is_some() {}
                    return Ok(report);
                }
                Some(ended) = tasks.join_next() => {
                    let part = ended
                        .map_err(|e| AnalyzerError::Task { topology: plan.name.clone(), reason: e.to_string() })?
                        .map_err(|source| AnalyzerError::Bus { topology: plan.name.clone(), source })?;
                    report.published.extend(part.published);
                    if tasks.is_empty() {
                        return Ok(report);
                    }
                }
                changed = self.plan.changed(), if is_watched => {
                    // A sender that is gone says nothing more: the plan stays as it is.
                    if changed.is_err() {
                        is_watched = false;
                        continue;
                    }
                    let next = self.plan.borrow_and_update().clone();
                    if let Some(next) = next {
                        control.tell(configured.edit(next)?);
                        self.apply(&configured, &mut since, &mut sources, &mut tasks, &stop).await?;
                    } else {
                        configured.forget()?;
                        for sender in sources.values() {
                            // A task that has ended has nothing left to retire.
                            let _ = sender.send(Command::Retire).await;
                        }
                    }
                }
                asked = control.next() => {
                    let Asked { command, by, decided } = asked;
                    let outcome = configured.command(command, by);
                    let done = if outcome.notice.is_some() {
                        self.apply(&configured, &mut since, &mut sources, &mut tasks, &stop).await?
                    } else {
                        Vec::new()
                    };
                    // Who asked may have gone.
                    let _ = decided.send(Decided { outcome, done });
                }
                () = stop.cancel.cancelled() => {
                    while tasks.join_next().await.is_some() {}
                    return Ok(report);
                }
            }
        }
    }

    /// The plan to run, and the way to change it while it runs.
    fn configure(
        &self,
        topology: &Arc<TopologyPlan>,
        cancel: &CancellationToken,
    ) -> Result<(Configured, Control), RecordError> {
        let AnalyzerConfig { bus, data_dir, mode, metrics, .. } = &self.config;
        let controller = Controller {
            customer: topology.customer.clone(),
            topology: topology.name.clone(),
            analyzer: self.config.partition.index().into(),
            analyzers: self.config.partition.of().into(),
        };
        if matches!(mode, Mode::Once { .. }) {
            return Ok((Configured::plain(controller, Arc::clone(topology)), Control::none()));
        }
        let control = Control::start(bus.clone(), controller.clone(), metrics.clone(), cancel.child_token());
        Ok((Configured::open(data_dir, controller, Arc::clone(topology))?, control))
    }

    /// Takes a changed plan: tells the sources that stay, retires those that are gone, starts new ones. What it returns tells, one by one,
    /// when a source has taken it over for good.
    async fn apply(
        &self,
        configured: &Configured,
        since: &mut ActiveSince,
        sources: &mut HashMap<String, mpsc::Sender<Command>>,
        tasks: &mut JoinSet<Result<Report, BusError>>,
        stop: &Stop,
    ) -> Result<Vec<oneshot::Receiver<()>>, AnalyzerError> {
        let plan = configured.plan();
        let active = since.activate(configured.topology(), &self.config.mode)?;
        let (mut gone, mut taken) = (Vec::new(), Vec::new());
        for (name, sender) in &*sources {
            let command = if let Some(index) = plan.sources.iter().position(|s| &s.name == name) {
                let (done, receiver) = oneshot::channel();
                taken.push(receiver);
                Command::Plan { plan: Arc::clone(plan), index, active_since: active.clone(), done }
            } else {
                gone.push(name.clone());
                Command::Retire
            };
            if sender.send(command).await.is_err() {
                warn!(topology = %plan.name, source = %name, "the source's task has ended");
            }
        }
        for name in gone {
            sources.remove(&name);
            self.board.remove(&name);
            self.desk.close(&name);
        }
        self.start_missing(configured, since, sources, tasks, stop).await?;
        Ok(taken)
    }

    async fn start_missing(
        &self,
        configured: &Configured,
        since: &mut ActiveSince,
        sources: &mut HashMap<String, mpsc::Sender<Command>>,
        tasks: &mut JoinSet<Result<Report, BusError>>,
        stop: &Stop,
    ) -> Result<(), AnalyzerError> {
        let plan = configured.plan();
        self.board.set_overridden(configured.overridden());
        // An override does not make an analytic another one: what it finds from now on is news.
        let active = since.activate(configured.topology(), &self.config.mode)?;
        // A broker that is away is waited for, but not by someone who wants to stop.
        let objects = declaration(plan);
        let declared = tokio::select! {
            declared = self.config.bus.declare(&objects) => declared,
            () = stop.cancel.cancelled() => return Ok(()),
            () = stop.lost.cancelled() => return Ok(()),
        };
        let declared =
            declared.map_err(|source| AnalyzerError::Bus { topology: plan.name.clone(), source })?;
        for (index, source) in plan.sources.iter().enumerate() {
            if sources.contains_key(&source.name) {
                continue;
            }
            let (sender, commands) = mpsc::channel(4);
            let task = SourceTask {
                config: self.config.clone(),
                plan: Arc::clone(plan),
                index,
                active_since: active.clone(),
                created: declared.created_streams.contains(&source.stream),
                board: self.board.clone(),
                cancel: stop.cancel.clone(),
                lost: stop.lost.clone(),
            };
            tasks.spawn(task.run(commands));
            self.desk.open(&source.name, sender.clone());
            sources.insert(source.name.clone(), sender);
        }
        Ok(())
    }
}
