//! The history as one file: copied while it is written, and put back.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::{DATABASE, History, LOCK, lock, schema};
use crate::AlertError;

/// What is being put back, until it is known to be whole.
const RESTORING: &str = "kinetic.sqlite.restoring";
/// What was there before.
const REPLACED: &str = "kinetic.sqlite.replaced";
/// The database, and SQLite's own files beside it (<https://www.sqlite.org/tempfiles.html>).
const PARTS: [&str; 3] = ["", "-wal", "-shm"];

impl History {
    /// Copies all of it into a new file, as of one moment, whoever writes it meanwhile (<https://www.sqlite.org/lang_vacuum.html#vacuuminto>).
    pub async fn copy_to(&self, file: &Path) -> Result<(), AlertError> {
        let name = file.to_str().ok_or_else(|| AlertError::Folder {
            path: file.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidInput, "SQLite wants a name in UTF-8"),
        })?;
        sqlx::query("VACUUM INTO $1")
            .bind(name)
            .execute(&self.pool)
            .await
            .map_err(AlertError::store("be copied"))?;
        let synced = File::open(file).and_then(|copy| copy.sync_all());
        synced.map_err(|source| AlertError::Folder { path: file.to_owned(), source })
    }

    /// Puts a copy in the place of the history in a data folder, which no process may be using. Tells where the former one, if there was one, lies now.
    pub async fn restore(data_dir: &Path, copy: &mut impl Read) -> Result<Option<PathBuf>, AlertError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| AlertError::Folder { path, source }
        };
        fs::create_dir_all(data_dir).map_err(failed(data_dir))?;
        let _lock = lock(&data_dir.join(LOCK))?;
        let new = data_dir.join(RESTORING);
        write(copy, &new).map_err(failed(&new))?;
        if let Err(error) = check(&new).await {
            // It is the caller's copy of something else.
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        let (path, replaced) = (data_dir.join(DATABASE), data_dir.join(REPLACED));
        let there = path.exists();
        for part in PARTS {
            move_over(&with(&path, part), &with(&replaced, part)).map_err(failed(&path))?;
        }
        fs::rename(&new, &path).map_err(failed(&path))?;
        File::open(data_dir).and_then(|folder| folder.sync_all()).map_err(failed(data_dir))?;
        Ok(there.then_some(replaced))
    }
}

fn write(copy: &mut impl Read, path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    io::copy(copy, &mut file)?;
    file.sync_all()
}

/// Whether a file is a history, whole, and no later version's.
async fn check(path: &Path) -> Result<(), AlertError> {
    let none = |reason: String| AlertError::NoCopy { reason };
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .map_err(|error| none(error.to_string()))?;
    let found = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)").fetch_one(&pool).await;
    let found = found.map_err(|error| none(error.to_string()))?;
    if found != "ok" {
        return Err(none(found));
    }
    if schema::version(&pool).await.map_err(|error| none(error.to_string()))? == 0 {
        return Err(none("its tables are not a history's".to_owned()));
    }
    schema::check_readable(&pool, path).await?;
    pool.close().await;
    Ok(())
}

fn with(path: &Path, part: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(part);
    name.into()
}

/// Moves a file over another; where there is none, the other goes all the same.
fn move_over(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::remove_file(to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        },
        moved => moved,
    }
}

#[cfg(test)]
mod tests {
    use kinetic_api::anomaly::State;
    use tempfile::TempDir;

    use super::*;
    use crate::{Clock, fixture, store::Store};

    const NOW: i64 = 1_795_257_200_000;

    async fn incidents(folder: &Path) -> usize {
        History::open(folder).await.unwrap().incidents(None).await.unwrap().len()
    }

    #[tokio::test]
    async fn a_copy_of_what_is_being_written_is_whole_and_can_be_put_back() {
        let folder = TempDir::new().unwrap();
        let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
        let store = Store::open(&data, Clock::Event, NOW).await.unwrap();
        let plan = [fixture::plan()];
        store.take(&fixture::anomaly("web-3", State::Firing, 0), &plan).await.unwrap();
        History::open(&data).await.unwrap().copy_to(&copy).await.unwrap();
        let again = History::open(&data).await.unwrap().copy_to(&copy).await.unwrap_err();
        assert!(again.to_string().contains("exists"), "a copy is never written over: {again}");
        store.take(&fixture::anomaly("web-4", State::Firing, 0), &plan).await.unwrap();
        let restore = async |data: &Path| History::restore(data, &mut File::open(&copy).unwrap()).await;
        assert!(matches!(restore(&data).await, Err(AlertError::InUse { .. })));
        store.close().await;
        drop(store);
        assert_eq!(incidents(&data).await, 2);
        // A process that was killed leaves its log, which must not be taken for the copy's.
        fs::write(data.join("kinetic.sqlite-wal"), "of another").unwrap();

        let replaced = restore(&data).await.unwrap().unwrap();
        assert_eq!(incidents(&data).await, 1);
        assert!(replaced.exists() && with(&replaced, "-wal").exists());
        let store = Store::open(&data, Clock::Event, NOW).await.unwrap();
        let known = store.take(&fixture::anomaly("web-3", State::Firing, 0), &plan).await.unwrap();
        assert_eq!(known.events, vec![], "what was copied is known");
        assert_eq!(restore(&folder.path().join("new")).await.unwrap(), None);
        assert_eq!(incidents(&folder.path().join("new")).await, 1);
    }

    #[tokio::test]
    async fn what_is_no_history_replaces_none() {
        let folder = TempDir::new().unwrap();
        drop(Store::open(folder.path(), Clock::Event, NOW).await.unwrap());
        let whole = folder.path().join("copy");
        History::open(folder.path()).await.unwrap().copy_to(&whole).await.unwrap();
        let whole = fs::read(whole).unwrap();
        for bytes in [&b""[..], b"not a database at all", &whole[..whole.len() / 2]] {
            let error = History::restore(folder.path(), &mut &*bytes).await.unwrap_err();
            assert!(matches!(error, AlertError::NoCopy { .. }), "{error}");
            assert!(!folder.path().join(RESTORING).exists() && !folder.path().join(REPLACED).exists());
            assert_eq!(incidents(folder.path()).await, 0);
        }
    }
}
