//! The command line of `kinetic run`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::collectd::CollectdArgs;
use crate::{
    listen::{Listen, Statsd},
    mail::MailArgs,
    types_db::TypesDbArgs,
};

/// Watches Customers, Topologies and Alerts in YAML files; an edit takes effect at once, a broken one is reported and changes nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kinetic run -f examples/web-shop\n      statsd on UDP and TCP 127.0.0.1:8125, collectd on UDP 127.0.0.1:25826, mails into kinetic-data/mail\n  \
    kinetic run -f shop.yaml --smtp smtps://user:password@mail.example:465 --mail-from kinetic@shop.example\n  \
    kinetic run -f shop.yaml --amqp amqp://user:password@broker:5672 --amqp-admin http://user:password@broker:15672\n  \
    kinetic run -f shop.yaml --amqp amqp://user:password@localhost --amqp-admin http://user:password@localhost:15672 --amqps 0.0.0.0:5671\n  \
    kinetic run -f shop.yaml --statsd - --once < packets.txt"
)]
pub(crate) struct RunArgs {
    /// Files, or folders of *.yaml files, that hold the resources.
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true, num_args = 1.., env = "KINETIC_FILE", value_delimiter = ',')]
    pub(crate) files: Vec<PathBuf>,
    /// The folder for what must outlive the process: the history, and mails where no --smtp is given.
    #[arg(long, value_name = "DIR", default_value = "kinetic-data", env = "KINETIC_DATA")]
    pub(crate) data: PathBuf,
    /// Where statsd packets are taken by UDP; `-` reads lines from standard input instead.  [default: 127.0.0.1:8125; off with --once]
    #[arg(long, value_name = "ADDR|-|off", env = "KINETIC_STATSD")]
    pub(crate) statsd: Option<Statsd>,
    /// Where statsd lines are taken by TCP.  [default: the address of --statsd]
    #[arg(long, value_name = "ADDR|off", env = "KINETIC_STATSD_TCP")]
    pub(crate) statsd_tcp: Option<Listen>,
    /// The Customer whose metrics the statsd listeners take.  [default: the only one]
    #[arg(long, value_name = "NAME", env = "KINETIC_STATSD_CUSTOMER")]
    pub(crate) statsd_customer: Option<String>,
    /// The profile that metrics from the statsd listeners carry.  [default: that of the customer's first client]
    #[arg(long, value_name = "NAME", env = "KINETIC_STATSD_PROFILE")]
    pub(crate) statsd_profile: Option<String>,
    #[command(flatten)]
    pub(crate) collectd: CollectdArgs,
    #[command(flatten)]
    pub(crate) types: TypesDbArgs,
    /// A RabbitMQ to move the messages, such as `amqp://user:password@host:5672`; each customer has a vhost of its own there.
    /// [default: within the process]
    #[arg(long, value_name = "URL", env = "KINETIC_AMQP")]
    pub(crate) amqp: Option<String>,
    /// Its management API, such as `http://user:password@host:15672`, to create vhosts, permissions and retention policies.
    #[arg(long, value_name = "URL", env = "KINETIC_AMQP_ADMIN", requires = "amqp")]
    pub(crate) amqp_admin: Option<String>,
    /// Where clients' AMQP is taken over mutual TLS, such as `0.0.0.0:5671`: each customer's to its vhost. Needs --amqp and --amqp-admin;
    /// certificates are made under --data (pki/issued).
    #[arg(long, value_name = "ADDR", env = "KINETIC_AMQPS")]
    pub(crate) amqps: Option<SocketAddr>,
    /// Where machines ask for certificates by HTTPS (`kinetic enroll`), such as `0.0.0.0:5680`; tokens, requests and decisions lie under
    /// --data.  [default: off]
    #[arg(long, value_name = "ADDR", env = "KINETIC_ENROLL", requires = "amqps")]
    pub(crate) enroll: Option<SocketAddr>,
    /// Where this front door tells who is connected (`kinetic clients`), by HTTPS to the operator, the console and customers' control.
    /// [default with --amqps: a free port of 127.0.0.1, which `kinetic clients --data DIR` finds]
    #[arg(long, value_name = "ADDR|off", env = "KINETIC_REGISTRY_LISTEN", requires = "amqps")]
    pub(crate) registry: Option<Listen>,
    #[command(flatten)]
    pub(crate) mail: MailArgs,
    /// Where /healthz, /readyz and /metrics are served.  [default: 127.0.0.1:8181; off with --once]
    #[arg(long, value_name = "ADDR|off", env = "KINETIC_ADMIN")]
    pub(crate) admin: Option<Listen>,
    /// Process what is there (streams with --amqp, standard input with --statsd -), close all windows, deliver, and exit.
    #[arg(long)]
    pub(crate) once: bool,
}
