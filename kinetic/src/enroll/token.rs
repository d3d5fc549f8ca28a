//! `kinetic token`: what machines enrol with.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use kinetic_api::{duration::Duration, resources::Name};
use kinetic_enroll::{FolderStore, Token, TokenRecord};
use kinetic_pki::Folder;

/// Who holds a token may ask for certificates for a customer's machines; the Customer's spec.enrollment says what it gets without a person.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token, and print it: once, as only its hash is kept. It is good for any number of machines until it runs out.
    Create(CreateArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The Customer whose machines it is for.
    #[arg(long, value_name = "NAME")]
    customer: Name,
    /// How long it is good for, such as 30m or 24h; a year at most.
    #[arg(long, value_name = "D", default_value = "24h")]
    ttl: Duration,
    /// The data folder of the `kinetic run` that the machines will ask.
    #[arg(long, value_name = "DIR", default_value = "kinetic-data", env = "KINETIC_DATA")]
    dir: PathBuf,
}

const YEAR: std::time::Duration = std::time::Duration::from_hours(24 * 366);

/// Makes a token: itself on standard output, all else on standard error.
pub(crate) fn run(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let TokenCommand::Create(CreateArgs { customer, ttl, dir }) = &args.command;
    if ttl.std().is_zero() || ttl.std() > YEAR {
        bail!("--ttl {ttl}: must be more than nothing, and a year at most");
    }
    if !dir.is_dir() {
        bail!(
            "--dir {}: there is no such folder; name the one that `kinetic run --data` uses",
            dir.display()
        );
    }
    let now = Timestamp::now();
    let token = Token::generate();
    let record = TokenRecord::of(&token, customer.clone(), now, now.checked_add(ttl.std())?);
    let store = FolderStore::open(dir).with_context(|| format!("--dir {}", dir.display()))?;
    store.keep_token(&record).with_context(|| format!("--dir {}", dir.display()))?;
    println!("{}", token.reveal());
    let pin = Folder::open(&dir.join("pki")).and_then(|folder| folder.authority());
    let pin = pin.map_or_else(
        |_| "--ca FILE".to_owned(),
        |authority| format!("--ca-hash {}", authority.fingerprint()),
    );
    eprintln!(
        "token {} for {customer}, until {}; it is not shown again. On the machine:\n  \
         KINETIC_ENROLL_TOKEN=ket_… kinetic enroll --server https://HOST:PORT --customer {customer} --client CLIENT --name \"$(hostname -f)\" \\\n    \
         {pin} --dir /etc/kinetic --wait",
        record.id, record.expires_at
    );
    Ok(ExitCode::SUCCESS)
}
