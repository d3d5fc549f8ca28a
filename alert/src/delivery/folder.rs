//! Puts mail into a folder, one `.eml` file (RFC 5322) a message.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::failure::Failure;
use crate::{AlertError, notification::Notification};

/// A folder that mail is put into.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Keeps files apart that are being written at the same time.
    next: AtomicU64,
}

impl Folder {
    /// Makes the folder where it is missing.
    pub(crate) fn new(path: PathBuf) -> Result<Self, AlertError> {
        std::fs::create_dir_all(&path).map_err(|source| AlertError::Folder { path: path.clone(), source })?;
        Ok(Self { path, next: AtomicU64::new(0) })
    }

    /// Where a message lies: the same file for all of a receiver's recipients, and however often it is written.
    pub(crate) fn file(&self, notification: &Notification) -> PathBuf {
        let time = notification.at.strftime("%Y-%m-%dT%H-%M-%SZ");
        let id = notification.id();
        self.path.join(format!("{time}-{}-{}.eml", notification.alert, &id[..8]))
    }

    /// Writes a message aside, syncs it and renames it: whoever watches the folder sees whole files only.
    pub(crate) async fn put(&self, file: &Path, mail: Vec<u8>) -> Result<(), Failure> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let aside = self.path.join(format!(".{}-{number}.part", std::process::id()));
        let file = file.to_owned();
        let shown = file.display().to_string();
        let written = tokio::task::spawn_blocking(move || write(&aside, &file, &mail)).await;
        written
            .unwrap_or_else(|panic| Err(io::Error::other(panic)))
            .map_err(|source| Failure::Temporary(format!("{shown}: {source}")))
    }
}

fn write(aside: &Path, file: &Path, mail: &[u8]) -> io::Result<()> {
    let written = std::fs::File::create(aside).and_then(|mut out| {
        out.write_all(mail)?;
        out.sync_all()?;
        std::fs::rename(aside, file)
    });
    if written.is_err() {
        // It may not even have been made; the error that counts is the first one.
        let _ = std::fs::remove_file(aside);
    }
    written
}
