//! `kinetic token`: what machines enrol with.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::bail;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use kinetic_api::{duration::Duration, resources::Name, resources::enrollment::EnrollmentState};
use kinetic_enroll::{Token, TokenId, TokenRecord};
use serde::Serialize;

use super::tokens::PlaceArgs;

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
    /// List the tokens that there are, newest last: by their ids, as nobody can show them again.
    List(ListArgs),
    /// Forget tokens: who shows one is refused from now on. Certificates that machines got by it stay good.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The Customer whose machines it is for.
    #[arg(long, value_name = "NAME")]
    customer: Name,
    /// How long it is good for, such as 30m or 24h; a year at most.
    #[arg(long, value_name = "D", default_value = "24h")]
    ttl: Duration,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// This Customer's only.
    #[arg(long, value_name = "NAME")]
    customer: Option<Name>,
    /// One JSON array for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kinetic token revoke 3f9c2a --dir kinetic-data\n\nTo put out the machines that a leaked token let in, see `kinetic token list --json`, \
                  `kinetic enrollments`, and the Customer's spec.enrollment.deny and spec.revoked."
)]
struct RevokeArgs {
    /// Tokens' ids as `kinetic token list` shows them, or how they begin.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

const YEAR: std::time::Duration = std::time::Duration::from_hours(24 * 366);

/// Makes, lists or revokes.
pub(crate) async fn run(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        TokenCommand::Create(args) => create(args).await,
        TokenCommand::List(args) => list(args).await,
        TokenCommand::Revoke(args) => revoke(args).await,
    }
}

/// Makes a token: itself on standard output, all else on standard error.
async fn create(CreateArgs { customer, ttl, place }: &CreateArgs) -> anyhow::Result<ExitCode> {
    if ttl.std().is_zero() || ttl.std() > YEAR {
        bail!("--ttl {ttl}: must be more than nothing, and a year at most");
    }
    let place = place.open().await?;
    let now = Timestamp::now();
    let token = Token::generate();
    let record = TokenRecord::of(&token, customer.clone(), now, now.checked_add(ttl.std())?);
    place.keep(&record, now).await?;
    println!("{}", token.reveal());
    eprintln!(
        "token {} for {customer}, until {}; it is not shown again. On the machine:\n  \
         KINETIC_ENROLL_TOKEN=ket_… kinetic enroll {} \\\n    \
         --customer {customer} --client CLIENT --name \"$(hostname -f)\" --dir /etc/kinetic --wait",
        record.id,
        record.expires_at,
        place.server(customer).await
    );
    Ok(ExitCode::SUCCESS)
}

/// A token, and what came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: TokenId,
    customer: Name,
    created_at: Timestamp,
    expires_at: Timestamp,
    /// Whether it can be used now.
    valid: bool,
    /// Requests made with it that are kept.
    requests: usize,
    /// Of them, certificates.
    issued: usize,
}

async fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let place = args.place.open().await?;
    let now = Timestamp::now();
    let mut used: HashMap<String, (usize, usize)> = HashMap::new();
    for enrollment in place.requests().await? {
        if let Some(token) = &enrollment.spec.token {
            let (requests, issued) = used.entry(token.clone()).or_default();
            *requests += 1;
            *issued += usize::from(enrollment.state() == EnrollmentState::Issued);
        }
    }
    let mut records = place.all().await?;
    records.retain(|record| args.customer.as_ref().is_none_or(|customer| *customer == record.customer));
    records.sort_by_key(|record| (record.created_at, record.id.to_string()));
    let listed = records.into_iter().map(|record| {
        let (requests, issued) = used.get(&record.id.to_string()).copied().unwrap_or_default();
        let TokenRecord { id, customer, created_at, expires_at, .. } = record;
        Listed { id, customer, created_at, expires_at, valid: now < expires_at, requests, issued }
    });
    let listed: Vec<Listed> = listed.collect();
    let text =
        if args.json { serde_json::to_string_pretty(&listed)? + "\n" } else { table(&place.name(), &listed) };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(place: &str, all: &[Listed]) -> String {
    let mut text = format!("{} tokens {place}\n", all.len());
    for Listed { id, customer, created_at, expires_at, valid, requests, issued } in all {
        let time = |time: &Timestamp| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let state = if *valid { "until" } else { "ran out" };
        let _ = writeln!(
            text,
            "{id}  {customer}  made {}, {state} {}; {requests} requests, {issued} certificates",
            time(created_at),
            time(expires_at)
        );
    }
    text
}

/// Names all before it revokes any: a slip of the keyboard changes nothing.
async fn revoke(RevokeArgs { ids, place }: &RevokeArgs) -> anyhow::Result<ExitCode> {
    let place = place.open().await?;
    let records = place.all().await?;
    let mut meant = Vec::new();
    for text in ids {
        let begins =
            |record: &&TokenRecord| !text.is_empty() && record.id.to_string().starts_with(text.as_str());
        match records.iter().filter(begins).collect::<Vec<_>>()[..] {
            [record] => meant.push(record),
            [] if text.starts_with(kinetic_enroll::token::PREFIX) => {
                bail!("this is a token: name its id, as `kinetic token list` shows it ({})", place.name())
            }
            [] => {
                bail!("no token's id begins with `{text}` {}: `kinetic token list` shows them", place.name())
            }
            _ => bail!("several tokens' ids begin with `{text}`: write more of it"),
        }
    }
    let requests = place.requests().await?;
    for record in meant {
        let TokenRecord { id, customer, .. } = record;
        place.revoke(record).await?;
        println!("revoked: token {id} for {customer} ({})", place.name());
        let waits = requests.iter().filter(|one| {
            one.state() == EnrollmentState::Pending && one.spec.token.as_deref() == Some(&id.to_string())
        });
        let waits = waits.count();
        if waits > 0 {
            println!(
                "{waits} requests that were made with it still wait: `kinetic enrollments` lists them, `kinetic deny ID` refuses one"
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
