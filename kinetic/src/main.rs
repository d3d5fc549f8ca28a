//! Kinetic: one executable, a subcommand per role, and the command line for people.

mod admin;
mod arc;
mod backtest;
mod cli;
mod clients;
mod crd;
mod enroll;
mod fitness;
mod generate;
mod home;
mod incidents;
mod listen;
mod logging;
mod mail;
mod manage;
mod operator;
mod pki;
mod probe;
mod redirector;
mod role;
mod run;
mod series;
mod sidecar;
mod status;
mod stop;
mod types_db;
mod validate;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::init(cli.log.as_deref());
    // The process has one TLS provider; a second call could only mean that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match runtime(&cli.command) {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("kinetic: the system gives no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(command(cli.command)).unwrap_or_else(|error| {
        eprintln!("kinetic: {error:#}");
        ExitCode::FAILURE
    });
    // A read of standard input cannot be called off: a terminal that nobody types at must not hold up the end.
    runtime.shutdown_background();
    code
}

/// A sidecar takes little of the machine that it serves: it has one thread, and a second that waits for the disk.
fn runtime(command: &Command) -> std::io::Result<Runtime> {
    match command {
        Command::Sidecar(_) => Builder::new_current_thread().max_blocking_threads(4).enable_all().build(),
        _ => Runtime::new(),
    }
}

async fn command(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(*args).await,
        Command::Validate(args) => Ok(validate::run(&args)),
        Command::Generate(args) => generate::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Backtest(args) => backtest::run(*args).await,
        Command::Incidents(args) => incidents::run(&args).await,
        Command::Series(args) => series::run(&args).await,
        Command::Arc(args) => arc::run(args).await,
        Command::Pki(args) => pki::run(args),
        Command::Clients(args) => clients::run(&args).await,
        Command::Token(args) => enroll::token::run(&args).await,
        Command::Enroll(args) => enroll::machine::run(args).await,
        Command::Enrollments(args) => enroll::decide::list(&args).await,
        Command::Approve(args) => enroll::decide::approve(&args).await,
        Command::Deny(args) => enroll::decide::deny(&args).await,
        Command::Probe(args) => probe::run(args).await,
        Command::Analyzer(args) => role::analyzer::run(args).await,
        Command::Alert(args) => role::alert::run(args).await,
        Command::Sidecar(args) => sidecar::run(*args).await,
        Command::Redirector(args) => redirector::run(args).await,
        Command::Operator(args) => operator::run(args).await,
        Command::Status(args) => status::run(&args).await,
        Command::Get(args) => manage::get(&args).await,
        Command::Apply(args) => manage::apply(&args).await,
        Command::Delete(args) => manage::delete(&args).await,
        Command::Crd(args) => crd::run(&args),
    }
}
