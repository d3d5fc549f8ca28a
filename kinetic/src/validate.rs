//! `kinetic validate`: every error at once.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use kinetic_resources::Snapshot;

/// Every error of every file, with its line, the field's path and the fix. Exit code 1 if there is one.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Files, or folders of *.yaml files.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

/// Prints what is wrong, or what there is.
pub(crate) fn run(args: &ValidateArgs) -> ExitCode {
    let Some(snapshot) = load_or_report(&args.paths) else { return ExitCode::FAILURE };
    let counted = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    println!(
        "ok: {}, {}, {}",
        counted(snapshot.customers.len(), "Customer", "Customers"),
        counted(snapshot.topologies.len(), "Topology", "Topologies"),
        counted(snapshot.alerts.len(), "Alert", "Alerts")
    );
    ExitCode::SUCCESS
}

/// The resources of these files, or nothing after every error has been printed to standard error.
pub(crate) fn load_or_report(paths: &[PathBuf]) -> Option<Snapshot> {
    match kinetic_resources::load(paths) {
        Ok(snapshot) => Some(snapshot),
        Err(problems) => {
            for problem in &problems {
                eprintln!("{problem}");
            }
            eprintln!("{} error{}", problems.len(), if problems.len() == 1 { "" } else { "s" });
            None
        }
    }
}
