//! `kinetic generate`: reproducible traffic of a web shop, with an anomaly whose time and place are known.
//!
//! [`scenario`] says what goes wrong, where and when; [`traffic`] makes the lines, in event time, from the seed alone.
//! Both are pure. [`file`], [`statsd`] and [`amqp`] are the ways out; [`live`] paces the latter two by the wall clock.

mod amqp;
mod args;
mod error;
mod file;
mod line;
mod live;
mod pace;
mod progress;
mod scenario;
mod statsd;
mod traffic;
mod truth;

use std::path::Path;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub(crate) use args::GenerateArgs;

use args::{Start, Target};
use error::GenerateError;
use progress::Progress;
use scenario::Plan;
use truth::Truth;

/// Makes the traffic and sends it; Ctrl-C ends it cleanly.
pub(crate) async fn run(args: GenerateArgs) -> anyhow::Result<()> {
    let stop = crate::stop::on_signal()?;
    let target = args.target();
    let start = match &target {
        Target::File { start: Start::At(start), .. } => *start,
        Target::Amqp { backfill: true, .. } => Timestamp::now() - args.duration.std(),
        Target::File { start: Start::Now, .. } | Target::Statsd(_) | Target::Amqp { .. } => Timestamp::now(),
    };
    let plan = args.plan(start);
    write_truth(args.truth.as_deref(), &plan, plan.duration_ms)?;
    let reached_ms = generate(&plan, target, &stop).await?;
    if reached_ms < plan.duration_ms {
        write_truth(args.truth.as_deref(), &plan, reached_ms)?;
    }
    Ok(())
}

/// Gives the milliseconds from the start that the traffic reached: all of them, unless it was stopped.
async fn generate(plan: &Plan, target: Target, stop: &CancellationToken) -> Result<u64, GenerateError> {
    match target {
        Target::File { path, .. } => file::generate(plan.clone(), path, stop.clone()).await,
        Target::Statsd(addr) => {
            let mut out = statsd::Statsd::connect(&addr).await?;
            let progress = Progress::on_stderr(plan, format!("statsd packets to {addr}"));
            let reached = live::paced(plan, &mut out, statsd::SLICE, progress, stop).await?;
            out.report();
            Ok(reached)
        }
        Target::Amqp { url, profile, backfill } => {
            let mut out = amqp::Amqp::connect(&url, profile, plan).await?;
            let progress = Progress::on_stderr(plan, format!("AMQP messages to {}", out.place()));
            let reached = if backfill {
                live::at_once(plan, &mut out, progress, stop).await?
            } else {
                live::paced(plan, &mut out, amqp::SLICE, progress, stop).await?
            };
            out.finish().await?;
            Ok(reached)
        }
    }
}

fn write_truth(path: Option<&Path>, plan: &Plan, until_ms: u64) -> Result<(), GenerateError> {
    path.map_or(Ok(()), |path| Truth::of(plan, until_ms).write(path))
}

#[cfg(test)]
mod tests;
