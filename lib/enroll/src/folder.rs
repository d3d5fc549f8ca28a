//! Requests and tokens in a folder: `enrollments/ID.yaml` and `tokens/ID.yaml`.
//!
//! Every file is replaced whole. Several processes may work with one folder: changes are made under a lock, and reads need none.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::SystemTime,
};

use kinetic_api::resources::{
    Enrollment,
    enrollment::{EnrollmentSpec, EnrollmentStatus},
};
use kinetic_pki::durable::{self, Readers};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::watch, task::spawn_blocking};
use tracing::warn;

use crate::{
    id::{EnrollmentId, IdKey},
    store::{Decisions, Requests, StoreError},
    token::{TokenId, TokenRecord},
};

/// Where requests lie.
const ENROLLMENTS: &str = "enrollments";
/// Where tokens lie.
const TOKENS: &str = "tokens";
/// The secret that ids are made with.
const ID_KEY: &str = ".id.key";
/// Held by who changes a request.
const LOCK: &str = ".lock";

/// A folder of requests and tokens; clones share it.
#[derive(Clone)]
pub struct FolderStore(Arc<Inner>);

struct Inner {
    enrollments: PathBuf,
    tokens: PathBuf,
    id_key: IdKey,
    /// What was read of files that have not changed since.
    read: Mutex<HashMap<PathBuf, (Stamp, Arc<Enrollment>)>>,
    watch: OnceLock<Watch>,
}

struct Watch {
    changes: watch::Sender<u64>,
    _watcher: Option<RecommendedWatcher>,
}

/// A file that is replaced has another one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp(Option<SystemTime>, u64, u64);

impl FolderStore {
    /// Opens a folder; makes what is missing in it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let (enrollments, tokens) = (folder.join(ENROLLMENTS), folder.join(TOKENS));
        for path in [&enrollments, &tokens] {
            durable::private_folder(path).map_err(at(path))?;
        }
        let id_key = {
            let _held = hold(&enrollments)?;
            id_key(&enrollments.join(ID_KEY))?
        };
        let read = Mutex::default();
        Ok(Self(Arc::new(Inner { enrollments, tokens, id_key, read, watch: OnceLock::new() })))
    }

    /// What ids are made with here.
    #[must_use]
    pub fn id_key(&self) -> &IdKey {
        &self.0.id_key
    }

    /// Keeps a token's record.
    pub fn keep_token(&self, record: &TokenRecord) -> Result<(), StoreError> {
        let path = self.0.tokens.join(format!("{}.yaml", record.id));
        write(&path, record)
    }

    /// What is kept of all tokens, in no order. What is unreadable is logged and left out: its token is worth nothing.
    pub fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        let folder = &self.0.tokens;
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(at(folder))? {
            let path = entry.map_err(at(folder))?.path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            match read(&path) {
                Ok(record) => found.extend(record),
                Err(error) => warn!(%error, "a token's record cannot be read, and is left out"),
            }
        }
        Ok(found)
    }

    /// Forgets a token: who shows it from now on is refused. False if nothing is kept of it.
    pub fn revoke_token(&self, id: &TokenId) -> Result<bool, StoreError> {
        let path = self.0.tokens.join(format!("{id}.yaml"));
        match fs::remove_file(&path) {
            Ok(()) => {
                durable::sync_folder_of(&path).map_err(at(&path))?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(at(&path)(error)),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.0);
        spawn_blocking(move || work(&inner)).await.unwrap_or(Err(StoreError::Stopping))
    }
}

impl std::fmt::Debug for FolderStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FolderStore({})", self.0.enrollments.display())
    }
}

impl Inner {
    fn path(&self, id: &str) -> PathBuf {
        self.enrollments.join(format!("{id}.yaml"))
    }

    fn find(&self, path: &Path) -> Result<Option<Arc<Enrollment>>, StoreError> {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.known().remove(path);
                return Ok(None);
            }
            Err(error) => return Err(at(path)(error)),
        };
        let stamp = Stamp::of(&meta);
        if let Some((known, enrollment)) = self.known().get(path)
            && *known == stamp
        {
            return Ok(Some(Arc::clone(enrollment)));
        }
        let Some(enrollment) = read::<Enrollment>(path)?.map(Arc::new) else { return Ok(None) };
        // A file that was replaced after its stamp was taken is read again the next time.
        self.known().insert(path.to_owned(), (stamp, Arc::clone(&enrollment)));
        Ok(Some(enrollment))
    }

    fn list(&self) -> Result<Vec<Arc<Enrollment>>, StoreError> {
        let entries = fs::read_dir(&self.enrollments).map_err(at(&self.enrollments))?;
        let mut found = Vec::new();
        let mut paths = std::collections::HashSet::new();
        for entry in entries {
            let path = entry.map_err(at(&self.enrollments))?.path();
            let id = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".yaml"));
            if id.is_none_or(|id| id.parse::<EnrollmentId>().is_err()) {
                continue;
            }
            match self.find(&path) {
                Ok(Some(enrollment)) => found.push(enrollment),
                Ok(None) => {}
                Err(error) => warn!(%error, "an enrolment cannot be read, and is left out"),
            }
            paths.insert(path);
        }
        self.known().retain(|path, _| paths.contains(path));
        Ok(found)
    }

    /// Changes a request that is still as it was seen.
    fn change<T>(
        &self,
        seen: &Enrollment,
        change: impl FnOnce(&Path) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let id = seen.metadata.name.as_deref().unwrap_or_default();
        let path = self.path(id);
        let _held = hold(&self.enrollments)?;
        match read::<Enrollment>(&path)? {
            Some(now) if now == *seen => change(&path),
            _ => Err(StoreError::Changed(id.to_owned())),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (Stamp, Arc<Enrollment>)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests for FolderStore {
    async fn token(&self, id: &TokenId) -> Result<Option<TokenRecord>, StoreError> {
        let path = self.0.tokens.join(format!("{id}.yaml"));
        self.blocking(move |_| read(&path)).await
    }

    async fn find(&self, id: &EnrollmentId) -> Result<Option<Arc<Enrollment>>, StoreError> {
        let path = self.0.path(id.as_str());
        self.blocking(move |inner| inner.find(&path)).await
    }

    async fn list(&self) -> Result<Vec<Arc<Enrollment>>, StoreError> {
        self.blocking(Inner::list).await
    }

    async fn add(&self, id: &EnrollmentId, spec: EnrollmentSpec) -> Result<Arc<Enrollment>, StoreError> {
        let enrollment = Enrollment::new(id.as_str(), spec);
        let path = self.0.path(id.as_str());
        self.blocking(move |inner| {
            let _held = hold(&inner.enrollments)?;
            if let Some(there) = inner.find(&path)? {
                return Ok(there);
            }
            write(&path, &enrollment)?;
            Ok(Arc::new(enrollment))
        })
        .await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.watch.get_or_init(|| Watch::of(&self.0.enrollments)).changes.subscribe()
    }
}

impl Decisions for FolderStore {
    async fn set_status(
        &self,
        seen: &Enrollment,
        status: EnrollmentStatus,
    ) -> Result<Arc<Enrollment>, StoreError> {
        let seen = seen.clone();
        self.blocking(move |inner| {
            inner.change(&seen, |path| {
                let enrollment = Enrollment { status: Some(status), ..seen.clone() };
                write(path, &enrollment)?;
                Ok(Arc::new(enrollment))
            })
        })
        .await
    }

    async fn remove(&self, seen: &Enrollment) -> Result<(), StoreError> {
        let seen = seen.clone();
        self.blocking(move |inner| inner.change(&seen, |path| fs::remove_file(path).map_err(at(path)))).await
    }
}

impl Watch {
    fn of(folder: &Path) -> Self {
        let changes = watch::Sender::new(0_u64);
        let told = changes.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // What is read ourselves is no change.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                told.send_modify(|changes| *changes += 1);
            }
        })
        .and_then(|mut watcher| watcher.watch(folder, RecursiveMode::NonRecursive).map(|()| watcher));
        if let Err(error) = &watcher {
            warn!(folder = %folder.display(), %error, "changes are not seen at once, only when the folder is looked through");
        }
        Self { changes, _watcher: watcher.ok() }
    }
}

impl Stamp {
    #[cfg(unix)]
    fn of(meta: &fs::Metadata) -> Self {
        Self(meta.modified().ok(), meta.len(), std::os::unix::fs::MetadataExt::ino(meta))
    }

    #[cfg(not(unix))]
    fn of(meta: &fs::Metadata) -> Self {
        Self(meta.modified().ok(), meta.len(), 0)
    }
}

/// The secret in a file; makes it if there is none.
fn id_key(path: &Path) -> Result<IdKey, StoreError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = hex::encode(rand::random::<[u8; 32]>());
            durable::write(path, &text, Readers::Owner).map_err(at(path))?;
            text
        }
        Err(error) => return Err(at(path)(error)),
    };
    let mut key = [0; 32];
    hex::decode_to_slice(text.trim(), &mut key)
        .map_err(|error| StoreError::Damaged { path: path.to_owned(), reason: error.to_string() })?;
    Ok(IdKey::new(key))
}

fn hold(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let file = File::options().create(true).write(true).truncate(false).open(&path).map_err(at(&path))?;
    file.lock().map_err(at(&path))?;
    Ok(file)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    match fs::read_to_string(path) {
        Ok(text) => serde_saphyr::from_str(&text)
            .map(Some)
            .map_err(|error| StoreError::Damaged { path: path.to_owned(), reason: error.to_string() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let text = serde_saphyr::to_string(value)
        .map_err(|error| StoreError::Damaged { path: path.to_owned(), reason: error.to_string() })?;
    durable::write(path, &text, Readers::Owner).map_err(at(path))
}

fn at(path: &Path) -> impl Fn(io::Error) -> StoreError + '_ {
    move |error| StoreError::Io { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests;
