//! The file with users and passwords, read again when it changes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::users::Users;

/// A file of lines `user: password`, as the `AuthFile` of collectd's network plugin.
#[derive(Debug)]
pub struct AuthFile {
    path: PathBuf,
    read: Stamp,
    users: Users,
}

/// Why the users are not known.
#[derive(Debug, thiserror::Error)]
pub enum AuthFileError {
    /// The file cannot be read.
    #[error("{}: {reason}; write a line `user: password` for each user into it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A line says nothing; the reason does not show it, since it may be a password.
    #[error("{}: {reason}; write one line `user: password` for each user", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, and what is wrong with it.
        reason: String,
    },
}

/// By what a file is seen to have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { modified: metadata.modified().ok(), length: metadata.len() }
    }
}

impl AuthFile {
    /// Reads the users of a file.
    pub fn open(path: &Path) -> Result<Self, AuthFileError> {
        let read = |path: &Path| Ok((fs::metadata(path)?, fs::read_to_string(path)?));
        let (metadata, text) =
            read(path).map_err(|reason| AuthFileError::Read { path: path.to_owned(), reason })?;
        Ok(Self { path: path.to_owned(), read: Stamp::of(&metadata), users: users(path, &text)? })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn users(&self) -> &Users {
        &self.users
    }

    /// Reads the file again if it has changed, and tells whether. A broken one changes nothing, and is complained of once.
    pub(super) async fn refresh(&mut self) -> Result<bool, AuthFileError> {
        let failed = |reason| AuthFileError::Read { path: self.path.clone(), reason };
        let stamp = match tokio::fs::metadata(&self.path).await {
            Ok(metadata) => Stamp::of(&metadata),
            // Nothing to see: also a stamp, so that it is told once.
            Err(reason) => {
                let gone = Stamp { modified: None, length: 0 };
                let error = failed(reason);
                return if std::mem::replace(&mut self.read, gone) == gone { Ok(false) } else { Err(error) };
            }
        };
        if stamp == self.read {
            return Ok(false);
        }
        let text = tokio::fs::read_to_string(&self.path).await.map_err(failed)?;
        self.read = stamp;
        self.users = users(&self.path, &text)?;
        Ok(true)
    }
}

fn users(path: &Path, text: &str) -> Result<Users, AuthFileError> {
    Users::parse(text)
        .map_err(|reason| AuthFileError::Line { path: path.to_owned(), reason: reason.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn is_read_again_when_it_changes_and_keeps_what_it_had_when_it_breaks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let missing = AuthFile::open(&path).unwrap_err().to_string();
        assert!(missing.contains("users: No such file") && missing.contains("`user: password`"), "{missing}");
        fs::write(&path, "a: one\n").unwrap();
        let mut file = AuthFile::open(&path).unwrap();
        assert!(!file.refresh().await.unwrap());
        fs::write(&path, "a: three\n").unwrap();
        assert!(file.refresh().await.unwrap());
        assert_eq!(file.users().get(b"a").unwrap().password, "three");
        fs::write(&path, "a: three\nhunter2\n").unwrap();
        let error = file.refresh().await.unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
        fs::remove_file(&path).unwrap();
        assert!(file.refresh().await.is_err());
        assert!(!file.refresh().await.unwrap(), "it is complained of once");
        assert_eq!(file.users().len(), 1);
        fs::write(&path, "b: two\n").unwrap();
        assert!(file.refresh().await.unwrap());
        assert!(file.users().get(b"a").is_none());
    }
}
