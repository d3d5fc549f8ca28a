//! The incidents, a block each, or as JSON.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::Args;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use kinetic_alert::{History, Incident};

/// Which incidents, and how they are shown.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// One JSON array for programs.
    #[arg(long)]
    json: bool,
    /// Only incidents that began, or were still open, this long ago or later, such as 24h or 30m.
    #[arg(long, value_name = "D")]
    since: Option<kinetic_api::duration::Duration>,
}

/// Prints the incidents, newest last.
pub(super) async fn run(data: &Path, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let history = History::open(data).await?;
    let since = args.since.map(|ago| Timestamp::now() - SignedDuration::from_millis(ago.as_millis()));
    let incidents = history.incidents(since).await?;
    let mut text = if args.json { serde_json::to_string_pretty(&incidents)? } else { table(&incidents) };
    text.push('\n');
    match io::stdout().write_all(text.as_bytes()) {
        // `kinetic incidents | head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A block an incident: when and what, why, who was told.
fn table(incidents: &[Incident]) -> String {
    if incidents.is_empty() {
        return "no incidents".to_owned();
    }
    incidents.iter().map(block).collect::<Vec<_>>().join("\n\n")
}

fn block(incident: &Incident) -> String {
    let mut lines = vec![format!(
        "{} – {}  {}  {}/{}  {}",
        clock(incident.starts_at),
        incident.ends_at.map_or_else(|| "now".to_owned(), clock),
        if incident.ends_at.is_none() { "FIRING" } else { "resolved" },
        incident.topology,
        incident.analytic,
        incident.series
    )];
    lines.push(format!("  {}", incident.facts.explanation));
    if let Some(silence) = incident.silence {
        lines.push(format!("  nobody is told: {}", silence.as_str()));
    }
    for told in &incident.notifications {
        let when = told.sent_at.map_or_else(String::new, |at| format!(" at {}", clock(at)));
        let error = told.last_error.as_ref().map_or_else(String::new, |e| format!(" ({e})"));
        lines.push(format!(
            "  {} ({}) to {}: {}{when}{error}",
            incident.alert,
            told.reason,
            told.recipient,
            told.state.as_str()
        ));
    }
    lines.join("\n")
}

fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
