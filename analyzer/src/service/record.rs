//! A small JSON file that must outlive the process, shared by all its analyzers.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

/// A file under the data folder.
#[derive(Clone, Debug)]
pub(super) struct Record {
    path: PathBuf,
}

/// What keeps a record from being kept.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}; give --data a folder that this user may write to")]
pub struct RecordError {
    path: PathBuf,
    source: io::Error,
}

impl Record {
    /// The file under a data folder, which is made if it is not there.
    pub(super) fn open(data_dir: &Path, file: &str) -> Result<Self, RecordError> {
        fs::create_dir_all(data_dir).map_err(|source| RecordError { path: data_dir.to_owned(), source })?;
        Ok(Self { path: data_dir.join(file) })
    }

    /// What it holds; nothing where there is no file. A damaged one is set aside with a warning that says what that leads to.
    pub(super) fn read<T: DeserializeOwned + Default>(&self, if_damaged: &str) -> Result<T, RecordError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
            Err(e) => return Err(self.error(e)),
        };
        match serde_json::from_slice(&text) {
            Ok(read) => Ok(read),
            Err(reason) => {
                let aside = self.path.with_extension("json.damaged");
                fs::rename(&self.path, &aside).map_err(|e| self.error(e))?;
                tracing::warn!(file = %self.path.display(), aside = %aside.display(), %reason, "a damaged record was set aside: {if_damaged}");
                Ok(T::default())
            }
        }
    }

    /// Written aside, synced, renamed, folder synced: a crash leaves the old record or the new one.
    pub(super) fn write<T: Serialize>(&self, record: &T) -> Result<(), RecordError> {
        let save = || -> io::Result<()> {
            let aside = self.path.with_extension("json.new");
            fs::write(&aside, serde_json::to_vec_pretty(record)?)?;
            fs::File::open(&aside)?.sync_all()?;
            fs::rename(&aside, &self.path)?;
            self.path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
        };
        save().map_err(|e| self.error(e))
    }

    fn error(&self, source: io::Error) -> RecordError {
        RecordError { path: self.path.clone(), source }
    }
}
