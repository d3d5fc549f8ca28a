//! The generator's scenarios end to end: each anomaly of the truth file is an incident about the right series and origin, at the right time,
//! and one mail; in process, and over a real RabbitMQ.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use kinetic_tests::{process, rabbitmq::RabbitMq};
use serde_json::Value;

/// Scenarios with an anomaly, and the analytic that is meant to see each.
const SCENARIOS: [(&str, &str); 5] = [
    ("slow-host", "time-among-peers"),
    ("drop", "requests-among-peers"),
    ("silent-host", "silent"),
    ("drift", "time-among-peers"),
    ("spike", "time-among-peers"),
];

fn resources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/resources/scenarios.yaml")
}

/// What one run left behind.
struct Outcome {
    truth: Value,
    incidents: Vec<Value>,
    mails: Vec<String>,
}

fn outcome(folder: &Path, truth: &Path) -> Outcome {
    let mails = fs::read_dir(folder.join("mail")).map_or_else(
        |_| Vec::new(),
        |entries| entries.map(|e| fs::read_to_string(e.unwrap().path()).unwrap()).collect(),
    );
    Outcome {
        truth: serde_json::from_slice(&fs::read(truth).unwrap()).unwrap(),
        incidents: process::incidents(folder),
        mails,
    }
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("no time: {value}")).parse().unwrap()
}

/// Every metric of every anomaly has its incident, nobody else is accused, and every incident was mailed once.
fn check(scenario: &str, analytic: &str, outcome: &Outcome) {
    let Outcome { truth, incidents, mails } = outcome;
    let anomalies = truth["anomalies"].as_array().unwrap();
    assert_eq!(anomalies.len(), 1, "{scenario}: {truth}");
    let anomaly = &anomalies[0];
    let (from, to) = (time(&anomaly["from"]), time(&anomaly["to"]));
    let window = SignedDuration::from_secs(10);
    let watched = |metric: &str| match analytic {
        "time-among-peers" => metric.split('.').next_back() == Some("time"),
        "requests-among-peers" => metric.split('.').next_back() == Some("requests"),
        _ => metric == "host.load",
    };
    let metrics: Vec<_> = anomaly["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m.as_str().unwrap())
        .filter(|m| watched(m))
        .collect();
    assert!(!metrics.is_empty(), "{scenario}: the analytic sees nothing of {anomaly}");
    for metric in metrics {
        let about: Vec<_> =
            incidents.iter().filter(|i| i["analytic"] == analytic && i["metric"] == metric).collect();
        assert_eq!(about.len(), 1, "{scenario} {metric}: {about:#?}");
        assert_eq!(about[0]["origin"], anomaly["origin"], "{scenario} {metric}");
        let starts = time(&about[0]["startsAt"]);
        // A window belongs to the anomaly if it holds a part of it; a drift shows only once it has gone far enough.
        assert!(
            starts > from - window && starts < to,
            "{scenario} {metric}: {starts} is not within {from} to {to}"
        );
        if scenario != "drift" && scenario != "silent-host" {
            assert!(starts <= from + window, "{scenario} {metric}: seen from {starts} on, began at {from}");
        }
    }
    for incident in incidents {
        assert_eq!(
            incident["origin"], anomaly["origin"],
            "{scenario}: somebody else is accused: {incident:#}"
        );
        assert!(time(&incident["startsAt"]) > from - window, "{scenario}: before it began: {incident:#}");
        let told = incident["notifications"].as_array().unwrap();
        assert_eq!(told.len(), 1, "{scenario}: {incident:#}");
        assert_eq!(told[0]["state"], "sent", "{scenario}: {incident:#}");
    }
    // Incidents of one analytic and metric are one group: a mail each, sent once.
    let mut groups: Vec<_> = incidents
        .iter()
        .map(|i| {
            (
                i["analytic"].to_string(),
                i["metric"].to_string(),
                i["notifications"][0]["decidedAt"].to_string(),
            )
        })
        .collect();
    groups.sort();
    groups.dedup();
    assert_eq!(mails.len(), groups.len(), "{scenario}: {groups:?}");
    let origin = anomaly["origin"].as_str().unwrap();
    assert!(mails.iter().all(|mail| mail.contains(origin)), "{scenario}");
}

fn generate(scenario: &str, target: &[&str], truth: &Path) {
    let args =
        ["generate", scenario, "--duration", "30m", "--seed", "11", "--truth", truth.to_str().unwrap()];
    process::kinetic(args.iter().chain(target)).expect_success();
}

#[test]
fn every_anomaly_is_one_incident_and_one_mail_in_process() {
    for (scenario, analytic) in SCENARIOS {
        let folder = tempfile::tempdir().unwrap();
        let (lines, truth, data) =
            (folder.path().join("lines"), folder.path().join("truth.json"), folder.path().join("data"));
        generate(scenario, &["--out", lines.to_str().unwrap()], &truth);
        let resources = resources();
        let args = process::run(&resources, &data, &["--statsd", "-", "--once"]);
        process::kinetic_with_input(args, File::open(&lines).unwrap()).expect_success();
        check(scenario, analytic, &outcome(&data, &truth));
    }
}

#[test]
fn every_anomaly_is_one_incident_and_one_mail_over_rabbitmq() {
    let broker = RabbitMq::start();
    let url = broker.amqp_url("");
    let url = url.trim_end_matches('/');
    for (scenario, analytic) in SCENARIOS {
        let folder = tempfile::tempdir().unwrap();
        let (truth, data) = (folder.path().join("truth.json"), folder.path().join("data"));
        // A customer of its own for each scenario, and so a vhost.
        let customer = scenario.replace("-host", "");
        let text = fs::read_to_string(resources()).unwrap();
        let resources = folder.path().join("resources.yaml");
        fs::write(
            &resources,
            text.replace("{name: shop}", &format!("{{name: {customer}}}"))
                .replace("customer: shop", &format!("customer: {customer}")),
        )
        .unwrap();
        let admin = broker.admin_url();
        let run = |once: &str| {
            let flags = ["--amqp", url, "--amqp-admin", &admin, once];
            process::kinetic(process::run(&resources, &data, &flags)).expect_success()
        };
        // The first run makes the vhost and its streams; clients declare nothing.
        run("--once");
        generate(
            scenario,
            &["--amqp", &broker.amqp_url(&format!("test.local.{customer}")), "--backfill"],
            &truth,
        );
        run("--once");
        let first = outcome(&data, &truth);
        check(scenario, analytic, &first);
        // Reading the same stream again finds the same, and tells nobody twice.
        run("--once");
        let again = outcome(&data, &truth);
        assert_eq!(first.incidents, again.incidents, "{scenario}");
        assert_eq!(first.mails.len(), again.mails.len(), "{scenario}");
    }
}
