//! `kinetic get`, `apply`, `delete`: resources in a folder or in a cluster, alike.

mod apply;
mod columns;
mod delete;
mod get;
pub(crate) mod kind;
pub(crate) mod place;

use std::io::{self, Write};

use anyhow::Context;
use kinetic_resources::Problem;

pub(crate) use self::{apply::ApplyArgs, delete::DeleteArgs, get::GetArgs};
pub(crate) use self::{apply::run as apply, delete::run as delete, get::run as get};

/// Prints; whoever reads no further has seen enough.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output"),
    }
}

/// Tells everything that is wrong.
fn tell(problems: &[Problem]) {
    for problem in problems {
        eprintln!("{problem}");
    }
    eprintln!("{} error{}", problems.len(), if problems.len() == 1 { "" } else { "s" });
}
