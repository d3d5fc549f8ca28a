//! The command line of `kinetic backtest`.

use std::{path::PathBuf, str::FromStr};

use clap::Args;
use serde_json::Value as Json;

/// Shows what an analytic would have flagged in data of the past: with these parameters, or those.
///
/// INPUT is one or more CSV files of `timestamp,value` or `timestamp,origin,value` (a header is fine, `-` is standard input),
/// or one retained stream: amqp://user:password@host:port/vhost?stream=NAME&since=24h. Nothing is written but what
/// --scores and --plot name; no mail is sent; the stream is only read.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP, after_long_help = HELP)]
pub(crate) struct BacktestArgs {
    /// CSV files, `-`, or the address of one stream.
    #[arg(value_name = "INPUT", required = true)]
    pub(super) inputs: Vec<String>,

    /// An analytic of the Topologies in -f (NAME or TOPOLOGY/NAME); without -f a kind with its defaults: cluster, stddev,
    /// threshold or absence.
    #[arg(long, value_name = "NAME")]
    pub(super) analytic: String,

    /// Resource files, or folders of *.yaml files, that hold the analytic.
    #[arg(short, long = "file", value_name = "PATH")]
    pub(super) files: Vec<PathBuf>,

    /// Set a parameter otherwise, by its field in a Topology; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) settings: Vec<Setting>,

    /// Write a score for each input row, in input order; 1.0 is the line. Of a stream: for each window of each series.
    #[arg(long, value_name = "OUT.csv")]
    pub(super) scores: Option<PathBuf>,

    /// Draw series, band, findings and scores: 1600 × 900 pixels.
    #[arg(long, value_name = "OUT.png")]
    pub(super) plot: Option<PathBuf>,

    /// One JSON object for programs, with each finding's events as they would have been published.
    #[arg(long)]
    pub(super) json: bool,
}

const HELP: &str = "\
Timestamps:
  RFC 3339, `YYYY-MM-DD HH:MM:SS` (UTC), or seconds or milliseconds since 1970. Rows need not be
  sorted. A row that cannot be read costs that row; if more than half cannot, it is an error.

Parameters (--set KEY=VALUE):
  of the kind:      deviation=3  direction=Above  baseline=2h  warmup=100  minStddev.relative=0.05
                    center=Median  minFeeds=5  above=90  clearBelow=85  after=10m
  of the analytic:  statistic=p95  persistence.windows=1  persistence.of=1  match.metric=page.*.time
  of its source:    interval=5m  lateness=30s  origin.tag=host
  Without -f the interval is the data's median spacing, and the baseline 360 windows, as by default.

Examples:
  kinetic backtest latency.csv --analytic stddev
  kinetic backtest latency.csv --analytic stddev --set deviation=3 --set baseline=24h --plot latency.png
  kinetic backtest web-1.csv web-2.csv web-3.csv --analytic cluster --scores scores.csv
  kinetic backtest disk.csv --analytic threshold --set above=90 --set clearBelow=85
  kinetic backtest checkout.csv -f examples/web-shop --analytic slow-host --json
  kinetic backtest 'amqp://me:secret@broker/us-west.aws.acme?since=24h' -f examples/web-shop --analytic slow-host

Exit code 0 whether or not something was found; 2 if the input or the parameters cannot be used.";

/// `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    pub(super) key: String,
    /// As YAML reads it: `3` is a number, `2h` a text, `[env, zone]` a list.
    pub(super) value: Json,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as deviation=3")?;
        if key.trim().is_empty() {
            return Err("write KEY=VALUE, such as deviation=3");
        }
        let read = serde_saphyr::from_str(value).ok();
        let value = read.unwrap_or_else(|| Json::String(value.to_owned()));
        Ok(Self { key: key.trim().to_owned(), value })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_what_yaml_takes_it_for() {
        for (text, value) in [
            ("deviation=3", json!(3)),
            ("minStddev.relative=0.05", json!(0.05)),
            ("baseline=2h", json!("2h")),
            ("groupBy=[env, zone]", json!(["env", "zone"])),
            ("match.metric=page.*.time", json!("page.*.time")),
            ("clearBelow=null", json!(null)),
            ("match.metric=a=b", json!("a=b")),
            ("match.metric=**", json!("**")),
        ] {
            let setting: Setting = text.parse().unwrap();
            assert_eq!(setting.value, value, "{text}");
        }
        assert!("deviation".parse::<Setting>().is_err());
        assert!("=3".parse::<Setting>().is_err());
    }
}
