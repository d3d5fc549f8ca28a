//! Follows the edits: what is whole takes effect, what is broken is told and changes nothing.

mod changes;
mod fingerprint;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::sync::{mpsc, watch};
use tracing::warn;

pub use self::changes::Changes;
use self::fingerprint::Fingerprint;
use crate::{load::load_after, problem::Problem, snapshot::Snapshot};

/// Editors write a file in several steps: so long must it be quiet before it is read.
const QUIET: Duration = Duration::from_millis(150);
/// So long at most is waited for quiet.
const PATIENCE: Duration = Duration::from_millis(750);
/// How often the file system is asked, in case that its events do not come.
const POLL: Duration = Duration::from_secs(1);
/// So many reports wait for a reader that is slow.
pub(crate) const MAX_REPORTS: usize = 64;

/// What came of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// It took effect.
    Applied {
        /// What is different now.
        changes: Changes,
    },
    /// It is broken: everything stays as it was. Here is all that is wrong.
    Broken(Vec<Problem>),
    /// The files say what holds already: a comment was edited, or what was broken was put back.
    Unchanged,
}

/// Follows files and folders, from a thread of its own that ends when both receivers are gone.
///
/// The first receiver has the last good state; its present value counts as news, unless what is there now is broken: then it is empty, and the
/// second receiver tells why.
#[must_use]
pub fn watch(paths: &[PathBuf]) -> (watch::Receiver<Arc<Snapshot>>, mpsc::Receiver<Reload>) {
    // What happens from here on is either seen by the first reading or wakes the thread.
    let (events, woken) = channel();
    let watcher = watcher(paths.to_vec(), events);
    let mut state = State { paths: paths.to_vec(), watcher, read: Fingerprint::take(paths), told: None };
    state.subscribe();
    let (reports, report_receiver) = mpsc::channel(MAX_REPORTS);
    let (snapshots, mut receiver) = watch::channel(Arc::default());
    match load_after(paths, &Snapshot::default()) {
        Ok(snapshot) => {
            snapshots.send_replace(Arc::new(snapshot));
            receiver.mark_changed();
        }
        Err(problems) => {
            state.told = Some(problems.clone());
            tell(&reports, Reload::Broken(problems));
        }
    }
    thread::spawn(move || state.follow(&woken, &snapshots, &reports));
    (receiver, report_receiver)
}

struct State {
    paths: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    /// What the file system said when the files were last read.
    read: Fingerprint,
    /// The problems that were last told, unless the files are whole since.
    told: Option<Vec<Problem>>,
}

impl State {
    fn follow(
        mut self,
        woken: &Receiver<Wake>,
        snapshots: &watch::Sender<Arc<Snapshot>>,
        reports: &mpsc::Sender<Reload>,
    ) {
        while !(snapshots.is_closed() && reports.is_closed()) {
            let wake = wait(woken);
            // Taken before the files are read: what changes in between is seen the next time.
            let now = Fingerprint::take(&self.paths);
            let touched = now != self.read;
            if !touched && wake != Wake::Written {
                continue;
            }
            self.read = now;
            // Folders that are new, or back, are watched from now on.
            self.subscribe();
            if let Some(reload) = self.reload(snapshots, touched) {
                tell(reports, reload);
            }
        }
    }

    /// Reads everything anew; what is worth telling of it.
    fn reload(&mut self, snapshots: &watch::Sender<Arc<Snapshot>>, touched: bool) -> Option<Reload> {
        let before = Arc::clone(&snapshots.borrow());
        let snapshot = match load_after(&self.paths, &before) {
            Ok(snapshot) => snapshot,
            Err(problems) if self.told.as_ref() == Some(&problems) => return None,
            Err(problems) => {
                self.told = Some(problems.clone());
                return Some(Reload::Broken(problems));
            }
        };
        let repaired = self.told.take().is_some();
        let changes = Changes::between(&before, &snapshot);
        if changes.is_empty() {
            return (repaired || touched).then_some(Reload::Unchanged);
        }
        if snapshot.is_empty() {
            warn!("there are no resources any more: everything stops");
        }
        snapshots.send_replace(Arc::new(snapshot));
        Some(Reload::Applied { changes })
    }

    /// Asks for events about the paths and the folders that they lie in: a file that is replaced, or a folder that is moved, is another one.
    fn subscribe(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        for path in &self.paths {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let folder = path.is_dir().then_some((path.as_path(), RecursiveMode::Recursive));
            for (path, mode) in folder.into_iter().chain([(parent, RecursiveMode::NonRecursive)]) {
                if let Err(error) = watcher.watch(path, mode) {
                    tracing::debug!(path = %path.display(), %error, "no events about this path: edits are noticed within a second");
                }
            }
        }
    }
}

/// What woke the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    /// Nothing but time.
    Poll,
    /// Something near the files: a look will tell whether it matters.
    Nearby,
    /// One of the files was written. Its times may look the same as before: they are as coarse as the kernel's ticks.
    Written,
}

/// A watcher that wakes a thread. Reading is no edit: our own would wake us for ever.
fn watcher(paths: Vec<PathBuf>, events: Sender<Wake>) -> Option<RecommendedWatcher> {
    let yaml =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let wake = move |event: notify::Result<notify::Event>| {
        let wake = match event {
            Ok(event) => match event.kind {
                EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write) => Wake::Poll,
                _ if event.paths.iter().any(|path| yaml(path) || paths.contains(path)) => Wake::Written,
                _ => Wake::Nearby,
            },
            Err(_) => Wake::Nearby,
        };
        if wake > Wake::Poll {
            // The receiver is gone when nobody follows any more.
            let _ = events.send(wake);
        }
    };
    notify::recommended_watcher(wake)
        .inspect_err(|error| warn!(%error, "no file system events: edits are noticed within a second"))
        .ok()
}

/// Waits for an event, and then for quiet; or for the time to ask the file system.
fn wait(woken: &Receiver<Wake>) -> Wake {
    let mut strongest = match woken.recv_timeout(POLL) {
        Ok(wake) => wake,
        Err(RecvTimeoutError::Timeout) => return Wake::Poll,
        // There is no watcher.
        Err(RecvTimeoutError::Disconnected) => {
            thread::sleep(POLL);
            return Wake::Poll;
        }
    };
    let since = Instant::now();
    while since.elapsed() < PATIENCE
        && let Ok(wake) = woken.recv_timeout(QUIET)
    {
        strongest = strongest.max(wake);
    }
    strongest
}

pub(crate) fn tell(reports: &mpsc::Sender<Reload>, reload: Reload) {
    if let Err(mpsc::error::TrySendError::Full(_)) = reports.try_send(reload) {
        warn!("reports of edits are not read: one was dropped");
    }
}
