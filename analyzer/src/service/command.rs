//! What a source is told, and asked, while it works.

use std::{collections::HashMap, sync::Arc};

use kinetic_api::plan::TopologyPlan;
use tokio::sync::oneshot;

use crate::engine::{Engine, SeriesPage, SeriesQuery};

/// What a source is told while it works.
#[derive(Debug)]
pub(super) enum Command {
    /// The Topology was edited; the source is the one at `index` now.
    Plan {
        plan: Arc<TopologyPlan>,
        index: usize,
        active_since: HashMap<String, i64>,
        /// Told once the checkpoint that holds the edit is on disk.
        done: oneshot::Sender<()>,
    },
    /// Somebody asks for the series that it sees.
    Series(SeriesRequest),
    /// The source is gone: what fires is resolved.
    Retire,
}

/// What a source is asked, and where the answer goes.
#[derive(Debug)]
pub(super) struct SeriesRequest {
    pub(super) query: Arc<SeriesQuery>,
    pub(super) reply: oneshot::Sender<SeriesPage>,
}

impl SeriesRequest {
    pub(super) fn answer(self, engine: &Engine) {
        // Who asked may have gone.
        let _ = self.reply.send(engine.series(&self.query));
    }
}
