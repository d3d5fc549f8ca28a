//! `kinetic validate`: every error at once.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use kinetic_analyzer::detect::unsatisfiable;
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
    if report_unsatisfiable(&snapshot) > 0 {
        return ExitCode::FAILURE;
    }
    let counted = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    println!(
        "ok: {}, {}, {}",
        counted(snapshot.customers.len(), "Customer", "Customers"),
        counted(snapshot.topologies.len(), "Topology", "Topologies"),
        counted(snapshot.alerts.len(), "Alert", "Alerts")
    );
    ExitCode::SUCCESS
}

/// Prints which analytics can never fire, whatever they look at; returns how many.
fn report_unsatisfiable(snapshot: &Snapshot) -> usize {
    let mut count = 0;
    for entry in &snapshot.topologies {
        for report in unsatisfiable(&entry.plan) {
            let reason = report.reason.unwrap_or_default();
            eprintln!("{}: {}: analytic {} can never fire: {reason}", entry.place, entry.id, report.name);
            count += 1;
        }
    }
    count
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
