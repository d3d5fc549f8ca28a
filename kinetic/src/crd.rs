//! `kinetic crd`: the definitions of Kinetic's resources.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, ValueEnum};

/// Prints them, in the order in which they refer to each other.
#[derive(Debug, Args)]
pub(crate) struct CrdArgs {
    /// How they are written.
    #[arg(long, short, value_enum, default_value_t = Format::Yaml)]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub(crate) fn run(args: &CrdArgs) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for definition in kinetic_api::resources::definitions() {
        let text = match args.output {
            Format::Yaml => {
                format!("---\n{}", serde_saphyr::to_string(&definition).context("a definition is no YAML")?)
            }
            Format::Json => serde_json::to_string(&definition).context("a definition is no JSON")? + "\n",
        };
        match out.write_all(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            written => written.context("standard output")?,
        }
    }
    Ok(ExitCode::SUCCESS)
}
