//! A decision becomes messages: one for each receiver, a delivery for each recipient.

use jiff::Timestamp;
use kinetic_api::plan::{AlertPlan, ReceiverPlan};

use super::{Tx, groups::Row};
use crate::{
    AlertError,
    clock::wall_ms,
    event::IncidentEvent,
    group::{Decision, Phase, Reason},
    incident::{DeliveryState, Facts},
    notification::{Counts, Entry, MAX_ENTRIES, Notification},
};

/// The deliveries that wait for one receiver at most; beyond it the oldest repeats are dropped, then the oldest of all.
pub(crate) const MAX_WAITING: i64 = 10_000;

/// What isolates receivers from each other: `customer/alert/receiver`.
pub(super) fn lane(customer: &str, alert: &str, receiver: &str) -> String {
    format!("{customer}/{alert}/{receiver}")
}

/// Puts a decision's messages into the outbox.
pub(super) async fn enqueue(
    tx: &mut Tx,
    row: &Row,
    plan: &AlertPlan,
    decision: &Decision,
) -> Result<Vec<IncidentEvent>, AlertError> {
    let content = content(tx, row, plan, decision).await?;
    let mut events = Vec::with_capacity(plan.receivers.len());
    for receiver in &plan.receivers {
        let ReceiverPlan { name, email } = receiver;
        let notification = Notification {
            receiver: name.clone(),
            to: email.to.clone(),
            subject_template: email.subject_template.clone(),
            body_template: email.body_template.clone(),
            ..content.clone()
        };
        insert(tx, &notification, decision).await?;
        let lane = lane(&row.customer, &row.alert, name);
        supersede(tx, &row.id, &lane).await?;
        let now_ms = wall_ms();
        for recipient in &email.to {
            sqlx::query(
                "INSERT INTO outbox (notification, recipient, lane, group_id, reason, state, attempts, made_ms, next_ms) \
                 VALUES ($1, $2, $3, $4, $5, 'waiting', 0, $6, $6) ON CONFLICT DO NOTHING",
            )
            .bind(notification.id())
            .bind(recipient)
            .bind(&lane)
            .bind(&row.id)
            .bind(decision.reason.as_str())
            .bind(now_ms)
            .execute(&mut **tx)
            .await
            .map_err(AlertError::store("write the outbox"))?;
        }
        let dropped = bound(tx, &lane).await?;
        if dropped > 0 {
            tracing::warn!(
                lane,
                dropped,
                "too many messages wait for this receiver: the oldest were dropped"
            );
            events.push(IncidentEvent::Dropped { lane: lane.clone(), count: dropped });
        }
        events.push(IncidentEvent::Decided {
            customer: row.customer.clone(),
            alert: row.alert.clone(),
            receiver: name.clone(),
            reason: decision.reason,
            firing: content.counts.firing(),
            resolved: content.counts.over(),
        });
    }
    Ok(events)
}

async fn insert(tx: &mut Tx, notification: &Notification, decision: &Decision) -> Result<(), AlertError> {
    let id = notification.id();
    sqlx::query(
        "INSERT INTO notifications (id, customer, receiver, sequence, reason, decided_ms, made_ms, content) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
    )
    .bind(&id)
    .bind(&notification.customer)
    .bind(&notification.receiver)
    .bind(i64::from(notification.sequence))
    .bind(notification.reason.as_str())
    .bind(decision.at_ms)
    .bind(wall_ms())
    .bind(serde_json::to_string(notification).map_err(AlertError::corrupt("message"))?)
    .execute(&mut **tx)
    .await
    .map_err(AlertError::store("record a message"))?;
    for (incident, _) in &decision.entries {
        sqlx::query("INSERT INTO notification_incidents (incident, notification) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(incident)
            .bind(&id)
            .execute(&mut **tx)
            .await
            .map_err(AlertError::store("record a message"))?;
    }
    Ok(())
}

/// A later message tells what a waiting repeat would: after a long outage people get one of them.
async fn supersede(tx: &mut Tx, group: &str, lane: &str) -> Result<(), AlertError> {
    sqlx::query(
        "UPDATE outbox SET state = $3, last_error = 'a later message about the group says the same' \
         WHERE group_id = $1 AND lane = $2 AND state = 'waiting' AND reason = $4",
    )
    .bind(group)
    .bind(lane)
    .bind(DeliveryState::Dropped.as_str())
    .bind(Reason::Repeat.as_str())
    .execute(&mut **tx)
    .await
    .map_err(AlertError::store("write the outbox"))?;
    Ok(())
}

/// Drops what is beyond [`MAX_WAITING`]; returns how many.
async fn bound(tx: &mut Tx, lane: &str) -> Result<u64, AlertError> {
    let waiting: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM outbox WHERE lane = $1 AND state = 'waiting'")
            .bind(lane)
            .fetch_one(&mut **tx)
            .await
            .map_err(AlertError::store("count the outbox"))?;
    if waiting <= MAX_WAITING {
        return Ok(0);
    }
    let dropped = sqlx::query(
        "UPDATE outbox SET state = $2, last_error = 'too many messages waited for this receiver' WHERE lane = $1 AND \
         (notification, recipient) IN (SELECT notification, recipient FROM outbox WHERE lane = $1 AND state = 'waiting' \
         ORDER BY CASE reason WHEN 'Repeat' THEN 0 ELSE 1 END, made_ms, notification LIMIT $3)",
    )
    .bind(lane)
    .bind(DeliveryState::Dropped.as_str())
    .bind(waiting - MAX_WAITING)
    .execute(&mut **tx)
    .await
    .map_err(AlertError::store("write the outbox"))?;
    Ok(dropped.rows_affected())
}

type Columns = (
    String,
    String,
    String,
    String,
    String,
    i64,
    Option<i64>,
    String,
    Option<String>,
    String,
    Option<String>,
);

/// What the message to every receiver says.
async fn content(
    tx: &mut Tx,
    row: &Row,
    plan: &AlertPlan,
    decision: &Decision,
) -> Result<Notification, AlertError> {
    let rows: Vec<Columns> = sqlx::query_as(
        "SELECT id, analytic, series, metric, origin, starts_ms, ends_ms, facts, resolution, anomaly, resolved_by \
         FROM incidents WHERE group_id = $1",
    )
    .bind(&row.id)
    .fetch_all(&mut **tx)
    .await
    .map_err(AlertError::store("read a group's incidents"))?;
    let mut entries = Vec::with_capacity(rows.len());
    for columns in rows {
        if let Some((_, phase)) = decision.entries.iter().find(|(incident, _)| *incident == columns.0) {
            entries.push(entry(columns, *phase)?);
        }
    }
    let mut counts = Counts::default();
    for entry in &entries {
        counts.add(entry.phase);
    }
    entries.sort_by(|a, b| {
        let far = b.facts.score.abs().total_cmp(&a.facts.score.abs());
        rank(a.phase).cmp(&rank(b.phase)).then(far).then_with(|| a.series.cmp(&b.series))
    });
    entries.truncate(MAX_ENTRIES);
    Ok(Notification {
        customer: row.customer.clone(),
        topology: plan.topology.clone(),
        alert: row.alert.clone(),
        receiver: String::new(),
        to: vec![],
        subject_template: None,
        body_template: None,
        group: row.id.clone(),
        labels: serde_json::from_str(&row.labels).map_err(AlertError::corrupt("group"))?,
        sequence: decision.sequence,
        reason: decision.reason,
        // A finding from the end of time must not stop those that follow it.
        at: Timestamp::from_millisecond(decision.at_ms).unwrap_or(Timestamp::MAX),
        entries,
        counts,
        overflow: usize::try_from(row.group.overflow).unwrap_or(usize::MAX),
    })
}

const fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::New => 0,
        Phase::Passed => 1,
        Phase::Resolved => 2,
        Phase::Ongoing => 3,
    }
}

fn entry(columns: Columns, phase: Phase) -> Result<Entry, AlertError> {
    let (
        incident,
        analytic,
        series,
        metric,
        origin,
        starts_ms,
        ends_ms,
        facts,
        resolution,
        anomaly,
        resolved_by,
    ) = columns;
    Ok(Entry {
        phase,
        incident,
        analytic,
        series,
        metric,
        origin,
        starts_at: time(starts_ms)?,
        ends_at: ends_ms.map(time).transpose()?,
        facts: facts_from(&facts)?,
        resolution: resolution.as_deref().map(facts_from).transpose()?,
        chart: resolved_by.unwrap_or(anomaly),
    })
}

/// A stored time.
pub(super) fn time(ms: i64) -> Result<Timestamp, AlertError> {
    Timestamp::from_millisecond(ms).map_err(AlertError::corrupt("time"))
}

/// Stored facts.
pub(super) fn facts_from(text: &str) -> Result<Facts, AlertError> {
    serde_json::from_str(text).map_err(AlertError::corrupt("incident"))
}
