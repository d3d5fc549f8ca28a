//! What `kinetic run` listens on, and for whom.

use std::{fmt, net::SocketAddr, time::Duration};

use anyhow::Context;
use kinetic_redirector::intake::{CollectdIntake, IntakeMetrics, StatsdIntake};
use kinetic_resources::Snapshot;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{args::RunArgs, audience::Audience, collectd::Collectd, supervisor::Supervisor};
use crate::listen::{Listen, Statsd};

/// How long a stop waits for what was taken to be confirmed.
const GRACE: Duration = Duration::from_secs(5);

/// The intakes, before they listen.
pub(super) struct Intake {
    udp: Option<SocketAddr>,
    tcp: Option<(SocketAddr, bool)>,
    pub(super) stdin: bool,
    audience: Audience,
    collectd: Option<Collectd>,
    metrics: IntakeMetrics,
}

impl Intake {
    /// What the flags ask for.
    pub(super) fn new(args: &RunArgs, registry: &mut Registry) -> anyhow::Result<Self> {
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
        let audience = Audience { intake: "statsd", customer, profile };
        let collectd = Collectd::new(&args.collectd, args.once)?;
        Ok(Self { udp, tcp, stdin, audience, collectd, metrics })
    }

    /// Opens the listeners.
    pub(super) async fn listen(
        self,
        snapshot: &Snapshot,
        supervisor: &Supervisor,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Listening> {
        let mut listening = Listening::default();
        if let Some(collectd) = self.collectd
            && let Some((running, bound)) =
                collectd.listen(snapshot, supervisor, self.metrics.clone(), cancel)?
        {
            listening.collectd = Some((running, bound));
        }
        if self.udp.is_none() && self.tcp.is_none() && !self.stdin {
            return Ok(listening);
        }
        let target = self.audience.target(snapshot, supervisor)?;
        let running = StatsdIntake::start(target, self.metrics, cancel);
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
        listening.statsd = Some(running);
        Ok(listening)
    }
}

/// The intakes at work.
#[derive(Default)]
pub(super) struct Listening {
    pub(super) statsd: Option<StatsdIntake>,
    /// Where statsd lines are taken.
    addresses: Vec<String>,
    collectd: Option<(CollectdIntake, SocketAddr)>,
}

impl Listening {
    /// Takes lines from standard input beside the rest.
    pub(super) fn follow_stdin(&self) {
        if let Some(running) = &self.statsd {
            running.follow_stdin();
        }
    }

    /// Ends the intakes; what was taken is published.
    pub(super) async fn stop(self) {
        let statsd = async {
            match self.statsd {
                Some(running) => running.stop(GRACE).await,
                None => Ok(()),
            }
        };
        let collectd = async {
            match self.collectd {
                Some((running, _)) => running.stop(GRACE).await,
                None => Ok(()),
            }
        };
        let (statsd, collectd) = tokio::join!(statsd, collectd);
        for error in [statsd, collectd].into_iter().filter_map(Result::err) {
            warn!(%error, "not everything that was taken could be published");
        }
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statsd = if self.addresses.is_empty() { "off" } else { &self.addresses.join(" and ") };
        write!(f, "statsd: {statsd}")?;
        match self.collectd {
            Some((_, bound)) => write!(f, " · collectd: UDP {bound}"),
            None => f.write_str(" · collectd: off"),
        }
    }
}
