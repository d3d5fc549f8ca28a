//! When checkpoints are written, and how that goes.

use std::{io, sync::mpsc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use super::{metrics::CheckpointMetrics, store::Store};

/// How often a checkpoint is written at most …
const EVERY: Duration = Duration::from_secs(10);
/// … and so many times longer than making one takes: no more than a twentieth of the time goes into it.
const SHARE: u32 = 20;

/// The checkpoints of a source: one is being written at a time.
#[derive(Debug)]
pub(super) struct Saving {
    store: Store,
    due: Instant,
    writing: Option<JoinHandle<io::Result<()>>>,
    metrics: CheckpointMetrics,
}

impl Saving {
    pub(super) fn new(store: Store, metrics: CheckpointMetrics) -> Self {
        Self { store, due: Instant::now() + EVERY, writing: None, metrics }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Whether it is time for another.
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.due && self.writing.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// How the last one went, once it is written; None if that was told or is not known yet.
    pub(super) async fn written(&mut self) -> Option<io::Result<()>> {
        if !self.writing.as_ref()?.is_finished() {
            return None;
        }
        self.wait().await
    }

    /// Makes a checkpoint, piece by piece, and has the pieces written meanwhile; the one before has been written.
    pub(super) fn begin(&mut self, make: impl FnOnce(&Store, &mut dyn FnMut(Vec<u8>))) {
        let start = Instant::now();
        let (sender, pieces) = mpsc::channel();
        let (store, metrics) = (self.store.clone(), self.metrics.clone());
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let written = store.write(&pieces);
            metrics.written(written.as_ref().ok().copied());
            written.map(drop)
        }));
        // Who writes no more has said why.
        make(&self.store, &mut |piece| drop(sender.send(Some(piece))));
        let _ = sender.send(None);
        self.due = Instant::now() + (start.elapsed() * SHARE).max(EVERY);
    }

    /// Waits until what is being written is written.
    pub(super) async fn wait(&mut self) -> Option<io::Result<()>> {
        Some(self.writing.take()?.await.unwrap_or_else(|e| Err(io::Error::other(e))))
    }
}
