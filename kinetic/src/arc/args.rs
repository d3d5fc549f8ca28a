//! The command line of `kinetic arc`.

use clap::Args;
use kinetic_api::duration::Duration;

/// Changes what analyzers watch for while they run: asks them over the broker, and prints what they answer and whatever they tell of changes.
#[derive(Debug, Args)]
#[command(after_help = "\
Commands, one a line, typed or piped:
  /read                              the configuration object: what can change in place
  /update slow-host.deviation: 3     overrides one key
  /update {slow-host.deviation: 3, silent.after: 2m}
                                     overrides several, all or none
  /delete slow-host.deviation        takes overrides back; keys divided by spaces
  /delete                            takes all overrides back
  /help, /quit

An override holds, restarts included, until it is deleted or the Topology changes that key. \
What decides which series are read (match, statistic, interval, groupBy) cannot be overridden: \
edit the Topology.

Examples (the password of --user is taken from KINETIC_AMQP_PASSWORD):
  kinetic arc 127.0.0.1:5672/web --vhost us-west.aws.acme --user ada
  kinetic arc amqp://ada:secret@broker/us-west.aws.acme/web.0
  echo '/update slow-host.deviation: 3' | kinetic arc http://127.0.0.1:8181/web
  echo /read | kinetic arc http://127.0.0.1:8181 --all --json

Who is asked: CONTROLLER is a Topology (all its analyzers) or one analyzer of it, such as web.0. \
--all asks every analyzer of the vhost: first who is there (a second without a further answer \
ends that; --expect N waits for N), then each of them by name. One that is not there is reported \
at once, one that does not answer after --timeout. When piped, the exit code is 1 unless all did \
what was asked.")]
pub(crate) struct ArcArgs {
    /// Where to ask, and whom: HOST is amqp://user:password@host:port/vhost, host[:port] with --vhost, or the admin address of a
    /// `kinetic run`, such as `http://127.0.0.1:8181`.
    #[arg(value_name = "HOST[/CONTROLLER]")]
    pub(crate) host: String,
    /// The customer's vhost, such as us-west.aws.acme: {region}.{provider}.{customer}.  [default: the path of an amqp:// address; at an admin
    /// address the only one]
    #[arg(long, value_name = "NAME", env = "KINETIC_VHOST")]
    pub(crate) vhost: Option<String>,
    /// As whom to log in where HOST does not say so; the password is taken from `KINETIC_AMQP_PASSWORD`.
    #[arg(long, value_name = "NAME", env = "KINETIC_AMQP_USER")]
    pub(crate) user: Option<String>,
    /// Ask all analyzers of the vhost at once.
    #[arg(long)]
    pub(crate) all: bool,
    /// So many analyzers must answer.
    #[arg(long, value_name = "N")]
    pub(crate) expect: Option<usize>,
    /// How long to wait for answers.
    #[arg(long, value_name = "D", default_value = "5s")]
    pub(crate) timeout: Duration,
    /// One JSON object a line for programs: {"answer": …}, {"notice": …}, {"absent": "web.0"}, {"silent": "web.0"}, {"error": …}.
    #[arg(long)]
    pub(crate) json: bool,
}
