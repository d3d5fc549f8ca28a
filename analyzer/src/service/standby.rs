//! One analyzer a partition: whoever holds the lock works, the others stand by (DESIGN.md, issue 3: a queue name as the lock).

use std::time::Duration;

use kinetic_api::names;
use kinetic_bus::Lock;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{ActiveSince, Analyzer, AnalyzerError};

/// How often one that stands by tries again.
const AGAIN: Duration = Duration::from_millis(500);

impl Analyzer {
    /// Waits for the lock; None if cancelled, or if the Topology is gone.
    pub(super) async fn stand_by(
        &mut self,
        cancel: &CancellationToken,
    ) -> Result<Option<Lock>, AnalyzerError> {
        let mut standing_by = false;
        self.board.stand_by(false);
        loop {
            let Some(plan) = self.plan.borrow_and_update().clone() else { return Ok(None) };
            let name = names::lock(&plan.name, self.config.partition.index());
            let Some(taken) = cancel.run_until_cancelled(self.config.bus.lock(&name)).await else {
                return Ok(None);
            };
            let taken = taken.map_err(|source| AnalyzerError::Bus { topology: plan.name.clone(), source })?;
            if let Some(lock) = taken {
                if standing_by {
                    info!(topology = %plan.name, partition = %self.config.partition, lock = name, "taking over");
                }
                self.board.stand_by(false);
                return Ok(Some(lock));
            }
            if !standing_by {
                warn!(topology = %plan.name, partition = %self.config.partition, lock = name, "another analyzer is at work on this partition (it holds this exclusive queue): standing by");
                standing_by = true;
                self.board.stand_by(true);
                // What happens from now on is no history for whoever may take over.
                ActiveSince::open(&self.config.data_dir, self.config.active_since.as_deref())?
                    .activate(&plan, &self.config.mode)?;
            }
            if cancel.run_until_cancelled(time::sleep(AGAIN)).await.is_none() {
                return Ok(None);
            }
        }
    }
}
