//! The traffic against its truth, and the command line as a user types it.

use std::collections::BTreeMap;

use clap::{CommandFactory, FromArgMatches, Parser};
use serde_json::Value;

use super::{
    args::{GenerateArgs, Start, Target},
    line::Stamp,
    scenario::{Plan, Scenario, Tails, Wish},
    traffic::Traffic,
    truth::Truth,
};

const START_MS: i64 = 1_767_225_600_000;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    generate: GenerateArgs,
}

fn wish(scenario: Scenario, duration_ms: u64) -> Wish {
    Wish {
        scenario,
        seed: 42,
        hosts: 8,
        rate: 10.0,
        tails: Tails::Normal,
        start_ms: START_MS,
        duration_ms,
        at_ms: None,
    }
}

pub(super) fn plan(scenario: Scenario, duration_ms: u64) -> Plan {
    Plan::new(&wish(scenario, duration_ms))
}

/// The whole run's lines, in slices of this length.
fn text(plan: &Plan, slice_ms: usize) -> String {
    let mut traffic = Traffic::new(plan, Stamp::Line { start_ms: plan.start_ms });
    let mut out = Vec::new();
    for until in (0..=plan.duration_ms).step_by(slice_ms).skip(1) {
        for host in 0..traffic.hosts() {
            traffic.advance(host, until, &mut out);
        }
    }
    String::from_utf8(out).unwrap()
}

/// One value of a line.
#[derive(Debug)]
struct Sample<'a> {
    metric: &'a str,
    host: &'a str,
    value: f64,
    second: i64,
}

fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().flat_map(|line| {
        let (metric, rest) = line.split_once(':').unwrap();
        let [values, _kind, tags, stamp] = rest.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let host = tags.strip_prefix("#host:").and_then(|tags| tags.split_once(",env:prod")).unwrap().0;
        let second = stamp.strip_prefix('T').unwrap().parse().unwrap();
        values.split(':').map(move |value| Sample { metric, host, value: value.parse().unwrap(), second })
    })
}

/// Mean and count per second of a metric of a host between two offsets, in seconds.
fn figures(text: &str, metric: &str, host: &str, seconds: std::ops::Range<i64>) -> (f64, f64) {
    let start = START_MS / 1000;
    let values: Vec<f64> = samples(text)
        .filter(|s| s.metric == metric && s.host == host && seconds.contains(&(s.second - start)))
        .map(|s| s.value)
        .collect();
    (
        values.iter().sum::<f64>() / values.len() as f64,
        values.len() as f64 / (seconds.end - seconds.start) as f64,
    )
}

/// The one anomaly of a truth: origin, and offsets in whole seconds.
fn anomaly(truth: &Value) -> (String, i64, i64) {
    let [anomaly] = truth["anomalies"].as_array().unwrap().as_slice() else { panic!("{truth}") };
    let offset = |key: &str| {
        anomaly[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second() - START_MS / 1000
    };
    (anomaly["origin"].as_str().unwrap().to_owned(), offset("from"), offset("to"))
}

fn close(value: f64, expected: f64, tolerance: f64) -> bool {
    (value / expected - 1.0).abs() < tolerance
}

/// A run of ten minutes: its lines, its truth, the odd host, another, and the odd seconds.
fn run(scenario: Scenario) -> (String, Value, String, String, std::ops::Range<i64>) {
    let plan = plan(scenario, 600_000);
    let truth = serde_json::to_value(Truth::of(&plan, plan.duration_ms)).unwrap();
    let (odd, from, to) = anomaly(&truth);
    let other = if odd == "web-1" { "web-2" } else { "web-1" };
    (text(&plan, 1000), truth, odd, other.to_owned(), from..to)
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    for scenario in [Scenario::SlowHost, Scenario::Noise] {
        let first = text(&plan(scenario, 60_000), 1000);
        assert_eq!(first, text(&plan(scenario, 60_000), 1000));
        let other = Plan::new(&Wish { seed: 43, ..wish(scenario, 60_000) });
        assert_ne!(first, text(&other, 1000));
    }
}

#[test]
fn slices_change_the_order_of_lines_only() {
    let plan = plan(Scenario::Drop, 60_000);
    let sorted = |slice_ms| {
        let text = text(&plan, slice_ms);
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(10), sorted(1000));
}

#[test]
fn an_anomaly_changes_only_what_it_is_about() {
    let quiet = text(&Plan::new(&Wish { at_ms: Some(600_000), ..wish(Scenario::SlowHost, 600_000) }), 1000);
    let (slow, _, odd, _, seconds) = run(Scenario::SlowHost);
    let start = START_MS / 1000;
    assert_eq!(quiet.lines().count(), slow.lines().count());
    for (a, b) in samples(&quiet).zip(samples(&slow)).filter(|(a, b)| (a.value - b.value).abs() > 1e-9) {
        assert_eq!((b.metric, b.host), ("page.checkout.time", odd.as_str()), "{a:?} {b:?}");
        assert!(seconds.contains(&(b.second - start)));
    }
}

#[test]
fn lines_are_in_order_by_the_second_and_within_the_run() {
    for scenario in [Scenario::Spike, Scenario::Noise] {
        let text = text(&plan(scenario, 60_000), 1000);
        let seconds: Vec<i64> = samples(&text).map(|sample| sample.second - START_MS / 1000).collect();
        assert!(seconds.is_sorted());
        assert_eq!((seconds.first(), seconds.last()), (Some(&0), Some(&59)));
    }
}

#[test]
fn slow_host_is_as_its_truth_says() {
    let (text, truth, odd, other, seconds) = run(Scenario::SlowHost);
    assert_eq!(seconds, 300..480);
    assert_eq!(truth["anomalies"][0]["metrics"], serde_json::json!(["page.checkout.time"]));
    let mean = |host: &str, seconds| figures(&text, "page.checkout.time", host, seconds).0;
    assert!(close(mean(&odd, seconds.clone()), 360.0, 0.05));
    assert!(close(mean(&odd, 0..300), 120.0, 0.05));
    assert!(close(mean(&odd, 480..600), 120.0, 0.05));
    assert!(close(mean(&other, seconds.clone()), 120.0, 0.05));
    assert!(close(figures(&text, "page.home.time", &odd, seconds).0, 40.0, 0.05));
}

#[test]
fn drop_is_as_its_truth_says() {
    let (text, truth, odd, other, seconds) = run(Scenario::Drop);
    assert_eq!(
        (&truth["anomalies"][0]["direction"], &truth["anomalies"][0]["factor"]),
        (&"Below".into(), &0.1.into())
    );
    for page in ["checkout", "home", "search"] {
        let rate = |host: &str, seconds| figures(&text, &format!("page.{page}.requests"), host, seconds).1;
        assert!(close(rate(&odd, seconds.clone()), 10.0 / 30.0, 0.15));
        assert!(close(rate(&odd, 0..300), 10.0 / 3.0, 0.05));
        assert!(close(rate(&other, seconds.clone()), 10.0 / 3.0, 0.05));
    }
}

#[test]
fn a_silent_host_says_nothing_at_all() {
    let (text, _, odd, other, seconds) = run(Scenario::SilentHost);
    let start = START_MS / 1000;
    let said = |host: &str| {
        samples(&text).filter(|s| s.host == host && seconds.contains(&(s.second - start))).count()
    };
    assert_eq!(said(&odd), 0);
    assert!(said(&other) > 3000);
    assert!(figures(&text, "host.load", &odd, 480..600).1 > 0.9, "it comes back");
}

#[test]
fn drift_creeps_up_to_its_factor() {
    let (text, _, odd, _, seconds) = run(Scenario::Drift);
    let mean = |seconds| figures(&text, "page.search.time", &odd, seconds).0 / 80.0;
    let (from, to) = (seconds.start, seconds.end);
    let steps = [
        mean(0..from),
        mean(from..from + 30),
        mean(i64::midpoint(from, to) - 15..i64::midpoint(from, to) + 15),
        mean(to - 30..to),
    ];
    assert!(steps.is_sorted(), "{steps:?}");
    assert!(close(steps[2], 1.75, 0.1) && close(steps[3], 2.375, 0.1), "{steps:?}");
}

#[test]
fn a_spike_hits_all_pages_for_a_minute() {
    let (text, truth, odd, _, seconds) = run(Scenario::Spike);
    assert_eq!(seconds, 300..360);
    for metric in truth["anomalies"][0]["metrics"].as_array().unwrap() {
        let mean = |seconds| figures(&text, metric.as_str().unwrap(), &odd, seconds).0;
        assert!(close(mean(seconds.clone()), 5.0 * mean(0..300), 0.1), "{metric}");
    }
}

#[test]
fn noise_has_one_metric_steady_counts_and_no_anomaly() {
    let noise = Plan::new(&Wish { rate: 3.0, hosts: 20, ..wish(Scenario::Noise, 600_000) });
    let truth = serde_json::to_value(Truth::of(&noise, noise.duration_ms)).unwrap();
    assert_eq!(truth["anomalies"], serde_json::json!([]));
    let text = text(&noise, 1000);
    let mut windows: BTreeMap<(&str, i64), u64> = BTreeMap::new();
    for sample in samples(&text) {
        assert_eq!(sample.metric, "page.checkout.time");
        *windows.entry((sample.host, sample.second / 10)).or_default() += 1;
    }
    assert_eq!(windows.len(), 20 * 60);
    assert!(windows.values().all(|count| *count == 30), "every window of ten seconds holds thirty samples");
}

#[test]
fn tails_differ_and_the_spread_does_not() {
    let tails = |tails| {
        let plan = Plan::new(&Wish { tails, rate: 100.0, ..wish(Scenario::Noise, 200_000) });
        let text = text(&plan, 1000);
        let deviations: Vec<f64> = samples(&text).map(|sample| (sample.value / 120.0 - 1.0) / 0.2).collect();
        let count = deviations.len() as f64;
        let variance = deviations.iter().map(|d| d * d).sum::<f64>() / count;
        (variance.sqrt(), deviations.iter().filter(|d| **d > 4.5).count())
    };
    let (normal, far) = tails(Tails::Normal);
    assert!((0.98..1.02).contains(&normal) && far < 10, "{normal} {far}");
    let (student, far) = tails(Tails::StudentT);
    assert!((0.85..1.15).contains(&student) && far > 200, "{student} {far}");
}

#[test]
fn the_truth_of_a_stopped_run_ends_where_it_was_stopped() {
    let plan = plan(Scenario::SlowHost, 600_000);
    let before = serde_json::to_value(Truth::of(&plan, 100_000)).unwrap();
    assert_eq!(
        (&before["anomalies"], &before["end"]),
        (&serde_json::json!([]), &"2026-01-01T00:01:40Z".into())
    );
    let within = serde_json::to_value(Truth::of(&plan, 310_000)).unwrap();
    assert_eq!(anomaly(&within).1..anomaly(&within).2, 300..310);
}

#[test]
fn targets_and_plans_follow_the_flags() {
    let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.generate);
    let target = |line: &str| parse(line).unwrap().target();
    assert_eq!(target("x slow-host"), Target::Statsd("127.0.0.1:8125".into()));
    let Target::File { start: Start::At(start), .. } = target("x drift --out -") else { panic!() };
    assert_eq!(start.as_millisecond(), START_MS);
    assert_eq!(target("x drift --out f --start now"), Target::File { path: "f".into(), start: Start::Now });
    let amqp = Target::Amqp { url: "amqp://b/v".into(), profile: "web".into(), backfill: true };
    assert_eq!(target("x spike --amqp amqp://b/v --backfill"), amqp);
    for wrong in [
        "x",
        "x quake",
        "x drop --out a --statsd b",
        "x drop --amqp a --out b",
        "x drop --backfill",
        "x drop --backfill --statsd a",
        "x drop --statsd a --start now",
        "x drop --rate 0",
        "x drop --rate NaN",
        "x drop --hosts 0",
        "x drop --duration 10",
        "x drop --duration 0s",
        "x drop --out a --start yesterday",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_help_teaches() {
    let mut command = Cli::command();
    let help = command.render_long_help().to_string();
    for taught in ["Examples:", "When it goes wrong:", "--truth", "slow-host", "page.checkout.time:123.40|ms"]
    {
        assert!(help.contains(taught), "{taught} is missing in:\n{help}");
    }
    let matches = Cli::command().try_get_matches_from(["x", "noise"]).unwrap();
    assert!(Cli::from_arg_matches(&matches).is_ok());
}
