//! Why the alert service cannot work: each says what, where, and what to do.

use std::path::PathBuf;

/// Why the alert service cannot work.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The data folder, or a file in it, cannot be made.
    #[error("{path}: {source}; name a folder that this user may write to with --data")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },

    /// Another process holds the data folder.
    #[error("{path} is held by another process; stop it, or name another folder with --data")]
    InUse {
        /// The lock's file.
        path: PathBuf,
    },

    /// The database cannot be opened.
    #[error(
        "{path}: {source}; check that this user may write to it and that the disk has room, or name another folder with --data"
    )]
    Open {
        /// The database's file.
        path: PathBuf,
        /// SQLite's answer.
        source: sqlx::Error,
    },

    /// The database was written by a later version.
    #[error(
        "{path} has schema {found}, this version knows {known}; run the version of kinetic that wrote it, or a later one"
    )]
    TooNew {
        /// The database's file.
        path: PathBuf,
        /// The file's schema.
        found: i64,
        /// The latest schema that this version knows.
        known: i64,
    },

    /// There is no history.
    #[error("{path} does not exist; name the folder that `kinetic run` was given with --data")]
    NoHistory {
        /// The database's file.
        path: PathBuf,
    },

    /// What should be put back is no history.
    #[error("that is no copy of a history: {reason}; give what `kinetic incidents backup` wrote")]
    NoCopy {
        /// What is wrong with it.
        reason: String,
    },

    /// The database does not do what it is asked.
    #[error("the history cannot {action}: {source}")]
    Store {
        /// What was asked.
        action: &'static str,
        /// SQLite's answer.
        source: sqlx::Error,
    },

    /// A row of the database cannot be read.
    #[error("the history holds a broken {what}: {reason}")]
    Corrupt {
        /// What is broken.
        what: &'static str,
        /// Why.
        reason: String,
    },

    /// The sender's address is none.
    #[error("--mail-from {text:?}: {reason}; write kinetic@example.org or \"Kinetic <kinetic@example.org>\"")]
    MailFrom {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The mail server's CA cannot be read, or TLS not be set up.
    #[error("--smtp {server}: {reason}; check ?ca=FILE and the system's certificates")]
    Tls {
        /// Host and port.
        server: String,
        /// What is wrong.
        reason: String,
    },

    /// The bus ended.
    #[error(transparent)]
    Bus(#[from] kinetic_bus::BusError),
}

impl AlertError {
    /// For `map_err`: what was asked of the store.
    pub(crate) const fn store(action: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Store { action, source }
    }

    /// For `map_err`: what is broken in the store.
    pub(crate) fn corrupt<E: ToString>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |reason| Self::Corrupt { what, reason: reason.to_string() }
    }
}
