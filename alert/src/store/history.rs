//! The history, for people: read beside a process that writes it.

use std::{collections::HashMap, path::Path, time::Duration};

use jiff::Timestamp;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use super::{
    DATABASE,
    enqueue::{facts_from, time},
    schema,
};
use crate::{
    AlertError,
    group::Reason,
    incident::{DeliveryState, Incident, IncidentState, NotificationState, Silence},
};

/// The history, open for reading; works while another process writes it.
#[derive(Clone, Debug)]
pub struct History {
    pub(super) pool: SqlitePool,
}

type Columns = (
    String,
    String,
    String,
    String,
    String,
    String,
    String,
    String,
    i64,
    Option<i64>,
    Option<String>,
    String,
    Option<String>,
);
type Delivery = (String, String, String, i64, String, i64, String, i64, Option<i64>, Option<String>);

impl History {
    /// Opens the history in a data folder.
    pub async fn open(data_dir: &Path) -> Result<Self, AlertError> {
        let path = data_dir.join(DATABASE);
        if !path.exists() {
            return Err(AlertError::NoHistory { path });
        }
        let options =
            SqliteConnectOptions::new().filename(&path).read_only(true).busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new()
            .max_connections(2)
            .connect_with(options)
            .await
            .map_err(|source| AlertError::Open { path: path.clone(), source })?;
        schema::check_readable(&pool, &path).await?;
        Ok(Self { pool })
    }

    pub(super) const fn reading(pool: SqlitePool) -> Self {
        Self { pool }
    }

    /// The incidents that fire, or ended at or after `since`; all of them without it. The oldest first.
    pub async fn incidents(&self, since: Option<Timestamp>) -> Result<Vec<Incident>, AlertError> {
        let since_ms = since.map_or(i64::MIN, Timestamp::as_millisecond);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT id, customer, topology, alert, analytic, series, metric, origin, starts_ms, ends_ms, silence, facts, \
             resolution FROM incidents WHERE ends_ms IS NULL OR ends_ms >= $1 ORDER BY starts_ms, id",
        )
        .bind(since_ms)
        .fetch_all(&self.pool)
        .await
        .map_err(AlertError::store("read the incidents"))?;
        let mut notifications = self.notifications(since_ms).await?;
        rows.into_iter().map(|columns| incident(columns, &mut notifications)).collect()
    }

    /// The deliveries about the same incidents, by incident.
    async fn notifications(
        &self,
        since_ms: i64,
    ) -> Result<HashMap<String, Vec<NotificationState>>, AlertError> {
        let rows: Vec<Delivery> = sqlx::query_as(
            "SELECT link.incident, n.reason, n.receiver, n.sequence, o.recipient, n.decided_ms, o.state, o.attempts, \
             o.sent_ms, o.last_error FROM incidents i JOIN notification_incidents link ON link.incident = i.id \
             JOIN notifications n ON n.id = link.notification JOIN outbox o ON o.notification = n.id \
             WHERE i.ends_ms IS NULL OR i.ends_ms >= $1 ORDER BY n.decided_ms, n.receiver, o.recipient",
        )
        .bind(since_ms)
        .fetch_all(&self.pool)
        .await
        .map_err(AlertError::store("read the messages"))?;
        let mut by_incident: HashMap<String, Vec<NotificationState>> = HashMap::new();
        for delivery in rows {
            let (incident, state) = notification(delivery)?;
            by_incident.entry(incident).or_default().push(state);
        }
        Ok(by_incident)
    }
}

fn incident(
    columns: Columns,
    notifications: &mut HashMap<String, Vec<NotificationState>>,
) -> Result<Incident, AlertError> {
    let (
        id,
        customer,
        topology,
        alert,
        analytic,
        series,
        metric,
        origin,
        starts_ms,
        ends_ms,
        silence,
        facts,
        resolution,
    ) = columns;
    Ok(Incident {
        customer,
        topology,
        alert,
        analytic,
        series,
        metric,
        origin,
        state: if ends_ms.is_none() { IncidentState::Firing } else { IncidentState::Resolved },
        starts_at: time(starts_ms)?,
        ends_at: ends_ms.map(time).transpose()?,
        silence: silence.as_deref().and_then(Silence::parse),
        facts: facts_from(&facts)?,
        resolution: resolution.as_deref().map(facts_from).transpose()?,
        notifications: notifications.remove(&id).unwrap_or_default(),
        id,
    })
}

fn notification(delivery: Delivery) -> Result<(String, NotificationState), AlertError> {
    let (incident, reason, receiver, sequence, recipient, decided_ms, state, attempts, sent_ms, last_error) =
        delivery;
    let state = NotificationState {
        reason: Reason::parse(&reason).ok_or(reason).map_err(AlertError::corrupt("reason"))?,
        sequence: u32::try_from(sequence).map_err(AlertError::corrupt("message"))?,
        receiver,
        recipient,
        state: DeliveryState::parse(&state).ok_or(state).map_err(AlertError::corrupt("state"))?,
        attempts: u32::try_from(attempts).map_err(AlertError::corrupt("message"))?,
        last_error,
        decided_at: time(decided_ms)?,
        sent_at: sent_ms.map(time).transpose()?,
    };
    Ok((incident, state))
}
