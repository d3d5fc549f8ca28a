//! The command line: names and flags that others script against.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use clap::{Args, Parser, Subcommand};

use crate::{generate::GenerateArgs, role};

/// Finds the one odd host in the metrics that your machines already send, and mails the right people once.
#[derive(Debug, Parser)]
#[command(name = "kinetic", version, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Start here:\n  kinetic run -f examples/web-shop      watch what statsd clients send to 127.0.0.1:8125\n  \
    kinetic generate slow-host            send it eight web hosts, one of which turns slow\n  \
    kinetic incidents                     see what was found"
)]
pub(crate) struct Cli {
    /// What to log: error, warn, info, debug, or a filter such as `info,kinetic_bus=debug`.
    #[arg(long, global = true, env = "KINETIC_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process: take metrics in, find the odd host, mail.
    Run(Box<RunArgs>),
    /// Check resource files: every error with file, line, field and fix.
    Validate(ValidateArgs),
    /// Make reproducible traffic with a known anomaly in it.
    Generate(GenerateArgs),
    /// Show the history of incidents.
    Incidents(IncidentsArgs),
    /// Run one Topology's analyzer alone, over AMQP.
    Analyzer(role::analyzer::AnalyzerArgs),
    /// Run the alert service alone, over AMQP.
    Alert(role::alert::AlertArgs),
}

/// Watches Customers, Topologies and Alerts in YAML files; an edit takes effect at once, a broken one is reported and changes nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kinetic run -f examples/web-shop\n      statsd on UDP and TCP 127.0.0.1:8125, mails into kinetic-data/mail\n  \
    kinetic run -f shop.yaml --smtp smtps://user:password@mail.example:465 --mail-from kinetic@shop.example\n  \
    kinetic run -f shop.yaml --amqp amqp://user:password@broker:5672 --amqp-admin http://user:password@broker:15672\n  \
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
    /// A RabbitMQ to move the messages, such as `amqp://user:password@host:5672`; each customer has a vhost of its own there.
    /// [default: within the process]
    #[arg(long, value_name = "URL", env = "KINETIC_AMQP")]
    pub(crate) amqp: Option<String>,
    /// Its management API, such as `http://user:password@host:15672`, to create vhosts, permissions and retention policies.
    #[arg(long, value_name = "URL", env = "KINETIC_AMQP_ADMIN", requires = "amqp")]
    pub(crate) amqp_admin: Option<String>,
    #[command(flatten)]
    pub(crate) mail: MailArgs,
    /// Where /healthz, /readyz and /metrics are served.  [default: 127.0.0.1:8181; off with --once]
    #[arg(long, value_name = "ADDR|off", env = "KINETIC_ADMIN")]
    pub(crate) admin: Option<Listen>,
    /// Process what is there (streams with --amqp, standard input with --statsd -), close all windows, deliver, and exit.
    #[arg(long)]
    pub(crate) once: bool,
}

/// How mail leaves.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct MailArgs {
    /// A mail server: smtp://[user:password@]host[:port] (STARTTLS where offered), or smtps:// for TLS from the start.
    #[arg(
        long,
        value_name = "URL",
        env = "KINETIC_SMTP",
        conflicts_with = "mail_dir",
        hide_env_values = true
    )]
    pub(crate) smtp: Option<String>,
    /// The sender's address.  [default: kinetic@localhost]
    #[arg(long, value_name = "ADDR", env = "KINETIC_MAIL_FROM")]
    pub(crate) mail_from: Option<String>,
    /// A folder that mails are written to as .eml files, where there is no mail server.  [default: mail/ in the data folder]
    #[arg(long, value_name = "DIR", env = "KINETIC_MAIL_DIR")]
    pub(crate) mail_dir: Option<PathBuf>,
}

/// Where statsd lines come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Statsd {
    /// UDP packets to this address.
    Udp(SocketAddr),
    /// Standard input.
    Stdin,
    /// Nowhere.
    Off,
}

impl FromStr for Statsd {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        Ok(match text.parse()? {
            Listen::At(address) => Self::Udp(address),
            Listen::Off => Self::Off,
        })
    }
}

/// Where to listen, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// At this address.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let full = if let Some(port) = text.strip_prefix(':') {
            format!("127.0.0.1:{port}")
        } else {
            text.to_owned()
        };
        let full = full.replace("localhost:", "127.0.0.1:");
        full.parse()
            .map(Self::At)
            .map_err(|_| format!("`{text}` is no address: write IP:PORT, such as 127.0.0.1:8125, or off"))
    }
}

/// Every error of every file, with its line, the field's path and the fix. Exit code 1 if there is one.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Files, or folders of *.yaml files.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

/// What was found, newest last: also while `kinetic run` is running.
#[derive(Debug, Args)]
pub(crate) struct IncidentsArgs {
    /// The folder that `kinetic run` keeps its history in.
    #[arg(long, value_name = "DIR", default_value = "kinetic-data", env = "KINETIC_DATA")]
    pub(crate) data: PathBuf,
    /// One JSON array for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// Only incidents that began, or were still open, this long ago or later, such as 24h or 30m.
    #[arg(long, value_name = "D")]
    pub(crate) since: Option<kinetic_api::duration::Duration>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn addresses() {
        assert_eq!("-".parse(), Ok(Statsd::Stdin));
        assert_eq!("off".parse(), Ok(Statsd::Off));
        assert_eq!("localhost:1".parse(), Ok(Statsd::Udp(SocketAddr::from(([127, 0, 0, 1], 1)))));
        assert_eq!(":9".parse(), Ok(Listen::At(SocketAddr::from(([127, 0, 0, 1], 9)))));
        assert!("nowhere".parse::<Listen>().unwrap_err().contains("IP:PORT"));
    }
}
