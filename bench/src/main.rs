//! Benchmarks beside peers and raw limits: what `make bench` prints.
//!
//! Every figure is measured in this run, on this machine; a peer or a raw limit is measured beside it on the same bytes, since
//! only the ratio means something on another machine.

mod core_time;
mod decode;
mod door;
mod fleet;
mod latency;
mod load;
mod median;
mod memory;
mod order;
mod peers;
mod plan;
mod replay;
mod start;
mod stream;
mod table;
mod traffic;
mod udp;
mod usage;

use clap::{Parser, Subcommand, ValueEnum};

/// Benchmarks of Kinetic beside peers and raw limits.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which benchmarks to run; all of them where none is named.
    #[arg(value_enum)]
    only: Vec<Bench>,
    /// Lines a second that are sent over UDP.
    #[arg(long)]
    rate: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends statsd lines over UDP, and prints how many: what the benchmarks start beside themselves.
    #[command(hide = true)]
    Send(load::Load),
    /// Analyses a million series, and prints the most memory that took in KiB: a process of its own.
    #[command(hide = true)]
    Million,
    /// Prints which functions of `kinetic` run, as `make release` lays them beside each other.
    #[command(hide = true)]
    Order,
}

/// The benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// Statsd text to windows, on one core.
    Decode,
    /// A day of metrics read again, on one core.
    Replay,
    /// What series take, by the allocator, and a million of them by the system.
    Memory,
    /// A RabbitMQ stream analysed.
    Stream,
    /// The whole process over UDP.
    Udp,
    /// From the line crossed to the finding.
    Latency,
    /// The front door before a RabbitMQ, beside HAProxy.
    Door,
    /// As many open connections as one process may have.
    Crowd,
    /// The sidecar before that.
    Sidecar,
    /// From nothing to ready.
    Start,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Send(load)) => return load::send(load),
        Some(Command::Million) => return memory::million(),
        Some(Command::Order) => return order::print(),
        None => {}
    }
    table::print_header();
    let all = [
        Bench::Decode,
        Bench::Replay,
        Bench::Memory,
        Bench::Stream,
        Bench::Udp,
        Bench::Latency,
        Bench::Door,
        Bench::Crowd,
        Bench::Sidecar,
        Bench::Start,
    ];
    for bench in all.into_iter().filter(|bench| cli.only.is_empty() || cli.only.contains(bench)) {
        let rows = match bench {
            Bench::Decode => decode::rows(),
            Bench::Replay => vec![replay::row()],
            Bench::Memory => memory::rows()?,
            Bench::Stream => vec![stream::row()?],
            Bench::Udp => udp::rows(cli.rate)?,
            Bench::Latency => vec![latency::row()?],
            Bench::Door => door::rows()?,
            Bench::Crowd => door::crowd::rows()?,
            Bench::Sidecar => door::sidecar::rows()?,
            Bench::Start => vec![start::row()?],
        };
        rows.iter().for_each(table::print);
    }
    Ok(())
}
