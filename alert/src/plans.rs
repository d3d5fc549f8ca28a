//! The Alerts of all customers, as they stand.

use std::{collections::HashMap, sync::Arc};

use kinetic_api::plan::AlertPlan;

/// The Alerts of all customers that are served.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plans(HashMap<String, Arc<Vec<AlertPlan>>>);

impl Plans {
    /// A customer's Alert, if it is there.
    pub(crate) fn find(&self, customer: &str, alert: &str) -> Option<&AlertPlan> {
        self.0.get(customer)?.iter().find(|plan| plan.name == alert)
    }

    /// A customer's Alerts.
    pub(crate) fn of(&self, customer: &str) -> Arc<Vec<AlertPlan>> {
        self.0.get(customer).cloned().unwrap_or_default()
    }

    /// Puts a customer's Alerts in place of those that it had, which are returned.
    pub(crate) fn replace(
        &mut self,
        customer: &str,
        plans: Arc<Vec<AlertPlan>>,
    ) -> Option<Arc<Vec<AlertPlan>>> {
        self.0.insert(customer.to_owned(), plans)
    }
}
