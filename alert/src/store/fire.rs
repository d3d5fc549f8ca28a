//! Timers that fire: a group's message is decided and put into the outbox, in one transaction with the group's new state.

use kinetic_api::plan::AlertPlan;

use super::{Store, Tx, commit, enqueue, groups};
use crate::{AlertError, Clock, event::IncidentEvent, group::Timing, plans::Plans};

/// How many groups are looked at in one go.
const BATCH: i64 = 100;

impl Store {
    /// Fires the timers that are due, of at most [`BATCH`] groups; `true`: there may be more.
    pub(crate) async fn fire_due(
        &self,
        plans: &Plans,
        now_ms: i64,
    ) -> Result<(Vec<IncidentEvent>, bool), AlertError> {
        let due: Vec<String> =
            sqlx::query_scalar("SELECT id FROM alert_groups WHERE due_ms <= $1 ORDER BY due_ms, id LIMIT $2")
                .bind(now_ms)
                .bind(BATCH)
                .fetch_all(&self.write)
                .await
                .map_err(AlertError::store("look for timers"))?;
        let more = i64::try_from(due.len()).is_ok_and(|n| n == BATCH);
        let mut events = Vec::new();
        for id in due {
            events.extend(self.fire_group(&id, plans, |_, _| Some(now_ms)).await?);
        }
        Ok((events, more))
    }

    /// When the next timer fires; never by itself on the findings' clock.
    pub(crate) async fn next_timer(&self) -> Result<Option<i64>, AlertError> {
        match self.clock {
            Clock::Event => Ok(None),
            Clock::Wall => {
                sqlx::query_scalar("SELECT MIN(due_ms) FROM alert_groups WHERE due_ms IS NOT NULL")
                    .fetch_one(&self.write)
                    .await
                    .map_err(AlertError::store("look for timers"))
            }
        }
    }

    /// Tells people of all changes that they were not told of yet, each at its deadline: the end of a replay.
    pub(crate) async fn fire_changes(&self, plans: &Plans) -> Result<Vec<IncidentEvent>, AlertError> {
        let changed: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM alert_groups WHERE changed_ms IS NOT NULL ORDER BY changed_ms, id",
        )
        .fetch_all(&self.write)
        .await
        .map_err(AlertError::store("look for timers"))?;
        let mut events = Vec::new();
        for id in changed {
            let last_change = |row: &groups::Row, timing: &Timing| row.group.change_deadline(timing);
            events.extend(self.fire_group(&id, plans, last_change).await?);
        }
        Ok(events)
    }

    async fn fire_group(
        &self,
        id: &str,
        plans: &Plans,
        until_ms: impl FnOnce(&groups::Row, &Timing) -> Option<i64>,
    ) -> Result<Vec<IncidentEvent>, AlertError> {
        let mut tx = self.begin().await?;
        let Some(mut row) = groups::load(&mut tx, id).await? else { return Ok(vec![]) };
        let mut events = Vec::new();
        match plans.find(&row.customer, &row.alert).filter(|plan| plan.active) {
            Some(plan) => {
                if let Some(until_ms) = until_ms(&row, &Timing::from(plan)) {
                    events = until(&mut tx, &mut row, plan, self.clock, until_ms).await?;
                }
            }
            None => groups::save(&mut tx, &row, None).await?,
        }
        commit(tx).await?;
        Ok(events)
    }
}

/// Fires what is due by `now_ms`: on the findings' clock each at its own deadline, on the wall's now, however late.
pub(super) async fn until(
    tx: &mut Tx,
    row: &mut groups::Row,
    plan: &AlertPlan,
    clock: Clock,
    now_ms: i64,
) -> Result<Vec<IncidentEvent>, AlertError> {
    let timing = Timing::from(plan);
    let mut events = Vec::new();
    while let Some(deadline) = row.group.deadline(&timing).filter(|&deadline| deadline <= now_ms) {
        let at_ms = match clock {
            Clock::Wall => now_ms,
            Clock::Event => deadline,
        };
        let Some(decision) = row.group.fire(at_ms, &timing) else { break };
        tracing::info!(
            customer = row.customer,
            alert = row.alert,
            group = row.id,
            reason = decision.reason.as_str(),
            sequence = decision.sequence,
            incidents = decision.entries.len(),
            "people are to be told"
        );
        events.extend(enqueue::enqueue(tx, row, plan, &decision).await?);
        groups::told(tx, &row.id).await?;
        groups::save(tx, row, Some(&timing)).await?;
    }
    Ok(events)
}
