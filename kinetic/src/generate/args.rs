//! The command line of `kinetic generate`.

use std::{path::PathBuf, str::FromStr};

use clap::Args;
use jiff::Timestamp;
use kinetic_api::duration::Duration;

use super::scenario::{Plan, Scenario, Tails, Wish};

/// Where statsd listens if nothing else is said.
const STATSD: &str = "127.0.0.1:8125";

/// Sends the metrics of a web shop, with one anomaly of which time and place are known.
///
/// Hosts web-1, web-2, … serve the pages checkout, home and search. Each request is a timer and a counter, such as
/// `page.checkout.time:123.40|ms|#host:web-1,env:prod` and `page.checkout.requests:1|c|#…`; checkout also counts
/// errors, and each host shows its load once a second. Everything comes from --seed: which host it hits, too.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP, after_long_help = HELP)]
pub(crate) struct GenerateArgs {
    /// What goes wrong.
    #[arg(value_enum)]
    scenario: Scenario,

    /// Send UDP packets there, in real time.  [default: 127.0.0.1:8125]
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["amqp", "out"])]
    statsd: Option<String>,

    /// Publish to this RabbitMQ, in real time, with confirms: amqp://user:password@host:port/vhost.
    #[arg(long, value_name = "URL", conflicts_with = "out")]
    amqp: Option<String>,

    /// Write all lines at once into this file, each with its time (`|T…`); `-` is standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// How many hosts there are.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    hosts: u32,

    /// Requests per second and host; fractions are fine.
    #[arg(long, value_name = "N", default_value = "10")]
    rate: Rate,

    /// How long it lasts, such as 90s, 10m or 24h.
    #[arg(long, value_name = "D", default_value = "2m", value_parser = duration)]
    pub(super) duration: Duration,

    /// The same seed and flags give the same traffic, to the byte.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Write here, as JSON, what goes wrong, where, from when to when.
    #[arg(long, value_name = "FILE")]
    pub(super) truth: Option<PathBuf>,

    /// When the anomaly begins, counted from the start.  [default: see below]
    #[arg(long, value_name = "D")]
    at: Option<Duration>,

    /// The time of the first line in the file: RFC 3339, or `now`.  [default: 2026-01-01T00:00:00Z]
    #[arg(long, value_name = "TIME", requires = "out", conflicts_with_all = ["statsd", "amqp"])]
    start: Option<Start>,

    /// Publish everything at once, stamped so that it ends now.
    #[arg(long, requires = "amqp", conflicts_with_all = ["statsd", "out"])]
    backfill: bool,

    /// The profile in the routing key, `statsd.{profile}.{host}`.
    #[arg(long, value_name = "NAME", default_value = "web")]
    profile: String,

    /// How service times scatter around their mean.
    #[arg(long, value_enum, default_value_t = Tails::Normal)]
    tails: Tails,
}

const HELP: &str = "\
When it goes wrong:
  From half of the run on, until four fifths of it, and for a minute at least. Runs of up to
  three minutes show it sooner: after 25 s, or a third of the run if that is less. A spike lasts
  a minute, a drift is at its worst after ten. --at sets the beginning; --truth tells.

Examples:
  kinetic generate slow-host
      eight hosts for two minutes, to 127.0.0.1:8125; one of them turns slow after 25 s
  kinetic generate drop --duration 1h --out drop.txt --truth truth.json
      an hour at once, as a file: kinetic run -f PATH --statsd - --once < drop.txt
  kinetic generate drift --duration 6h --backfill --amqp amqp://user:password@host/us-west.aws.acme
      the past six hours at once, over AMQP
  kinetic generate noise --hosts 100 --rate 3 --duration 24h --out -
      a day without an anomaly: whatever a detector says of it is a false alarm";

/// Where the traffic goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    /// UDP packets to this address.
    Statsd(String),
    /// Messages to the vhost of this address.
    Amqp { url: String, profile: String, backfill: bool },
    /// Lines into this file.
    File { path: PathBuf, start: Start },
}

/// The time of the first line in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    At(Timestamp),
    Now,
}

impl Start {
    /// 2026-01-01T00:00:00Z: fixed, so that files are the same every time.
    const FIXED: Self = Self::At(Timestamp::constant(1_767_225_600, 0));
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "now" {
            return Ok(Self::Now);
        }
        text.parse()
            .map(Self::At)
            .map_err(|error| format!("{error}; write now, or a time such as 2026-01-01T00:00:00Z"))
    }
}

/// Requests per second and host: above zero, at most 100,000.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate(f64);

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(rate) if rate > 0.0 && rate <= 100_000.0 => Ok(Self(rate)),
            _ => Err("write a number above 0, at most 100000"),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration: Duration = text.parse().map_err(|error| format!("{error}"))?;
    if duration.as_millis() < 1000 { Err("write 1s or more".to_owned()) } else { Ok(duration) }
}

impl GenerateArgs {
    pub(super) fn target(&self) -> Target {
        if let Some(path) = &self.out {
            return Target::File { path: path.clone(), start: self.start.unwrap_or(Start::FIXED) };
        }
        if let Some(url) = &self.amqp {
            return Target::Amqp { url: url.clone(), profile: self.profile.clone(), backfill: self.backfill };
        }
        Target::Statsd(self.statsd.clone().unwrap_or_else(|| STATSD.to_owned()))
    }

    pub(super) fn plan(&self, start: Timestamp) -> Plan {
        Plan::new(&Wish {
            scenario: self.scenario,
            seed: self.seed,
            hosts: self.hosts,
            rate: self.rate.0,
            tails: self.tails,
            start_ms: start.as_millisecond(),
            duration_ms: self.duration.as_millis().unsigned_abs(),
            at_ms: self.at.map(|at| at.as_millis().unsigned_abs()),
        })
    }
}
