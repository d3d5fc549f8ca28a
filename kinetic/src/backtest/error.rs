//! What can go wrong with a backtest. Each text says all, so no variant has a `source` that would say it again.

use std::{io, path::PathBuf};

use kinetic_api::plan::Problem;
use kinetic_bus::BusError;
use kinetic_chart::PictureError;

/// Why there is no verdict on the data.
#[derive(Debug, thiserror::Error)]
pub(super) enum BacktestError {
    /// The input cannot be read.
    #[error("{input}: {reason}")]
    Read { input: String, reason: io::Error },

    /// The rows make no sense.
    #[error(
        "{input}: {bad} of {all} rows cannot be read; write timestamp,value or timestamp,origin,value, such as 2026-01-01 00:00:00,12.5"
    )]
    BadRows { input: String, bad: u64, all: u64 },

    /// There is nothing to look at.
    #[error("{input}: there is no row with a timestamp and a value")]
    NoRows { input: String },

    /// One origin, one row.
    #[error("the windows' length cannot be guessed from so few rows; add --set interval=5m")]
    NoInterval,

    /// A stream and something else.
    #[error("a stream is read by itself: name one amqp:// address, or CSV files")]
    Mixed,

    /// The stream's address is not one.
    #[error("{reason}; write amqp://user:password@host:port/vhost?stream=NAME&since=24h")]
    Address { reason: String },

    /// Without a Topology nothing names the stream.
    #[error(
        "the address names no stream; add ?stream=kinetic.metrics.TOPOLOGY.SOURCE, or -f with the Topology that reads it"
    )]
    NoStream,

    /// The stream holds nothing.
    #[error(
        "the stream {stream} holds nothing that is so young; check that somebody publishes, or go further back with since="
    )]
    EmptyStream { stream: String },

    /// The broker stopped.
    #[error(
        "the broker gave no message of {stream} after number {offset}, though {last} are there; try again"
    )]
    Stalled { stream: String, offset: u64, last: u64 },

    /// The broker refused.
    #[error(transparent)]
    Bus(#[from] BusError),

    /// The resource files were refused; the problems were told.
    #[error("the resources cannot be used; see above")]
    Resources,

    /// No such kind.
    #[error("there is no kind of analytic `{name}`; {fix}")]
    NoKind { name: String, fix: String },

    /// No such analytic.
    #[error("no Topology here has an analytic `{name}`; {fix}")]
    NoAnalytic { name: String, fix: String },

    /// Parameters were refused.
    #[error("{}", problems(.0))]
    Settings(Vec<Problem>),

    /// A file cannot be written.
    #[error("{}: {reason}", path.display())]
    Write { path: PathBuf, reason: io::Error },

    /// The picture failed.
    #[error("--plot: {0}")]
    Plot(#[from] PictureError),
}

fn problems(problems: &[Problem]) -> String {
    let line = |Problem { field, message, fix }: &Problem| format!("--set {field}: {message}: {fix}");
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}
