//! How Alerts fare now: what the operator puts into their statuses.

use std::collections::BTreeMap;

use kinetic_api::fitness::AlertFitness;

use super::History;
use crate::AlertError;

impl History {
    /// The Alerts with an open incident, or a message that could not be delivered yet, by customer and name.
    pub async fn fitness(&self) -> Result<Vec<AlertFitness>, AlertError> {
        let firing: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT customer, alert, COUNT(*) FROM incidents WHERE ends_ms IS NULL GROUP BY customer, alert",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(AlertError::store("count the open incidents"))?;
        let failing: Vec<(String, String, i64, Option<String>)> = sqlx::query_as(
            "SELECT g.customer, g.alert, COUNT(*), MAX(o.last_error) FROM outbox o JOIN alert_groups g ON g.id = o.group_id \
             WHERE o.state = 'waiting' AND o.attempts > 0 GROUP BY g.customer, g.alert",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(AlertError::store("count the messages that wait"))?;
        let count = |n: i64| u64::try_from(n).unwrap_or_default();
        let mut all: BTreeMap<(String, String), AlertFitness> = BTreeMap::new();
        for (customer, alert, firing) in firing {
            all.entry((customer, alert)).or_default().firing = count(firing);
        }
        for (customer, alert, failing, last_error) in failing {
            let fitness = all.entry((customer, alert)).or_default();
            (fitness.failing, fitness.last_error) = (count(failing), last_error);
        }
        let named = |((customer, alert), fitness)| AlertFitness { customer, alert, ..fitness };
        Ok(all.into_iter().map(named).collect())
    }
}
