//! What `kinetic run` listens on, and for whom.

use std::{fmt, net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use kinetic_redirector::intake::{IntakeMetrics, IntakeTarget, StatsdIntake};
use kinetic_resources::Snapshot;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::{args::RunArgs, supervisor::Supervisor};
use crate::listen::{Listen, Statsd};

/// How long a stop waits for what was taken to be confirmed.
const GRACE: Duration = Duration::from_secs(5);

/// The profile where the customer has no client.
const DEFAULT_PROFILE: &str = "default";

/// The statsd intake, before it listens.
pub(super) struct Intake {
    udp: Option<SocketAddr>,
    tcp: Option<(SocketAddr, bool)>,
    pub(super) stdin: bool,
    customer: Option<String>,
    profile: Option<String>,
    metrics: IntakeMetrics,
}

impl Intake {
    /// What the flags ask for.
    pub(super) fn new(args: &RunArgs, registry: &mut Registry) -> Self {
        let default = "127.0.0.1:8125".parse().expect("a literal address");
        let (udp, stdin) = match args.statsd {
            Some(Statsd::Udp(address)) => (Some(address), false),
            Some(Statsd::Stdin) => (None, true),
            Some(Statsd::Off) => (None, false),
            None => ((!args.once).then_some(default), false),
        };
        let tcp = match args.statsd_tcp {
            Some(Listen::At(address)) => Some((address, true)),
            Some(Listen::Off) => None,
            None => udp.map(|address| (address, false)),
        };
        let metrics = IntakeMetrics::default();
        metrics.register(registry);
        let (customer, profile) = (args.statsd_customer.clone(), args.statsd_profile.clone());
        Self { udp, tcp, stdin, customer, profile, metrics }
    }

    /// The customer and profile that the lines are for; `None` where nothing is taken.
    pub(super) fn target(
        &self,
        snapshot: &Snapshot,
        supervisor: &Supervisor,
    ) -> anyhow::Result<Option<IntakeTarget>> {
        if self.udp.is_none() && self.tcp.is_none() && !self.stdin {
            return Ok(None);
        }
        let customers = &snapshot.customers;
        let customer = match &self.customer {
            Some(name) => customers
                .iter()
                .find(|c| c.name() == name)
                .with_context(|| format!("--statsd-customer: there is no Customer `{name}`"))?,
            None => match customers.as_slice() {
                [only] => only,
                [] => bail!("there is no Customer for statsd metrics: add one, or use --statsd off"),
                _ => bail!(
                    "there are several Customers: say whose statsd metrics these are by --statsd-customer, or use --statsd off"
                ),
            },
        };
        let first = customer.resource.spec.clients.first().map(|client| client.profile.to_string());
        let profile = self.profile.clone().or(first).unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
        let bus = supervisor
            .bus(customer.name())
            .with_context(|| format!("the vhost of customer {} cannot be used", customer.name()))?;
        Ok(Some(IntakeTarget { bus, profile, instance: Uuid::new_v4().to_string() }))
    }

    /// Opens the listeners.
    pub(super) async fn listen(
        &self,
        target: Option<IntakeTarget>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Listening> {
        let Some(target) = target else { return Ok(Listening::default()) };
        let running = StatsdIntake::start(target, self.metrics.clone(), cancel);
        let mut listening = Listening::default();
        if let Some(address) = self.udp {
            let bound = running.listen_udp(address).context("--statsd")?;
            listening.addresses.push(format!("UDP {bound}"));
        }
        if let Some((address, asked)) = self.tcp {
            match running.listen_tcp(address).await {
                Ok(bound) => listening.addresses.push(format!("TCP {bound}")),
                Err(error) if asked => return Err(error).context("--statsd-tcp"),
                Err(error) => warn!(%error, "no statsd over TCP; choose another address with --statsd-tcp"),
            }
        }
        if self.stdin {
            listening.addresses.push("standard input".to_owned());
        }
        listening.running = Some(running);
        Ok(listening)
    }
}

/// The statsd intake at work.
#[derive(Default)]
pub(super) struct Listening {
    pub(super) running: Option<StatsdIntake>,
    addresses: Vec<String>,
}

impl Listening {
    /// Takes lines from standard input beside the rest.
    pub(super) fn follow_stdin(&self) {
        if let Some(running) = &self.running {
            running.follow_stdin();
        }
    }

    /// Ends the intake; what was taken is published.
    pub(super) async fn stop(self) {
        if let Some(running) = self.running
            && let Err(error) = running.stop(GRACE).await
        {
            warn!(%error, "not everything that was taken could be published");
        }
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.addresses.is_empty() {
            f.write_str("off")
        } else {
            f.write_str(&self.addresses.join(" and "))
        }
    }
}
