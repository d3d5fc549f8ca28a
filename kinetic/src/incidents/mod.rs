//! `kinetic incidents`: the history.

mod backup;
mod list;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

/// What was found, newest last: also while `kinetic run` is running.
#[derive(Debug, Args)]
pub(crate) struct IncidentsArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    list: list::ListArgs,
    #[command(subcommand)]
    action: Option<Action>,
}

/// Where the history is.
#[derive(Debug, Args)]
struct DataArgs {
    /// The folder that `kinetic run` or the alert service keeps its history in.
    #[arg(long, value_name = "DIR", default_value = "kinetic-data", env = "KINETIC_DATA", global = true)]
    data: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Copy the history into one file, as of one moment: also while it is written.
    Backup(backup::BackupArgs),
    /// Put a copy in the place of the history; whoever writes it must have been stopped.
    Restore(backup::RestoreArgs),
}

pub(crate) async fn run(args: &IncidentsArgs) -> anyhow::Result<ExitCode> {
    let data = &args.data.data;
    match &args.action {
        None => list::run(data, &args.list).await,
        Some(Action::Backup(args)) => backup::backup(data, args).await,
        Some(Action::Restore(args)) => backup::restore(data, args).await,
    }
}
