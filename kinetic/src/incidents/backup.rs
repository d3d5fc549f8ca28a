//! The history as one file.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use kinetic_alert::History;

/// Where a copy lies until it has been written to standard output.
const PASSING: &str = "kinetic.sqlite.backup";

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The copy, a file that is not there yet; `-` is standard output.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The copy; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn backup(data: &Path, args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let history = History::open(data).await?;
    if args.file.as_os_str() != "-" {
        if args.file.exists() {
            bail!("{}: it is there already: name another file, or move it away", args.file.display());
        }
        history.copy_to(&args.file).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        bail!("a terminal cannot show a history: send it into a file, with `> FILE`");
    }
    let passing = data.join(PASSING);
    // Of somebody who was stopped before the end.
    let _ = fs::remove_file(&passing);
    history.copy_to(&passing).await?;
    let written = File::open(&passing).and_then(|mut copy| io::copy(&mut copy, &mut out));
    fs::remove_file(&passing).with_context(|| passing.display().to_string())?;
    written.and_then(|_| out.flush()).context("standard output")?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn restore(data: &Path, args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let replaced = if args.file.as_os_str() == "-" {
        History::restore(data, &mut io::stdin().lock()).await?
    } else {
        let mut copy = File::open(&args.file).with_context(|| args.file.display().to_string())?;
        History::restore(data, &mut copy).await?
    };
    if let Some(path) = replaced {
        eprintln!("what was there before is {} now", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
