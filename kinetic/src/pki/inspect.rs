//! `kinetic pki inspect`.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use kinetic_pki::{Details, Folder, MaterialError, material::Pem};
use serde::Serialize;

use super::clock;

/// What is looked at.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kinetic pki inspect\n  kinetic pki inspect /etc/kinetic/tls.crt\n  \
    kinetic pki inspect --json | jq '.[] | select(.daysLeft < 10) | .identity'")]
pub(super) struct InspectArgs {
    /// Files of certificates, in PEM.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON array for programs.
    #[arg(long)]
    json: bool,
}

/// A certificate as programs read it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    file: PathBuf,
    /// The SPIFFE ID; an authority's is its trust domain's.
    identity: Option<String>,
    authority: bool,
    serial: String,
    not_before: Timestamp,
    not_after: Timestamp,
    /// Whole days; below zero once it has ended.
    days_left: i64,
    fingerprint: String,
    key_fingerprint: String,
    issuer: String,
    /// DNS names and addresses.
    names: Vec<String>,
}

pub(super) fn run(dir: &Path, args: &InspectArgs, now: Timestamp) -> anyhow::Result<String> {
    let files = if args.files.is_empty() { all(&Folder::open(dir)?)? } else { args.files.clone() };
    let mut shown = Vec::new();
    for file in files {
        let pem = Pem::read(&file)?;
        for (i, der) in pem.certificates()?.iter().enumerate() {
            let details = Details::of(der).map_err(|error| MaterialError::Damaged {
                path: file.clone(),
                number: i + 1,
                reason: error.to_string(),
            })?;
            shown.push(show(&file, details, now));
        }
    }
    if args.json {
        return Ok(serde_json::to_string_pretty(&shown)?);
    }
    Ok(shown.iter().map(block).collect::<Vec<_>>().join("\n"))
}

/// What is trusted, and what was issued and has not ended long ago.
fn all(folder: &Folder) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = vec![folder.path().join("trust.crt")];
    files.extend(folder.records()?.into_iter().map(|record| record.path));
    Ok(files)
}

fn show(file: &Path, details: Details, now: Timestamp) -> Shown {
    Shown {
        file: file.to_owned(),
        identity: details.uris.into_iter().next(),
        authority: details.authority,
        serial: details.serial.to_string(),
        not_before: details.not_before,
        not_after: details.not_after,
        days_left: (details.not_after.as_second() - now.as_second()).div_euclid(86_400),
        fingerprint: details.fingerprint.to_string(),
        key_fingerprint: details.key.to_string(),
        issuer: details.issuer,
        names: details.names,
    }
}

/// A certificate: whose, then a line a fact.
fn block(shown: &Shown) -> String {
    let whose = shown.identity.as_deref().unwrap_or("(no SPIFFE ID)");
    let left = match shown.days_left {
        i64::MIN..=-1 => "ENDED".to_owned(),
        1 => "1 day left".to_owned(),
        days => format!("{days} days left"),
    };
    let mut lines = vec![
        format!("{whose}{}", if shown.authority { "  (authority)" } else { "" }),
        format!("  serial       {}", shown.serial),
        format!("  valid        {} – {}  {left}", clock(shown.not_before), clock(shown.not_after)),
    ];
    if !shown.names.is_empty() {
        lines.push(format!("  names        {}", shown.names.join(", ")));
    }
    lines.push(format!("  issuer       {}", shown.issuer));
    lines.push(format!("  fingerprint  {}", shown.fingerprint));
    lines.push(format!("  file         {}", shown.file.display()));
    lines.join("\n")
}
