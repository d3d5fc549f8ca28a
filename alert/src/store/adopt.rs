//! Changed Alerts: their groups' deadlines follow, and what waits for recipients who are gone is dropped.

use kinetic_api::plan::AlertPlan;

use super::{Store, commit, enqueue::lane, groups};
use crate::{AlertError, group::Timing, incident::DeliveryState};

impl Store {
    /// Takes over a customer's Alerts. `before` is what this process ran until now: only what an edit took away is dropped, so
    /// that an Alert that is missing when the process starts loses nothing.
    pub(crate) async fn adopt(
        &self,
        customer: &str,
        before: &[AlertPlan],
        plans: &[AlertPlan],
    ) -> Result<(), AlertError> {
        let mut tx = self.begin().await?;
        let groups: Vec<String> = sqlx::query_scalar("SELECT id FROM alert_groups WHERE customer = $1")
            .bind(customer)
            .fetch_all(&mut *tx)
            .await
            .map_err(AlertError::store("read the groups"))?;
        for id in groups {
            if let Some(row) = groups::load(&mut tx, &id).await? {
                let plan = plans.iter().find(|plan| plan.name == row.alert && plan.active);
                groups::save(&mut tx, &row, plan.map(Timing::from).as_ref()).await?;
            }
        }
        for (alert, receiver, recipient) in gone(before, plans) {
            let lane = lane(customer, alert, receiver);
            let dropped = sqlx::query(
                "UPDATE outbox SET state = $3, last_error = 'the Alert does not name this recipient any more' \
                 WHERE lane = $1 AND recipient = $2 AND state = 'waiting'",
            )
            .bind(&lane)
            .bind(recipient)
            .bind(DeliveryState::Dropped.as_str())
            .execute(&mut *tx)
            .await
            .map_err(AlertError::store("write the outbox"))?;
            if dropped.rows_affected() > 0 {
                tracing::warn!(
                    lane,
                    recipient,
                    dropped = dropped.rows_affected(),
                    "the recipient is gone: its messages were dropped"
                );
            }
        }
        commit(tx).await
    }
}

/// Alert, receiver and recipient of what was told before and is not any more.
fn gone<'a>(before: &'a [AlertPlan], plans: &'a [AlertPlan]) -> Vec<(&'a str, &'a str, &'a str)> {
    fn told(plans: &[AlertPlan]) -> impl Iterator<Item = (&str, &str, &str)> {
        plans.iter().flat_map(|plan| {
            plan.receivers.iter().flat_map(|receiver| {
                receiver.email.to.iter().map(|to| (plan.name.as_str(), receiver.name.as_str(), to.as_str()))
            })
        })
    }
    let now: std::collections::HashSet<_> = told(plans).collect();
    told(before).filter(|recipient| !now.contains(recipient)).collect()
}
