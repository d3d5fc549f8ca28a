//! Checkpoints as files: read at the start, replaced whole, set aside when they are of no use.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, mpsc::Receiver},
    time::SystemTime,
};

use kinetic_api::{anomaly::Anomaly, plan::TopologyPlan};
use tracing::warn;

use crate::{checkpoint::Checkpoint, partition::Partition};

/// The folder under the data folder.
const FOLDER: &str = "checkpoints";
const EXTENSION: &str = "checkpoint";
/// So many that were set aside are kept of a source; the oldest go.
const MOST_ASIDE: usize = 64;

/// One lock for the process: analyzers that share a stream look at each other's files.
static LOOKING: Mutex<()> = Mutex::new(());

/// The checkpoint of one source and partition, and those of its kin.
#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
    /// `customer/topology/source`.
    of: String,
    /// `customer.topology.source.`: all of them are DNS labels, so that no two are alike.
    stem: String,
    partition: Partition,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// One that fits.
    pub(super) checkpoint: Option<Checkpoint>,
    /// What those that do not fit held to be firing.
    pub(super) fired: Vec<Anomaly>,
    /// What was set aside, and why.
    pub(super) aside: Vec<String>,
}

impl Store {
    pub(super) fn new(data_dir: &Path, plan: &TopologyPlan, source: usize, partition: Partition) -> Self {
        let names = [&*plan.customer, &*plan.name, &*plan.sources[source].name];
        Self { folder: data_dir.join(FOLDER), of: names.join("/"), stem: names.join(".") + ".", partition }
    }

    /// `customer/topology/source`.
    pub(super) fn of(&self) -> &str {
        &self.of
    }

    fn path(&self) -> PathBuf {
        let Self { folder, stem, partition, .. } = self;
        folder.join(format!("{stem}{}of{}.{EXTENSION}", partition.index(), partition.of()))
    }

    /// Writes a checkpoint aside, syncs, renames, syncs the folder: a crash leaves the old one or the new one. It comes in pieces, and is
    /// whole with a None. Returns its size.
    pub(super) fn write(&self, pieces: &Receiver<Option<Vec<u8>>>) -> io::Result<u64> {
        let path = self.path();
        let aside = path.with_extension("new");
        fs::create_dir_all(&self.folder)?;
        let mut file = fs::File::create(&aside)?;
        let mut size = 0;
        while let Some(piece) = pieces.recv().map_err(io::Error::other)? {
            file.write_all(&piece)?;
            size += piece.len() as u64;
        }
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        fs::File::open(&self.folder)?.sync_all()?;
        Ok(size)
    }

    /// The checkpoint of this generation; anything else is set aside. What cannot be read at all is told of, and done without.
    pub(super) fn load(&self, generation: u64) -> Loaded {
        let _guard = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut loaded = Loaded::default();
        match fs::read(self.path()) {
            Ok(bytes) => self.judge(&bytes, generation, &mut loaded),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => loaded.aside.push(format!("{}: {error}", self.path().display())),
        }
        if loaded.checkpoint.is_none() {
            self.load_kin(&mut loaded);
        }
        loaded
    }

    fn judge(&self, bytes: &[u8], generation: u64, loaded: &mut Loaded) {
        let checkpoint = match Checkpoint::decode(bytes) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                loaded.aside.push(self.set_aside("damaged", &error.to_string()));
                return;
            }
        };
        if checkpoint.of != self.of || checkpoint.partition != self.partition {
            let why = format!("it is of {}, partition {}", checkpoint.of, checkpoint.partition);
            loaded.aside.push(self.set_aside("foreign", &why));
        } else if checkpoint.generation != generation {
            loaded.fired.extend(fired(checkpoint));
            loaded.aside.push(self.set_aside("outdated", "the topology was edited in the meantime"));
        } else {
            loaded.checkpoint = Some(checkpoint);
        }
    }

    /// When another number of analyzers shared the stream: what they held to be firing, whoever is to own it now.
    fn load_kin(&self, loaded: &mut Loaded) {
        let mut newest: Option<(SystemTime, u8)> = None;
        let mut kin = Vec::new();
        for (path, modified) in self.files() {
            let Some(of) = self.count(&path).filter(|of| *of != self.partition.of()) else { continue };
            newest = newest.max(Some((modified, of)));
            kin.push((path, of));
        }
        for (path, of) in kin {
            let fits = newest.is_some_and(|(_, newest)| newest == of);
            let read = fits.then(|| fs::read(&path).ok()).flatten();
            if let Some(checkpoint) = read.and_then(|bytes| Checkpoint::decode(&bytes).ok()) {
                loaded.fired.extend(fired(checkpoint));
            }
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                let why = format!("{of} analyzers shared the stream, now {}", self.partition.of());
                loaded.aside.push(self.move_aside(&path, "foreign", &why));
            }
        }
    }

    /// Sets the checkpoint aside; the sentence that tells of it.
    pub(super) fn set_aside(&self, what: &str, why: &str) -> String {
        self.move_aside(&self.path(), what, why)
    }

    /// The same, if there is one.
    pub(super) fn set_aside_if_there(&self, what: &str, why: &str) -> Option<String> {
        self.path().exists().then(|| self.set_aside(what, why))
    }

    /// Removes the checkpoint: its source is gone. One that cannot be removed is outdated, and seen to be.
    pub(super) fn remove(&self) {
        if let Err(error) = fs::remove_file(self.path())
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(checkpoint = %self.path().display(), %error, "the checkpoint of a source that is gone cannot be removed");
        }
    }

    fn move_aside(&self, path: &Path, what: &str, why: &str) -> String {
        let aside = path.with_added_extension(what);
        let told = match fs::rename(path, &aside) {
            Ok(()) => format!("{}: {why}; set aside as {}", path.display(), aside.display()),
            Err(error) => format!("{}: {why}; it cannot be set aside: {error}", path.display()),
        };
        warn!(checkpoint = %path.display(), "{told}");
        self.prune();
        told
    }

    fn prune(&self) {
        let mut aside: Vec<_> = self
            .files()
            .into_iter()
            .filter(|(path, _)| path.extension().is_none_or(|extension| extension != EXTENSION))
            .collect();
        aside.sort_unstable_by_key(|(_, modified)| *modified);
        let surplus = aside.len().saturating_sub(MOST_ASIDE);
        for (path, _) in aside.into_iter().take(surplus) {
            // What stays is tried again the next time.
            let _ = fs::remove_file(path);
        }
    }

    /// All files of the source, whichever partition's, with the time of their last write.
    fn files(&self) -> Vec<(PathBuf, SystemTime)> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let ours = |entry: fs::DirEntry| {
            let path = entry.path();
            let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok()?;
            self.count(&path).map(|_| (path, modified))
        };
        let mut files: Vec<_> = entries.filter_map(Result::ok).filter_map(ours).collect();
        files.sort_unstable();
        files
    }

    /// How many analyzers shared the stream when a file was written: the N of `STEM` `I` `of` `N` `.checkpoint…`.
    fn count(&self, path: &Path) -> Option<u8> {
        let name = path.file_name()?.to_str()?.strip_prefix(&self.stem)?;
        let (place, rest) = name.split_once('.')?;
        let (index, of) = place.split_once("of")?;
        let known = rest == EXTENSION || rest.starts_with("checkpoint.");
        Partition::new(index.parse().ok()?, of.parse().ok()?).filter(|_| known).map(Partition::of)
    }
}

/// All that fired when a checkpoint was written.
pub(super) fn fired(checkpoint: Checkpoint) -> impl Iterator<Item = Anomaly> {
    checkpoint.firing.into_iter().chain(checkpoint.handover.into_iter().flat_map(|handover| handover.firing))
}

#[cfg(test)]
mod tests;
