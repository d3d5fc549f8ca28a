//! Groups in the database: a row of timers, and the incidents that point to it.

use super::Tx;
use crate::{
    AlertError,
    group::{Group, Member, Timing},
    identity,
};

/// A group and where it belongs.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) customer: String,
    pub(super) alert: String,
    /// The labels, as a JSON array of pairs.
    pub(super) labels: String,
    pub(super) group: Group,
}

impl Row {
    /// A group that begins with an incident.
    pub(super) fn new(customer: &str, alert: &str, labels: String, incident: &str) -> Self {
        Self {
            id: identity::group(customer, alert, &labels, incident),
            customer: customer.to_owned(),
            alert: alert.to_owned(),
            labels,
            group: Group::default(),
        }
    }
}

/// The living group with these labels.
pub(super) async fn find(
    tx: &mut Tx,
    customer: &str,
    alert: &str,
    labels: &str,
) -> Result<Option<Row>, AlertError> {
    let id: Option<String> =
        sqlx::query_scalar("SELECT id FROM alert_groups WHERE customer = $1 AND alert = $2 AND labels = $3")
            .bind(customer)
            .bind(alert)
            .bind(labels)
            .fetch_optional(&mut **tx)
            .await
            .map_err(AlertError::store("look for a group"))?;
    match id {
        Some(id) => load(tx, &id).await,
        None => Ok(None),
    }
}

type Columns = (String, String, String, i64, Option<i64>, Option<i64>, i64);

/// A group with its incidents.
pub(super) async fn load(tx: &mut Tx, id: &str) -> Result<Option<Row>, AlertError> {
    let row: Option<Columns> = sqlx::query_as(
        "SELECT customer, alert, labels, sequence, last_ms, changed_ms, overflow FROM alert_groups WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(&mut **tx)
    .await
    .map_err(AlertError::store("read a group"))?;
    let Some((customer, alert, labels, sequence, last_ms, changed_ms, overflow)) = row else {
        return Ok(None);
    };
    let members: Vec<(String, Option<i64>, bool)> =
        sqlx::query_as("SELECT id, ends_ms, told FROM incidents WHERE group_id = $1 ORDER BY starts_ms, id")
            .bind(id)
            .fetch_all(&mut **tx)
            .await
            .map_err(AlertError::store("read a group"))?;
    let members = members
        .into_iter()
        .map(|(incident, ends_ms, told)| Member { incident, open: ends_ms.is_none(), told })
        .collect();
    let group = Group {
        sequence: u32::try_from(sequence).map_err(AlertError::corrupt("group"))?,
        last_ms,
        changed_ms,
        overflow: u32::try_from(overflow).map_err(AlertError::corrupt("group"))?,
        members,
    };
    Ok(Some(Row { id: id.to_owned(), customer, alert, labels, group }))
}

/// Writes a group's timers; one that is over goes. Without a timing it sleeps: its Alert is inactive or gone.
pub(super) async fn save(tx: &mut Tx, row: &Row, timing: Option<&Timing>) -> Result<(), AlertError> {
    if row.group.is_over() {
        sqlx::query("DELETE FROM alert_groups WHERE id = $1")
            .bind(&row.id)
            .execute(&mut **tx)
            .await
            .map_err(AlertError::store("end a group"))?;
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO alert_groups (id, customer, alert, labels, sequence, last_ms, changed_ms, overflow, due_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, \
         last_ms = excluded.last_ms, changed_ms = excluded.changed_ms, overflow = excluded.overflow, due_ms = excluded.due_ms",
    )
    .bind(&row.id)
    .bind(&row.customer)
    .bind(&row.alert)
    .bind(&row.labels)
    .bind(i64::from(row.group.sequence))
    .bind(row.group.last_ms)
    .bind(row.group.changed_ms)
    .bind(i64::from(row.group.overflow))
    .bind(timing.and_then(|timing| row.group.deadline(timing)))
    .execute(&mut **tx)
    .await
    .map_err(AlertError::store("write a group"))?;
    Ok(())
}

/// Remembers that all of a group's incidents were told of; those that are over leave it.
pub(super) async fn told(tx: &mut Tx, id: &str) -> Result<(), AlertError> {
    sqlx::query("UPDATE incidents SET told = 1, group_id = CASE WHEN ends_ms IS NULL THEN group_id END WHERE group_id = $1")
        .bind(id)
        .execute(&mut **tx)
        .await
        .map_err(AlertError::store("write a group"))?;
    Ok(())
}

/// Takes an incident out of its group.
pub(super) async fn release(tx: &mut Tx, incident: &str) -> Result<(), AlertError> {
    sqlx::query("UPDATE incidents SET group_id = NULL WHERE id = $1")
        .bind(incident)
        .execute(&mut **tx)
        .await
        .map_err(AlertError::store("write a group"))?;
    Ok(())
}
