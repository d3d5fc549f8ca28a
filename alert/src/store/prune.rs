//! Forgets what is too old to matter: nothing grows without bound.

use super::{Store, commit};
use crate::AlertError;

/// One day in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// How long findings keep their windows, incidents their history and messages their text.
const KEEP_MS: i64 = 30 * DAY_MS;
/// How long a finding's id is known: longer than any stream is replayed from.
const KNOW_MS: i64 = 400 * DAY_MS;
/// Rows in one statement at most, so that findings are not held up.
const BATCH: i64 = 1_000;

/// What goes by its age: `$1` is the time before which, `$2` how many at most.
const AGED: [(i64, &str); 4] = [
    (
        KEEP_MS,
        "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents WHERE touched_ms < $1 AND ends_ms IS NOT NULL \
         AND group_id IS NULL LIMIT $2)",
    ),
    (
        KEEP_MS,
        "DELETE FROM notifications WHERE id IN (SELECT n.id FROM notifications n WHERE n.made_ms < $1 \
         AND NOT EXISTS (SELECT 1 FROM notification_incidents l JOIN incidents i ON i.id = l.incident \
         WHERE l.notification = n.id) AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.notification = n.id \
         AND o.state IN ('waiting', 'sending')) LIMIT $2)",
    ),
    (
        KEEP_MS,
        "UPDATE anomalies SET body = NULL WHERE (customer, id) IN (SELECT customer, id FROM anomalies \
         WHERE taken_ms < $1 AND body IS NOT NULL LIMIT $2)",
    ),
    (
        KNOW_MS,
        "DELETE FROM anomalies WHERE (customer, id) IN (SELECT customer, id FROM anomalies WHERE taken_ms < $1 \
         AND body IS NULL LIMIT $2)",
    ),
];

/// What goes with the message that it belongs to: `$1` is how many at most.
const ORPHANS: [&str; 2] = [
    "DELETE FROM outbox WHERE (notification, recipient) IN (SELECT o.notification, o.recipient FROM outbox o \
     WHERE NOT EXISTS (SELECT 1 FROM notifications n WHERE n.id = o.notification) LIMIT $1)",
    "DELETE FROM notification_incidents WHERE (incident, notification) IN (SELECT l.incident, l.notification \
     FROM notification_incidents l WHERE NOT EXISTS (SELECT 1 FROM notifications n WHERE n.id = l.notification) LIMIT $1)",
];

impl Store {
    /// Forgets a batch of what is too old; `true`: there may be more. What fires or waits is kept, however old.
    pub(crate) async fn prune(&self, now_ms: i64) -> Result<bool, AlertError> {
        let forgotten = || AlertError::store("forget what is old");
        let mut pruned = 0;
        let mut tx = self.begin().await?;
        for (age, statement) in AGED {
            let done = sqlx::query(statement).bind(now_ms - age).bind(BATCH).execute(&mut *tx).await;
            pruned += done.map_err(forgotten())?.rows_affected();
        }
        for statement in ORPHANS {
            let done = sqlx::query(statement).bind(BATCH).execute(&mut *tx).await;
            pruned += done.map_err(forgotten())?.rows_affected();
        }
        commit(tx).await?;
        Ok(pruned > 0)
    }
}
