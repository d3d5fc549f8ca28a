//! `kinetic series`, and the HTTP interface that it asks: is my metric arriving, under which name?

mod api;

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use jiff::{Timestamp, tz::TimeZone};
use kinetic_api::observed::{Observed, ObservedPage, ObservedWindow};
use reqwest::{Client, Url};

pub(crate) use self::api::{Desk, Desks, router};
use crate::listen::Listen;

/// The series that a running `kinetic` sees, by metric and origin, each with its last windows.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kinetic series\n  kinetic series 'page.*.time' --origin web-1\n  kinetic series --json '**.errors' | jq '.series[].windows[-1]'"
)]
pub(crate) struct SeriesArgs {
    /// Only metrics that fit this pattern: `*` is any part between dots, `**` anything.
    #[arg(value_name = "METRIC", default_value = "**")]
    metric: String,
    /// Only origins that fit this pattern.
    #[arg(long, value_name = "PATTERN")]
    origin: Option<String>,
    /// Only this customer's.
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// Only this Topology's.
    #[arg(long, value_name = "NAME")]
    topology: Option<String>,
    /// Only this source's.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// So many at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// One JSON object for programs, as `GET /api/v1/series` gives it.
    #[arg(long)]
    json: bool,
    /// Where the running `kinetic run` or `kinetic analyzer` serves its --admin address.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8181", env = "KINETIC_ADMIN")]
    admin: Listen,
}

/// Asks, and prints the answer.
pub(crate) async fn run(args: &SeriesArgs) -> anyhow::Result<ExitCode> {
    let Listen::At(address) = args.admin else { bail!("--admin: `off` cannot be asked") };
    let mut url = Url::parse(&format!("http://{address}/api/v1/series")).expect("an address makes an URL");
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("metric", &args.metric).append_pair("limit", &args.limit.to_string());
        for (name, value) in [
            ("origin", &args.origin),
            ("customer", &args.customer),
            ("topology", &args.topology),
            ("source", &args.source),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
    }
    let answer =
        Client::new().get(url).send().await.with_context(|| {
            format!("nobody answers at {address}: is kinetic running, with this --admin?")
        })?;
    let (status, body) = (answer.status(), answer.text().await?);
    if !status.is_success() {
        bail!("{address}: {status}: {}", body.trim());
    }
    let page: ObservedPage =
        serde_json::from_str(&body).with_context(|| format!("{address} gave another answer than series"))?;
    let mut text = if args.json { serde_json::to_string_pretty(&page)? } else { table(&page) };
    text.push('\n');
    match io::stdout().write_all(text.as_bytes()) {
        // `kinetic series | head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(page: &ObservedPage) -> String {
    let mut blocks: Vec<_> = page.series.iter().map(block).collect();
    if page.total > page.series.len() {
        blocks.push(format!("({} more: --limit, or a narrower pattern)", page.total - page.series.len()));
    }
    for source in &page.unanswered {
        blocks.push(format!("({source} did not answer in time)"));
    }
    if blocks.is_empty() {
        return "no series".to_owned();
    }
    blocks.join("\n")
}

/// A series: its name and who looks at it, then a line a window.
fn block(series: &Observed) -> String {
    let watched = if series.analytics.is_empty() {
        let seen = series.last_seen.map_or_else(String::new, |at| format!("; last seen {}", clock(at)));
        format!("no analytic looks at it{seen}")
    } else {
        format!("watched by {}", series.analytics.join(", "))
    };
    let mut block =
        format!("{}  {}  {}/{}  {watched}", series.name, series.kind, series.topology, series.source);
    for window in &series.windows {
        let _ = write!(block, "\n  {}", line(window));
    }
    block
}

fn line(window: &ObservedWindow) -> String {
    let numbers: Vec<_> =
        window.statistics.iter().map(|(statistic, value)| format!("{statistic} {value}")).collect();
    let state = if window.open { "open  " } else { "closed" };
    format!("{} – {}  {state}  {}", clock(window.start), clock(window.end), numbers.join("  "))
}

fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S%.fZ").to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kinetic_api::statistic::Statistic;

    use super::*;

    #[test]
    fn a_table_says_what_arrives_and_who_looks() {
        let window = ObservedWindow {
            start: Timestamp::UNIX_EPOCH,
            end: Timestamp::from_second(10).unwrap(),
            open: true,
            statistics: BTreeMap::from([(Statistic::Count, 2.0), (Statistic::Mean, 1.25)]),
        };
        let mut series = Observed {
            customer: "shop".into(),
            topology: "web".into(),
            source: "pages".into(),
            name: "load@web-1".into(),
            metric: "load".into(),
            tags: vec![],
            origin: "web-1".into(),
            kind: "gauge".into(),
            analytics: vec!["loaded".into()],
            last_seen: Some(Timestamp::UNIX_EPOCH),
            windows: vec![window],
        };
        let watched = block(&series);
        assert_eq!(
            watched,
            "load@web-1  gauge  web/pages  watched by loaded\n  1970-01-01 00:00:00Z – 1970-01-01 00:00:10Z  open    count 2  mean 1.25"
        );
        series.analytics.clear();
        series.windows.clear();
        let page = ObservedPage { total: 3, series: vec![series], unanswered: vec!["shop/web/hosts".into()] };
        assert_eq!(
            table(&page),
            "load@web-1  gauge  web/pages  no analytic looks at it; last seen 1970-01-01 00:00:00Z\n(2 more: --limit, or a narrower pattern)\n(shop/web/hosts did not answer in time)"
        );
        assert_eq!(table(&ObservedPage::default()), "no series");
    }
}
