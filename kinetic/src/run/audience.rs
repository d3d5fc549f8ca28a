//! For whom an intake's metrics are.

use anyhow::{Context, bail};
use kinetic_redirector::intake::IntakeTarget;
use kinetic_resources::Snapshot;
use uuid::Uuid;

use super::supervisor::Supervisor;

/// The profile where the customer has no client.
const DEFAULT_PROFILE: &str = "default";

/// The customer and profile that flags name for one intake.
#[derive(Clone, Debug)]
pub(super) struct Audience {
    /// The intake, as its flags begin: `statsd` or `collectd`.
    pub(super) intake: &'static str,
    pub(super) customer: Option<String>,
    pub(super) profile: Option<String>,
}

impl Audience {
    /// Where the intake's messages go: to the only customer, with the profile of its first client, unless flags say otherwise.
    ///
    /// # Errors
    /// There is no such customer, or no saying which of several is meant.
    pub(super) fn target(
        &self,
        snapshot: &Snapshot,
        supervisor: &Supervisor,
    ) -> anyhow::Result<IntakeTarget> {
        let Self { intake, customer, profile } = self;
        let customers = &snapshot.customers;
        let customer = match customer {
            Some(name) => customers
                .iter()
                .find(|c| c.name() == name)
                .with_context(|| format!("--{intake}-customer: there is no Customer `{name}`"))?,
            None => match customers.as_slice() {
                [only] => only,
                [] => bail!("there is no Customer for {intake} metrics: add one, or use --{intake} off"),
                _ => bail!(
                    "there are several Customers: say whose {intake} metrics these are by --{intake}-customer, or use --{intake} off"
                ),
            },
        };
        let first = customer.resource.spec.clients.first().map(|client| client.profile.to_string());
        let profile = profile.clone().or(first).unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
        let bus = supervisor
            .bus(customer.name())
            .with_context(|| format!("the vhost of customer {} cannot be used", customer.name()))?;
        Ok(IntakeTarget { bus, profile, instance: Uuid::new_v4().to_string() })
    }
}
