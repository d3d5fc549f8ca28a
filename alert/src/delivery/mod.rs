//! Empties the outbox: every receiver in a lane of its own, so that one that hangs delays no other.

mod attempt;
mod backoff;
mod failure;
mod folder;
mod smtp;
mod smtp_url;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use attempt::Courier;
pub use smtp_url::{SmtpUrl, SmtpUrlError};

use crate::{
    AlertError,
    clock::wall_ms,
    store::{Due, Store},
    wake::Wake,
};

/// Attempts under way for one receiver at most: recipients do not wait for each other, a server is not run over.
const PER_LANE: usize = 4;
/// Attempts under way for all receivers at most.
const IN_ALL: usize = 256;
/// How long attempts under way may take to end when the service stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long the outbox is not looked into at most, whatever the clocks do.
const LOOK: Duration = Duration::from_secs(5);

/// Where mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailTransport {
    /// To a mail server.
    Smtp(SmtpUrl),
    /// Into a folder, as `.eml` files.
    Folder(PathBuf),
}

/// Delivers what is due until cancelled; then waits a little for what is under way.
pub(crate) async fn run(store: &Arc<Store>, courier: &Arc<Courier>, wake: &Wake, cancel: &CancellationToken) {
    let mut under_way = UnderWay::default();
    while !cancel.is_cancelled() {
        let pause = match fill(store, courier, &mut under_way).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "cannot look into the outbox: will try again");
                Duration::from_secs(1)
            }
        };
        tokio::select! {
            () = cancel.cancelled() => break,
            () = wake.woken() => {}
            () = tokio::time::sleep(pause) => {}
            Some(done) = under_way.tasks.join_next() => under_way.done(done),
        }
    }
    let drained = tokio::time::timeout(GRACE, async { while under_way.tasks.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!(
            attempts = under_way.tasks.len(),
            "stopped during these attempts: they are made again at the next start"
        );
    }
}

/// Starts what is due as far as there is room; returns how long there is nothing more to start.
async fn fill(
    store: &Arc<Store>,
    courier: &Arc<Courier>,
    under_way: &mut UnderWay,
) -> Result<Duration, AlertError> {
    let now_ms = wall_ms();
    for lane in store.due_lanes(now_ms).await? {
        // What is under way is still due until it is being handed over.
        for due in store.due(&lane, now_ms, 2 * PER_LANE).await? {
            if under_way.has_room(&lane) && under_way.starts(&due) {
                let (store, courier) = (Arc::clone(store), Arc::clone(courier));
                under_way.tasks.spawn(async move {
                    courier.attempt(&store, &due).await;
                    due
                });
            }
        }
    }
    let next_ms = store.next_delivery(now_ms).await?;
    let pause = next_ms.map_or(LOOK, |next| Duration::from_millis(u64::try_from(next - now_ms).unwrap_or(0)));
    Ok(pause.min(LOOK))
}

/// The attempts under way.
#[derive(Default)]
struct UnderWay {
    tasks: JoinSet<Due>,
    lanes: HashMap<String, HashSet<(String, String)>>,
}

impl UnderWay {
    fn has_room(&self, lane: &str) -> bool {
        self.tasks.len() < IN_ALL && self.lanes.get(lane).is_none_or(|lane| lane.len() < PER_LANE)
    }

    /// Notes an attempt; `false`: it is under way already.
    fn starts(&mut self, due: &Due) -> bool {
        let lane = self.lanes.entry(due.lane.clone()).or_default();
        lane.insert((due.notification.clone(), due.recipient.clone()))
    }

    fn done(&mut self, task: Result<Due, tokio::task::JoinError>) {
        match task {
            Ok(due) => {
                if let Some(lane) = self.lanes.get_mut(&due.lane) {
                    lane.remove(&(due.notification, due.recipient));
                    if lane.is_empty() {
                        self.lanes.remove(&due.lane);
                    }
                }
            }
            // Its slot stays taken: better than to send without end what makes us panic.
            Err(panic) => tracing::error!(%panic, "an attempt to deliver ended by a defect of kinetic"),
        }
    }
}

#[cfg(test)]
mod tests;
