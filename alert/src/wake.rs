//! Wakes a task that waits for something to do.

use tokio::sync::Notify;

/// Wakes one waiting task, now or when it next waits.
#[derive(Debug, Default)]
pub(crate) struct Wake(Notify);

impl Wake {
    /// There is something to do.
    pub(crate) fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits until there is; cancel-safe.
    pub(crate) async fn woken(&self) {
        self.0.notified().await;
    }
}
