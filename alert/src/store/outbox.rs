//! What is to be delivered, and how far it got.

use kinetic_api::anomaly::Anomaly;

use super::Store;
use crate::{AlertError, incident::DeliveryState, notification::Notification};

/// A delivery that is due.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Due {
    /// The message.
    pub(crate) notification: String,
    /// The one recipient of this delivery.
    pub(crate) recipient: String,
    /// What isolates receivers from each other.
    pub(crate) lane: String,
    /// How often it was tried.
    pub(crate) attempts: u32,
}

/// A message with the data of its charts.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) notification: Notification,
    /// The findings to draw, in the order of the message's entries; some may have gone with the history.
    pub(crate) findings: Vec<Anomaly>,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Deliveries that wait or are under way.
    pub(crate) unfinished: i64,
    /// Those of them that no attempt has failed yet.
    pub(crate) untried: i64,
    /// When the oldest of them was made, in milliseconds since the epoch.
    pub(crate) oldest_ms: Option<i64>,
    /// Incidents that fire.
    pub(crate) open: i64,
}

impl Store {
    /// The receivers that have something due.
    pub(crate) async fn due_lanes(&self, now_ms: i64) -> Result<Vec<String>, AlertError> {
        sqlx::query_scalar(
            "SELECT DISTINCT lane FROM outbox WHERE state = 'waiting' AND next_ms <= $1 ORDER BY lane",
        )
        .bind(now_ms)
        .fetch_all(&self.write)
        .await
        .map_err(AlertError::store("look into the outbox"))
    }

    /// What is due for a receiver, the longest due first.
    pub(crate) async fn due(&self, lane: &str, now_ms: i64, limit: usize) -> Result<Vec<Due>, AlertError> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT notification, recipient, attempts FROM outbox WHERE lane = $1 AND state = 'waiting' AND next_ms <= $2 \
             ORDER BY next_ms, made_ms, notification, recipient LIMIT $3",
        )
        .bind(lane)
        .bind(now_ms)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.write)
        .await
        .map_err(AlertError::store("look into the outbox"))?;
        let due = |(notification, recipient, attempts)| Due {
            notification,
            recipient,
            lane: lane.to_owned(),
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        };
        Ok(rows.into_iter().map(due).collect())
    }

    /// When the next delivery after `now_ms` is due.
    pub(crate) async fn next_delivery(&self, now_ms: i64) -> Result<Option<i64>, AlertError> {
        sqlx::query_scalar("SELECT MIN(next_ms) FROM outbox WHERE state = 'waiting' AND next_ms > $1")
            .bind(now_ms)
            .fetch_one(&self.write)
            .await
            .map_err(AlertError::store("look into the outbox"))
    }

    /// A message, with the findings that it shows at most `charts` of.
    pub(crate) async fn parcel(&self, notification: &str, charts: usize) -> Result<Parcel, AlertError> {
        let content: String = sqlx::query_scalar("SELECT content FROM notifications WHERE id = $1")
            .bind(notification)
            .fetch_one(&self.write)
            .await
            .map_err(AlertError::store("read a message"))?;
        let notification: Notification =
            serde_json::from_str(&content).map_err(AlertError::corrupt("message"))?;
        let mut findings = Vec::new();
        for entry in notification.entries.iter().take(charts) {
            let body: Option<Option<String>> =
                sqlx::query_scalar("SELECT body FROM anomalies WHERE customer = $1 AND id = $2")
                    .bind(&notification.customer)
                    .bind(&entry.chart)
                    .fetch_optional(&self.write)
                    .await
                    .map_err(AlertError::store("read a finding"))?;
            if let Some(body) = body.flatten() {
                findings.push(serde_json::from_str(&body).map_err(AlertError::corrupt("finding"))?);
            }
        }
        Ok(Parcel { notification, findings })
    }

    /// Records the intent to hand a message over; `false`: it was dropped meanwhile.
    pub(crate) async fn begin_sending(&self, due: &Due) -> Result<bool, AlertError> {
        let changed = sqlx::query(
            "UPDATE outbox SET state = 'sending' WHERE notification = $1 AND recipient = $2 AND state = 'waiting'",
        )
        .bind(&due.notification)
        .bind(&due.recipient)
        .execute(&self.write)
        .await
        .map_err(AlertError::store("write the outbox"))?;
        Ok(changed.rows_affected() == 1)
    }

    /// Records the end of a delivery, or of an attempt.
    pub(crate) async fn finish(
        &self,
        due: &Due,
        state: DeliveryState,
        now_ms: i64,
        error: Option<&str>,
    ) -> Result<(), AlertError> {
        sqlx::query(
            "UPDATE outbox SET state = $3, attempts = attempts + 1, sent_ms = $4, last_error = $5 \
             WHERE notification = $1 AND recipient = $2 AND state IN ('waiting', 'sending')",
        )
        .bind(&due.notification)
        .bind(&due.recipient)
        .bind(state.as_str())
        .bind((state == DeliveryState::Sent).then_some(now_ms))
        .bind(error)
        .execute(&self.write)
        .await
        .map_err(AlertError::store("write the outbox"))?;
        Ok(())
    }

    /// Records a failed attempt: the next one comes at `next_ms`.
    pub(crate) async fn delay(&self, due: &Due, next_ms: i64, error: &str) -> Result<(), AlertError> {
        sqlx::query(
            "UPDATE outbox SET state = 'waiting', attempts = attempts + 1, next_ms = $3, last_error = $4 \
             WHERE notification = $1 AND recipient = $2 AND state IN ('waiting', 'sending')",
        )
        .bind(&due.notification)
        .bind(&due.recipient)
        .bind(next_ms)
        .bind(error)
        .execute(&self.write)
        .await
        .map_err(AlertError::store("write the outbox"))?;
        Ok(())
    }

    /// How much waits.
    pub(crate) async fn backlog(&self) -> Result<Backlog, AlertError> {
        let (unfinished, untried, oldest_ms): (i64, i64, Option<i64>) = sqlx::query_as(
            "SELECT COUNT(*), COUNT(CASE WHEN attempts = 0 THEN 1 END), MIN(made_ms) FROM outbox \
             WHERE state IN ('waiting', 'sending')",
        )
        .fetch_one(&self.write)
        .await
        .map_err(AlertError::store("count the outbox"))?;
        let open: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM incidents WHERE ends_ms IS NULL")
            .fetch_one(&self.write)
            .await
            .map_err(AlertError::store("count the incidents"))?;
        Ok(Backlog { unfinished, untried, oldest_ms, open })
    }

    /// What a crash interrupted while it was handed over is sent again, under the same Message-ID.
    pub(super) async fn send_again(&self, now_ms: i64) -> Result<(), AlertError> {
        let again = sqlx::query("UPDATE outbox SET state = 'waiting', next_ms = $1 WHERE state = 'sending'")
            .bind(now_ms)
            .execute(&self.write)
            .await
            .map_err(AlertError::store("write the outbox"))?;
        if again.rows_affected() > 0 {
            tracing::warn!(
                messages = again.rows_affected(),
                "stopped while these were handed over: they are sent again under the same Message-ID"
            );
        }
        Ok(())
    }
}
