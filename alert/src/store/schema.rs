//! The database's tables, version by version.

use std::path::Path;

use sqlx::SqlitePool;

use crate::AlertError;

/// Each brings the schema from its place in the list to the next. What was released is never changed, only added to.
const MIGRATIONS: [&str; 1] = [include_str!("schema/001.sql")];

/// Brings the database to the latest schema; `PRAGMA user_version` tells where it stands.
pub(super) async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), AlertError> {
    let failed = |source| AlertError::Open { path: path.to_owned(), source };
    let found = version(pool).await.map_err(failed)?;
    let known = i64::try_from(MIGRATIONS.len()).expect("a handful of migrations");
    if found > known {
        return Err(AlertError::TooNew { path: path.to_owned(), found, known });
    }
    for (next, migration) in (1_i64..).zip(MIGRATIONS).skip_while(|(next, _)| *next <= found) {
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::raw_sql(migration).execute(&mut *tx).await.map_err(failed)?;
        // A pragma takes no parameters; the number is ours.
        let stamp = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {next}"));
        sqlx::raw_sql(stamp).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
    }
    Ok(())
}

/// Fails where a reader is older than the file.
pub(super) async fn check_readable(pool: &SqlitePool, path: &Path) -> Result<(), AlertError> {
    let found = version(pool).await.map_err(|source| AlertError::Open { path: path.to_owned(), source })?;
    let known = i64::try_from(MIGRATIONS.len()).expect("a handful of migrations");
    if found > known {
        return Err(AlertError::TooNew { path: path.to_owned(), found, known });
    }
    Ok(())
}

/// 0 where nothing of ours is.
pub(super) async fn version(pool: &SqlitePool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA user_version").fetch_one(pool).await
}
