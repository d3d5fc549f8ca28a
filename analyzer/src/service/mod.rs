//! An analyzer at work: reads a Topology's streams, ticks, and publishes what its engines find.
//!
//! ```text
//! stream ─▶ source (one task a source) ─▶ engine (pure) ─▶ findings ─▶ kinetic.anomalies
//!    ▲                                                        the only way out, confirmed one by one
//!    └── ticks (one task a source)
//! ```
//!
//! All that is decided follows from what is read in the streams, in order (DESIGN.md, "Time, and what survives a crash"); the wall clock
//! enters as ticks only.

mod active_since;
mod declaration;
mod metrics;
mod source;
mod status;
mod ticks;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use kinetic_api::plan::TopologyPlan;
use kinetic_bus::{Bus, BusError};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::{
    active_since::{ActiveSince, ActiveSinceError},
    declaration::{anomalies, topology as declaration},
    metrics::Metrics,
    status::{SourceStatus, Status},
};
use self::{
    source::{Command, SourceTask},
    status::StatusBoard,
};
use crate::engine::EngineLimits;

/// What an analyzer works with.
#[derive(Clone, Debug)]
pub struct AnalyzerConfig {
    /// The customer's vhost.
    pub bus: Bus,
    /// The folder for what must outlive the process.
    pub data_dir: PathBuf,
    /// What it may use.
    pub limits: EngineLimits,
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
    ActiveSince(#[from] ActiveSinceError),
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
        Self { config, plan, board: StatusBoard::default() }
    }

    /// Where the analyzer tells how it fares.
    #[must_use]
    pub fn status(&self) -> Status {
        self.board.reader()
    }

    /// Reads until cancelled, until the Topology is gone (then what fires is resolved), or, under [`Mode::Once`], to the end.
    pub async fn run(&mut self, cancel: CancellationToken) -> Result<Report, AnalyzerError> {
        let Some(mut plan) = self.plan.borrow_and_update().clone() else { return Ok(Report::default()) };
        let cancel = cancel.child_token();
        let _stop_tasks = cancel.clone().drop_guard();
        let mut since = ActiveSince::open(&self.config.data_dir)?;
        let mut tasks: JoinSet<Result<Report, BusError>> = JoinSet::new();
        let mut sources: HashMap<String, mpsc::Sender<Command>> = HashMap::new();
        let mut report = Report::default();
        self.start_missing(&plan, &mut since, &mut sources, &mut tasks, &cancel).await?;
        if cancel.is_cancelled() {
            return Ok(report);
        }
        info!(customer = %plan.customer, topology = %plan.name, sources = plan.sources.len(), analytics = plan.analytics.len(), "analyzer started");
        loop {
            tokio::select! {
                Some(ended) = tasks.join_next() => {
                    let part = ended
                        .map_err(|e| AnalyzerError::Task { topology: plan.name.clone(), reason: e.to_string() })?
                        .map_err(|source| AnalyzerError::Bus { topology: plan.name.clone(), source })?;
                    report.published.extend(part.published);
                    if tasks.is_empty() {
                        return Ok(report);
                    }
                }
                changed = self.plan.changed() => {
                    // A sender that is gone says nothing more: the plan stays as it is.
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                    let next = self.plan.borrow_and_update().clone();
                    if let Some(next) = next {
                        plan = next;
                        self.apply(&plan, &mut since, &mut sources, &mut tasks, &cancel).await?;
                    } else {
                        for sender in sources.values() {
                            // A task that has ended has nothing left to retire.
                            let _ = sender.send(Command::Retire).await;
                        }
                    }
                }
                () = cancel.cancelled() => {
                    while tasks.join_next().await.is_some() {}
                    return Ok(report);
                }
            }
        }
    }

    /// Takes an edited plan: tells the sources that stay, retires those that are gone, starts new ones.
    async fn apply(
        &self,
        plan: &Arc<TopologyPlan>,
        since: &mut ActiveSince,
        sources: &mut HashMap<String, mpsc::Sender<Command>>,
        tasks: &mut JoinSet<Result<Report, BusError>>,
        cancel: &CancellationToken,
    ) -> Result<(), AnalyzerError> {
        let active = since.activate(plan, &self.config.mode)?;
        let mut gone = Vec::new();
        for (name, sender) in &*sources {
            let command = if let Some(index) = plan.sources.iter().position(|s| &s.name == name) {
                Command::Plan { plan: Arc::clone(plan), index, active_since: active.clone() }
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
        }
        self.start_missing(plan, since, sources, tasks, cancel).await
    }

    async fn start_missing(
        &self,
        plan: &Arc<TopologyPlan>,
        since: &mut ActiveSince,
        sources: &mut HashMap<String, mpsc::Sender<Command>>,
        tasks: &mut JoinSet<Result<Report, BusError>>,
        cancel: &CancellationToken,
    ) -> Result<(), AnalyzerError> {
        let active = since.activate(plan, &self.config.mode)?;
        // A broker that is away is waited for, but not by someone who wants to stop.
        let Some(declared) = cancel.run_until_cancelled(self.config.bus.declare(&declaration(plan))).await
        else {
            return Ok(());
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
            };
            tasks.spawn(task.run(commands, cancel.clone()));
            sources.insert(source.name.clone(), sender);
        }
        Ok(())
    }
}
