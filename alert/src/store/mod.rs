//! What the service remembers: one SQLite file, every step one transaction (DESIGN.md, "Time, and what survives a crash", 7).

mod adopt;
mod backup;
mod enqueue;
mod fire;
mod fitness;
mod groups;
mod history;
mod outbox;
mod prune;
mod schema;
mod take;

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use history::History;
pub(crate) use outbox::{Backlog, Due, Parcel};
pub(crate) use take::{TakeResult, Taken};

use crate::{AlertError, Clock};

/// The database in the data folder.
const DATABASE: &str = "kinetic.sqlite";
/// Held while a process writes to the database: two would send everything twice.
const LOCK: &str = "kinetic.sqlite.lock";

/// The database, open for writing.
#[derive(Debug)]
pub(crate) struct Store {
    /// One connection: transactions are short, and take turns without SQLite's busy errors.
    write: SqlitePool,
    clock: Clock,
    _lock: File,
}

type Tx = Transaction<'static, Sqlite>;

impl Store {
    /// Opens the database in a folder, making both where they are missing, and takes up what a crash left half done.
    pub(crate) async fn open(folder: &Path, clock: Clock, now_ms: i64) -> Result<Self, AlertError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| AlertError::Folder { path: folder.to_owned(), source })?;
        let lock = lock(&folder.join(LOCK))?;
        let path = folder.join(DATABASE);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is on disk before the broker hears that the finding was taken.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(|source| AlertError::Open { path: path.clone(), source })?;
        schema::migrate(&write, &path).await?;
        let store = Self { write, clock, _lock: lock };
        store.send_again(now_ms).await?;
        Ok(store)
    }

    /// Which of these findings are not recorded yet.
    pub(crate) async fn missing(&self, ids: &[String]) -> Result<Vec<String>, AlertError> {
        let mut missing = Vec::new();
        for id in ids {
            let found: Option<(i64,)> =
                sqlx::query_as("SELECT taken_ms FROM anomalies WHERE id = $1 LIMIT 1")
                    .bind(id)
                    .fetch_optional(&self.write)
                    .await
                    .map_err(AlertError::store("look a finding up"))?;
            if found.is_none() {
                missing.push(id.clone());
            }
        }
        Ok(missing)
    }

    /// The history, for questions.
    pub(crate) fn history(&self) -> History {
        History::reading(self.write.clone())
    }

    /// Writes the log back into the file and closes it.
    pub(crate) async fn close(&self) {
        self.write.close().await;
    }

    async fn begin(&self) -> Result<Tx, AlertError> {
        self.write.begin_with("BEGIN IMMEDIATE").await.map_err(AlertError::store("begin a transaction"))
    }
}

async fn commit(tx: Tx) -> Result<(), AlertError> {
    tx.commit().await.map_err(AlertError::store("commit"))
}

fn lock(path: &Path) -> Result<File, AlertError> {
    let failed = |source| AlertError::Folder { path: path.to_owned(), source };
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AlertError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests;
