//! What `kinetic run` takes from collectd's network plugin.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use kinetic_redirector::intake::{AuthFile, CollectdIntake, Guard, IntakeMetrics, Security};
use kinetic_resources::Snapshot;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{audience::Audience, supervisor::Supervisor};
use crate::listen::Listen;

/// The flags for collectd.
#[derive(Debug, Args)]
pub(crate) struct CollectdArgs {
    /// Where packets of collectd's network plugin are taken by UDP.  [default: 127.0.0.1:25826; off with --once]
    #[arg(long, value_name = "ADDR|off", env = "KINETIC_COLLECTD")]
    pub(crate) collectd: Option<Listen>,
    /// What packets must prove, as the plugin's `SecurityLevel`: none, sign or encrypt.
    #[arg(long, value_name = "LEVEL", default_value_t, env = "KINETIC_COLLECTD_SECURITY")]
    collectd_security: Security,
    /// A file of lines `user: password`, as the plugin's `AuthFile`; it is read again when it changes.
    #[arg(long, value_name = "FILE", env = "KINETIC_COLLECTD_AUTH_FILE")]
    collectd_auth_file: Option<PathBuf>,
    /// The Customer whose metrics the collectd listener takes.  [default: the only one]
    #[arg(long, value_name = "NAME", env = "KINETIC_COLLECTD_CUSTOMER")]
    collectd_customer: Option<String>,
    /// The profile that metrics from the collectd listener carry.  [default: that of the customer's first client]
    #[arg(long, value_name = "NAME", env = "KINETIC_COLLECTD_PROFILE")]
    collectd_profile: Option<String>,
}

/// The collectd intake, before it listens.
pub(super) struct Collectd {
    address: SocketAddr,
    /// Whether the address was asked for: what was not may fail.
    asked: bool,
    guard: Guard,
    audience: Audience,
}

impl Collectd {
    /// What the flags ask for; `None` where nothing is taken.
    pub(super) fn new(args: &CollectdArgs, once: bool) -> anyhow::Result<Option<Self>> {
        let default = "127.0.0.1:25826".parse().expect("a literal address");
        let (address, asked) = match args.collectd {
            Some(Listen::At(address)) => (address, true),
            None if !once => (default, false),
            Some(Listen::Off) | None => return Ok(None),
        };
        let guard = match (args.collectd_security, &args.collectd_auth_file) {
            (security, Some(file)) => {
                Guard::new(security, AuthFile::open(file).context("--collectd-auth-file")?)
            }
            (Security::None, None) => Guard::open(),
            (security, None) => bail!(
                "--collectd-security {security} needs the users' passwords: add --collectd-auth-file FILE with a line `user: password` for each"
            ),
        };
        let (customer, profile) = (args.collectd_customer.clone(), args.collectd_profile.clone());
        Ok(Some(Self { address, asked, guard, audience: Audience { intake: "collectd", customer, profile } }))
    }

    /// Opens the listener; `None`, with a line that says why, where it was not asked for and cannot be.
    pub(super) fn listen(
        self,
        snapshot: &Snapshot,
        supervisor: &Supervisor,
        metrics: IntakeMetrics,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Option<(CollectdIntake, SocketAddr)>> {
        let Self { address, asked, guard, audience } = self;
        let target = match audience.target(snapshot, supervisor) {
            Ok(target) => target,
            Err(error) if asked || audience.customer.is_some() => return Err(error),
            Err(error) => {
                info!(reason = %error, "collectd packets are not taken");
                return Ok(None);
            }
        };
        let running = CollectdIntake::start(target, metrics, cancel);
        match running.listen(address, guard) {
            Ok(bound) => Ok(Some((running, bound))),
            Err(error) if asked => Err(error).context("--collectd"),
            Err(error) => {
                warn!(%error, "collectd packets are not taken");
                Ok(None)
            }
        }
    }
}
