//! Where a customer's messages move: within the process, or in a vhost of a RabbitMQ, straight or through a front door.

use std::time::Duration;

use anyhow::{Context, bail};
use kinetic_api::{plan::TopologyPlan, resources::Customer};
use kinetic_bus::{Admin, AmqpConfig, Bus, BusError, Retention};
use tracing::{info, warn};
use url::Url;

use super::doors::Doors;

/// How long a start waits for the broker before it goes on without: it is reconnected to for ever.
const FIRST_CONNECTION: Duration = Duration::from_secs(10);

/// Makes the way to each customer's vhost.
#[derive(Clone, Debug)]
pub(crate) enum Broker {
    /// Within the process.
    Local,
    /// A RabbitMQ.
    Amqp(Box<RabbitMq>),
    /// Brokers behind front doors.
    Doors(Doors),
}

/// A RabbitMQ, and as whom to come.
#[derive(Clone, Debug)]
pub(crate) struct RabbitMq {
    /// Its address, without a vhost.
    uri: String,
    /// The user who logs in, and is granted a vhost that is made.
    user: String,
    /// Makes vhosts and retention policies, if there is one.
    admin: Option<Admin>,
    /// What the connections are called in the broker's tools.
    role: &'static str,
    /// Objects are the operator's to make.
    checks: bool,
}

impl Broker {
    /// The broker that the flags name.
    pub(crate) fn new(amqp: Option<&str>, admin: Option<&str>, role: &'static str) -> anyhow::Result<Self> {
        let Some(uri) = amqp else { return Ok(Self::Local) };
        let parsed =
            Url::parse(uri).with_context(|| "--amqp: write amqp://user:password@host:port".to_owned())?;
        if !matches!(parsed.path(), "" | "/") {
            bail!(
                "--amqp: the address names the vhost `{}`, but each customer has one of its own ({{region}}.{{provider}}.{{name}}): leave the path out",
                parsed.path().trim_start_matches('/')
            );
        }
        let user = if parsed.username().is_empty() { "guest" } else { parsed.username() };
        let admin = admin.map(Admin::new).transpose().context("--amqp-admin")?;
        Ok(Self::Amqp(Box::new(RabbitMq {
            uri: uri.to_owned(),
            user: user.to_owned(),
            admin,
            role,
            checks: false,
        })))
    }

    /// Makes nothing on the broker: what it needs is the operator's to make, and waited for.
    #[must_use]
    pub(crate) fn checking(mut self) -> Self {
        if let Self::Amqp(broker) = &mut self {
            broker.checks = true;
        }
        self
    }

    /// The way to a customer's vhost. With an administrator the vhost is made; without one it must exist, or the error says how to make it. A broker
    /// that is away is waited for in the background.
    pub(crate) async fn vhost(&self, customer: &Customer) -> anyhow::Result<Bus> {
        let RabbitMq { uri, user, admin, role, checks } = match self {
            Self::Local => return Ok(Bus::local()),
            Self::Doors(doors) => return doors.bus(customer),
            Self::Amqp(broker) => &**broker,
        };
        let vhost = &*customer.vhost();
        if let Some(admin) = admin {
            admin.create_vhost(vhost).await?;
            admin.grant(vhost, user).await?;
        }
        let mut config = AmqpConfig::new(uri, vhost)?
            .with_connection_name(format!("kinetic {role} {vhost}"))
            .with_client_property("kinetic.role", *role)
            .with_client_property("kinetic.version", env!("CARGO_PKG_VERSION"));
        if *checks {
            config = config.checking();
        }
        let bus = Bus::amqp(config);
        match bus.connected(FIRST_CONNECTION).await {
            Ok(()) => info!(vhost, "connected to the broker"),
            Err(error @ BusError::Unreachable { .. }) => {
                warn!(vhost, %error, "going on; it is tried again for ever");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(bus)
    }

    /// Sets how much of a Topology's streams stays replayable: a policy, which can change while a stream lives.
    pub(crate) async fn retain(&self, vhost: &str, plan: &TopologyPlan) {
        let Self::Amqp(broker) = self else { return };
        if broker.checks {
            return;
        }
        let Some(admin) = &broker.admin else {
            warn!(vhost, topology = %plan.name, "without --amqp-admin the retention of its streams is the broker's to set");
            return;
        };
        for source in &plan.sources {
            let retention = Retention { age: source.retention.age.std(), bytes: source.retention.size.get() };
            if let Err(error) = admin.retain(vhost, &source.stream, retention).await {
                warn!(vhost, stream = %source.stream, %error, "the stream's retention could not be set");
            }
        }
    }
}
