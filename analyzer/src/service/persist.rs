//! What a running source leaves behind: its checkpoint, when it is due, when it is asked for, and at the end.

use std::io;

use tracing::warn;

use super::{generation::generation, running::Running, saving::Saving, status::ConditionType, store::Store};
use crate::checkpoint::Checkpoint;

impl Running {
    /// Whether it is time for a checkpoint.
    pub(super) fn is_save_due(&self) -> bool {
        self.saving.as_ref().is_some_and(Saving::is_due)
    }

    /// Begins to write a checkpoint if it is time, and tells how the last one went.
    pub(super) async fn save_if_due(&mut self) {
        if !self.is_save_due() {
            return;
        }
        let Some(mut saving) = self.saving.take() else { return };
        if let Some(written) = saving.written().await {
            self.tell_saved(written);
        }
        self.begin_to_save(&mut saving);
        self.saving = Some(saving);
    }

    /// Writes a checkpoint and waits until it is on disk, or told to be failing.
    pub(super) async fn save_now(&mut self) {
        let Some(mut saving) = self.saving.take() else { return };
        saving.wait().await;
        self.begin_to_save(&mut saving);
        if let Some(written) = saving.wait().await {
            self.tell_saved(written);
        }
        self.saving = Some(saving);
    }

    /// Unless what was found is not published yet, or the partition is another's.
    fn begin_to_save(&self, saving: &mut Saving) {
        if !self.unpublished && !self.lost.is_cancelled() {
            saving.begin(|store, take| self.checkpoint(store).write(|image| self.engine.save(image), take));
        }
    }

    /// The last checkpoint before a stop. Messages that wait for a tick were not taken in; they are read again.
    pub(super) async fn save_last(&mut self) {
        self.ticking.stop();
        self.save_now().await;
    }

    /// Leaves nothing behind.
    pub(super) async fn forget(&mut self) {
        if let Some(mut saving) = self.saving.take() {
            saving.wait().await;
            saving.store().remove();
        }
    }

    fn tell_saved(&mut self, written: io::Result<()>) {
        match written {
            Ok(()) => {
                self.conditions.remove(&ConditionType::CheckpointFailing);
            }
            Err(error) => {
                warn!(topology = %self.plan.name, source = %self.source().name, %error, "the checkpoint cannot be written; going on without: a restart reads the stream from an older one. Is the disk full, and may this user write to --data?");
                self.set(ConditionType::CheckpointFailing, error.to_string());
            }
        }
    }

    fn checkpoint(&self, store: &Store) -> Checkpoint {
        Checkpoint {
            of: store.of().to_owned(),
            partition: self.config.partition,
            generation: generation(&self.plan, self.index),
            identity: self.identified.then(|| self.ticking.identity()).flatten(),
            position: self.position,
            last_tick: self.last_tick,
            firing: self.engine.firing(),
            handover: self.handover.clone(),
            producers: self.producers.clone(),
            engine: Vec::new(),
        }
    }
}
