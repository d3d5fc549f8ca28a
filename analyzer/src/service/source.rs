//! One source at work: its stream in, its findings out.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kinetic_api::plan::TopologyPlan;
use kinetic_bus::{BusError, Message};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::{AnalyzerConfig, Mode, Report, command::Command, running::Running, status::StatusBoard};

/// Without a delivery for so long, while the broker confirms our ticks …
const DEAF: Duration = Duration::from_secs(10);
/// … so many of them, what we read is not what we publish to: the stream was made anew, and is shorter than it was.
const DEAF_TICKS: u64 = 3;

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
    /// Ends the task, as a stop does: what is known is saved.
    pub(super) cancel: CancellationToken,
    /// Ends the task at once: another analyzer has taken over.
    pub(super) lost: CancellationToken,
}

impl SourceTask {
    /// Reads until cancelled, retired, or at the end of what is there.
    pub(super) async fn run(self, mut commands: mpsc::Receiver<Command>) -> Result<Report, BusError> {
        let (cancel, lost) = (self.cancel.clone(), self.lost.clone());
        let (end, input_done) = match &self.config.mode {
            Mode::Live => (None, CancellationToken::new()),
            Mode::Once { input_done } => (Some(Uuid::new_v4()), input_done.clone()),
        };
        let opened = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Report::default()),
            () = lost.cancelled() => return Ok(Report::default()),
            opened = Running::open(self) => opened?,
        };
        let mut running = opened;
        let mut end_is_out = false;
        let mut confirmed = running.ticking.confirmed();
        loop {
            let held_for_long = running.held_for_long();
            tokio::select! {
                biased;
                () = lost.cancelled() => return Ok(running.into_report()),
                () = cancel.cancelled() => {
                    running.save_last().await;
                    return Ok(running.into_report());
                }
                Some(command) = commands.recv() => match command {
                    Command::Plan { plan, index, active_since, done } => {
                        running.reconfigure(plan, index, &active_since).await?;
                        running.save_now().await;
                        // Whoever asked may not wait for it.
                        let _ = done.send(());
                    }
                    Command::Series(request) => request.answer(&running.engine),
                    Command::Retire => {
                        running.retire().await;
                        return Ok(running.into_report());
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
                        let is_end = end_is_out && is_message(&delivery.message, end);
                        running.take(delivery).await;
                        while let Some(next) = running.reader.try_next() {
                            if is_end || (end_is_out && is_message(&next.message, end)) {
                                running.take(next).await;
                                return Ok(running.finish().await);
                            }
                            running.take(next).await;
                            if running.must_stop() || !commands.is_empty() || running.is_save_due() {
                                break;
                            }
                        }
                        if is_end {
                            return Ok(running.finish().await);
                        }
                        running.save_if_due().await;
                        // A replay must not keep ticks and probes waiting.
                        tokio::task::yield_now().await;
                    }
                    Err(BusError::Closed) => return Ok(running.into_report()),
                    Err(error) => {
                        warn!(topology = %running.plan.name, source = %running.source().name, %error, "the stream cannot be read on; looking at it anew");
                        running.reopen().await;
                    }
                },
                () = held_for_long => running.release(None).await,
                Ok(()) = confirmed.changed() => {
                    let ticks = *confirmed.borrow_and_update() - running.heard.1;
                    if ticks >= DEAF_TICKS && running.heard.0.elapsed() >= DEAF {
                        warn!(topology = %running.plan.name, source = %running.source().name, "nothing is delivered, not even our own ticks; looking at the stream anew");
                        running.reopen().await;
                    }
                }
            }
        }
    }
}

fn is_message(message: &Message, id: Option<Uuid>) -> bool {
    id.is_some_and(|id| message.message_id.as_deref() == Some(id.to_string().as_str()))
}
