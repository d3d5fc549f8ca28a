//! Something made of files that is made anew when they change.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tracing::{info, warn};

use crate::{
    fingerprint::Fingerprint,
    material::{MaterialError, Pem},
    metrics::{Outcome, TlsMetrics},
};

/// Certificate and key are written one after the other: so long must it be quiet before they are read.
const QUIET: Duration = Duration::from_millis(100);
/// So long at most is waited for quiet.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the files are read in case that events do not come: network file systems have none, links lead out of the folder.
const POLL: Duration = Duration::from_secs(30);

/// What was made of the files, the latest of it that was good; clones share it. The following ends with the last clone.
pub(crate) struct Followed<C>(Arc<Following<C>>);

struct Following<C> {
    current: Arc<ArcSwap<C>>,
    // The thread ends when every sender of wakes is gone: these two.
    _watcher: Option<RecommendedWatcher>,
    _wakes: Sender<()>,
}

impl<C> Clone for Followed<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Followed<C> {
    pub(crate) fn current(&self) -> Arc<C> {
        self.0.current.load_full()
    }
}

/// What was made of the files, and when their certificate ends if there is one.
pub(crate) struct Made<C> {
    pub(crate) config: C,
    pub(crate) not_after: Option<Timestamp>,
}

/// Makes something of these files now, and again in a thread of its own whenever they change.
///
/// The first is what metrics and log lines call it by. What cannot be made leaves what was made before in place, and is told once.
pub(crate) fn follow<C: Send + Sync + 'static, const N: usize>(
    paths: [PathBuf; N],
    metrics: &TlsMetrics,
    make: impl Fn(&[Pem; N]) -> Result<Made<C>, MaterialError> + Send + 'static,
) -> Result<Followed<C>, MaterialError> {
    // What happens from here on is either seen by the first reading or wakes the thread.
    let (wakes, woken) = channel();
    let watcher = watcher(&paths, wakes.clone());
    let files = read(&paths)?;
    let first = make(&files)?;
    let name = paths.first().cloned().unwrap_or_default();
    let state = State { paths, name, metrics: metrics.clone(), told: Some(fingerprint(&files)) };
    state.note_end(first.not_after);
    let current = Arc::new(ArcSwap::from_pointee(first.config));
    let swapped = Arc::clone(&current);
    if N > 0 {
        thread::spawn(move || state.run(&woken, &swapped, make));
    }
    Ok(Followed(Arc::new(Following { current, _watcher: watcher, _wakes: wakes })))
}

struct State<const N: usize> {
    paths: [PathBuf; N],
    name: PathBuf,
    metrics: TlsMetrics,
    /// The content that the last verdict was about; `None` if the files could not even be read.
    told: Option<Fingerprint>,
}

impl<const N: usize> State<N> {
    fn run<C>(
        mut self,
        woken: &Receiver<()>,
        current: &ArcSwap<C>,
        make: impl Fn(&[Pem; N]) -> Result<Made<C>, MaterialError>,
    ) {
        while wait(woken) {
            let verdict = match read(&self.paths) {
                Ok(files) => {
                    let content = Some(fingerprint(&files));
                    if content == self.told {
                        continue;
                    }
                    self.told = content;
                    make(&files)
                }
                Err(_) if self.told.is_none() => continue,
                Err(error) => {
                    self.told = None;
                    Err(error)
                }
            };
            match verdict {
                Ok(new) => {
                    current.store(Arc::new(new.config));
                    self.metrics.reloaded(&self.name, Outcome::Applied);
                    info!(file = %self.name.display(), "new connections use the changed certificates");
                    self.note_end(new.not_after);
                }
                Err(error) => {
                    self.metrics.reloaded(&self.name, Outcome::Refused);
                    warn!(%error, "changed certificates are not usable: new connections go on with the former ones");
                }
            }
        }
    }

    fn note_end(&self, not_after: Option<Timestamp>) {
        let Some(not_after) = not_after else { return };
        self.metrics.ends(&self.name, not_after);
        if not_after <= Timestamp::now() {
            warn!(file = %self.name.display(), %not_after, "this certificate has run out: nobody will accept it; issue a new one");
        }
    }
}

fn read<const N: usize>(paths: &[PathBuf; N]) -> Result<[Pem; N], MaterialError> {
    let files = paths.iter().map(|path| Pem::read(path)).collect::<Result<Vec<_>, _>>()?;
    Ok(files.try_into().expect("one for each of N paths"))
}

fn fingerprint(files: &[Pem]) -> Fingerprint {
    let mut bytes = Vec::new();
    for file in files {
        bytes.extend((file.bytes.len() as u64).to_be_bytes());
        bytes.extend(&file.bytes);
    }
    Fingerprint::of(&bytes)
}

/// Waits until the files are worth a look; `false` when nobody is interested any more.
fn wait(woken: &Receiver<()>) -> bool {
    match woken.recv_timeout(POLL) {
        Ok(()) => {
            let patience = Instant::now() + PATIENCE;
            while Instant::now() < patience && woken.recv_timeout(QUIET).is_ok() {}
            true
        }
        Err(RecvTimeoutError::Timeout) => true,
        Err(RecvTimeoutError::Disconnected) => false,
    }
}

/// Watches the folders, not the files: a file that is renamed into place is another one, and Kubernetes replaces the link `..data` beside it.
fn watcher(paths: &[PathBuf], wakes: Sender<()>) -> Option<RecommendedWatcher> {
    let wake = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| may_change(event.kind)) {
            // The thread's end is the receiver's.
            let _ = wakes.send(());
        }
    };
    let told = |error: notify::Error| warn!(%error, "changed certificates are noticed late: the system gives no events");
    let mut watcher = notify::recommended_watcher(wake).map_err(told).ok()?;
    let mut folders: Vec<&Path> = paths.iter().map(|path| folder(path)).collect();
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            told(error);
        }
    }
    Some(watcher)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Our own reading makes events too; answering them would never end.
const fn may_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn following_ends_with_the_last_clone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "1").unwrap();
        // The thread owns what makes, and so this.
        let owned = Arc::new(());
        let held = Arc::clone(&owned);
        let followed = follow([path], &TlsMetrics::default(), move |[file]| {
            let _ = &held;
            Ok(Made { config: file.bytes.clone(), not_after: None })
        })
        .unwrap();
        let clone = followed.clone();
        drop(followed);
        assert_eq!(*clone.current(), b"1");
        assert_eq!(Arc::strong_count(&owned), 2);
        drop(clone);
        let deadline = Instant::now() + Duration::from_secs(50);
        while Arc::strong_count(&owned) > 1 {
            assert!(Instant::now() < deadline, "the thread goes on");
            thread::sleep(Duration::from_millis(10));
        }
    }
}
