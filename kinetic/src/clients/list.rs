//! `kinetic clients`: what the registries tell, merged.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use kinetic_api::registry::{Connection, Hold, Presence, Registry, Seen};
use serde::Serialize;

use super::place::{Place, PlaceArgs};

/// Two looks this far apart tell the rate.
const BETWEEN: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// This customer's only.
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// One JSON object for programs.
    #[arg(long)]
    json: bool,
}

/// What all front doors tell.
#[derive(Debug, PartialEq, Serialize)]
struct Merged {
    connections: Vec<Rated>,
    identities: Vec<Seen>,
    customers: Vec<Used>,
}

/// What a customer uses at all front doors.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Used {
    customer: String,
    connections: u32,
    messages_per_second: f64,
    bytes_per_second: f64,
    /// The strictest, where front doors differ.
    hold: Hold,
}

/// A connection, and how fast it sends.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rated {
    #[serde(flatten)]
    connection: Connection,
    messages_per_second: f64,
}

/// Asks, and prints.
pub(super) async fn run(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let place = args.place.open()?;
    let before = ask(&place, args.customer.as_deref()).await?;
    tokio::time::sleep(BETWEEN).await;
    let merged = merged(&before, ask(&place, args.customer.as_deref()).await?);
    let text = if args.json {
        serde_json::to_string_pretty(&merged)? + "\n"
    } else {
        format!("{} connections {}\n{}", merged.connections.len(), place.name(), table(&merged))
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(place: &Place, customer: Option<&str>) -> anyhow::Result<Vec<Registry>> {
    let path =
        customer.map_or_else(|| "/v1/registry".to_owned(), |name| format!("/v1/registry?customer={name}"));
    let mut all = Vec::new();
    for server in &place.servers {
        let registry = server.get(&path, Duration::ZERO).await;
        all.push(registry.with_context(|| place.hint(server))?);
    }
    Ok(all)
}

fn merged(before: &[Registry], now: Vec<Registry>) -> Merged {
    let mut connections = Vec::new();
    let mut identities: BTreeMap<String, Seen> = BTreeMap::new();
    let mut customers: BTreeMap<String, Used> = BTreeMap::new();
    for (before, now) in before.iter().zip(now) {
        let seconds = now.time.duration_since(before.time).as_secs_f64();
        for connection in now.connections {
            let same =
                |other: &&Connection| other.address == connection.address && other.since == connection.since;
            let sent = before
                .connections
                .iter()
                .find(same)
                .map(|known| connection.messages.saturating_sub(known.messages));
            let messages_per_second = sent.map_or(0.0, |sent| sent as f64 / seconds);
            connections.push(Rated { connection, messages_per_second });
        }
        for used in now.customers {
            let known = before.customers.iter().find(|known| known.customer == used.customer);
            let rate = |now: u64, before: Option<u64>| {
                before.map_or(0.0, |before| now.saturating_sub(before) as f64 / seconds)
            };
            let sum = customers.entry(used.customer.clone()).or_insert_with(|| Used {
                customer: used.customer,
                connections: 0,
                messages_per_second: 0.0,
                bytes_per_second: 0.0,
                hold: Hold::No,
            });
            sum.connections += used.connections;
            sum.messages_per_second += rate(used.messages, known.map(|known| known.messages));
            sum.bytes_per_second += rate(used.bytes, known.map(|known| known.bytes));
            sum.hold = sum.hold.max(used.hold);
        }
        for seen in now.identities {
            match identities.get_mut(&seen.identity) {
                None => {
                    identities.insert(seen.identity.clone(), seen);
                }
                Some(known) => {
                    known.connections += seen.connections;
                    known.last_seen = known.last_seen.max(seen.last_seen);
                    if rank(seen.presence) > rank(known.presence) {
                        known.presence = seen.presence;
                    }
                }
            }
        }
    }
    connections.sort_by(|a, b| {
        (&a.connection.identity, a.connection.since).cmp(&(&b.connection.identity, b.connection.since))
    });
    Merged {
        connections,
        identities: identities.into_values().collect(),
        customers: customers.into_values().collect(),
    }
}

/// What counts where several front doors see somebody differently.
fn rank(presence: Presence) -> u8 {
    match presence {
        Presence::Offline => 0,
        Presence::Idle => 1,
        Presence::Online => 2,
        Presence::Flapping => 3,
        Presence::Duplicate => 4,
    }
}

fn table(merged: &Merged) -> String {
    let time = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let mut rows = vec![
        ["IDENTITY", "PRESENCE", "SINCE", "ADDRESS", "VERSION", "MESSAGES/S", "CERTIFICATE ENDS"]
            .map(str::to_owned),
    ];
    for seen in &merged.identities {
        let presence = format!("{:?}", seen.presence).to_lowercase();
        let own = merged.connections.iter().filter(|rated| rated.connection.identity == seen.identity);
        let before = rows.len();
        rows.extend(own.map(|Rated { connection, messages_per_second }| {
            [
                short(&seen.identity).to_owned(),
                presence.clone(),
                time(connection.since),
                connection.address.clone(),
                connection.version.clone().unwrap_or_default(),
                format!("{messages_per_second:.1}"),
                connection.not_after.map(time).unwrap_or_default(),
            ]
        }));
        if rows.len() == before {
            let last = format!("last seen {}", time(seen.last_seen));
            let none = String::new;
            rows.push([short(&seen.identity).to_owned(), presence, last, none(), none(), none(), none()]);
        }
    }
    let widths: Vec<usize> =
        (0..7).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for Used { customer, hold, .. } in merged.customers.iter().filter(|used| used.hold != Hold::No) {
        let held = hold.as_str();
        let _ = writeln!(text, "{customer} is {held}: `kinetic clients resume {customer}` lets it go on");
    }
    text
}

/// Without scheme and trust domain, which are the same for all.
fn short(identity: &str) -> &str {
    identity
        .strip_prefix("spiffe://")
        .and_then(|rest| rest.find('/').map(|at| &rest[at..]))
        .unwrap_or(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(seconds: i64, messages: u64, presence: Presence) -> Registry {
        let time = Timestamp::from_second(1_700_000_000 + seconds).unwrap();
        let text = serde_json::json!({
            "time": time,
            "connections": [{
                "identity": "spiffe://kinetic.local/customers/acme/clients/web", "customer": "acme", "role": "clients/web",
                "address": "10.0.0.1:4000", "since": "2023-11-14T22:00:00Z", "version": "pika 1.3", "messages": messages,
                "bytes": 0, "deliveredMessages": 0, "deliveredBytes": 0, "notAfter": "2024-01-01T00:00:00Z",
            }],
            "identities": [
                {"identity": "spiffe://kinetic.local/customers/acme/clients/web", "customer": "acme", "presence": presence,
                 "connections": 1, "lastSeen": time},
                {"identity": "spiffe://kinetic.local/customers/acme/clients/db", "customer": "acme", "presence": "offline",
                 "connections": 0, "lastSeen": time},
            ],
            "customers": [{"customer": "acme", "connections": 1, "messages": messages, "bytes": 10 * messages,
                           "hold": if presence == Presence::Duplicate { "paused" } else { "no" }}],
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn registries_are_merged_and_rates_told() {
        let before = [registry(0, 100, Presence::Idle), registry(0, 5, Presence::Idle)];
        let now = vec![registry(2, 300, Presence::Idle), registry(1, 5, Presence::Duplicate)];
        let merged = merged(&before, now);
        let rates: Vec<f64> = merged.connections.iter().map(|rated| rated.messages_per_second).collect();
        assert_eq!(rates, [100.0, 0.0]);
        assert_eq!(
            (merged.identities[1].presence, merged.identities[1].connections),
            (Presence::Duplicate, 2)
        );
        let Used { connections, messages_per_second, bytes_per_second, hold, .. } = merged.customers[0];
        assert_eq!((connections, messages_per_second, bytes_per_second), (2, 100.0, 1000.0));
        assert_eq!(hold, Hold::Paused);
        let table = table(&merged);
        assert!(table.ends_with("acme is paused: `kinetic clients resume acme` lets it go on\n"), "{table}");
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1][..3], ["/customers/acme/clients/db", "offline", "last"], "{table}");
        assert_eq!(rows[2][..2], ["/customers/acme/clients/web", "duplicate"], "{table}");
        assert_eq!(
            rows[2][4..],
            ["10.0.0.1:4000", "pika", "1.3", "100.0", "2024-01-01", "00:00:00Z"],
            "{table}"
        );
    }
}
