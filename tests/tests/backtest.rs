//! A backtest of a stream that RabbitMQ retains: what the analyzer found, again, and nothing is written.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use kinetic_tests::{process, rabbitmq::RabbitMq};
use serde_json::Value;

const VHOST: &str = "local.demo.shop";
const RESOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/web-shop");

fn report(args: &[&str]) -> Value {
    let output = process::kinetic(args);
    assert!(output.status.success(), "{}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
fn a_retained_stream_is_judged_again_and_left_as_it_is() {
    let broker = RabbitMq::start();
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("truth.json");
    // What `kinetic run` declares, without its ticks: the stream holds what is generated, and nothing else.
    broker.add_vhost(VHOST);
    broker.http(
        "PUT",
        &format!("/api/exchanges/{VHOST}/kinetic.metrics"),
        r#"{"type":"topic","durable":true}"#,
    );
    let stream = r#"{"durable":true,"arguments":{"x-queue-type":"stream"}}"#;
    broker.http("PUT", &format!("/api/queues/{VHOST}/kinetic.metrics.web.pages"), stream);
    let path = format!("/api/bindings/{VHOST}/e/kinetic.metrics/q/kinetic.metrics.web.pages");
    broker.http("POST", &path, r#"{"routing_key":"statsd.web.#"}"#);
    let vhost = broker.amqp_url(VHOST);
    let truth_path = truth.to_str().unwrap();
    let generated = process::kinetic([
        "generate",
        "slow-host",
        "--amqp",
        &vhost,
        "--backfill",
        "--duration",
        "10m",
        "--rate",
        "4",
        "--truth",
        truth_path,
    ]);
    assert!(generated.status.success(), "{}", generated.stderr);

    let truth: Value = serde_json::from_str(&fs::read_to_string(&truth).unwrap()).unwrap();
    let origin = &truth["anomalies"][0]["origin"];
    let scores = folder.path().join("scores.csv");
    let address = format!("{vhost}?since=1h");
    let args = ["backtest", &address, "-f", RESOURCES, "--analytic", "slow-host", "--json"];
    let first = report(&[&args[..], &["--scores", scores.to_str().unwrap()]].concat());
    let findings = first["findings"].as_array().unwrap();
    assert!(!findings.is_empty() && findings.iter().all(|finding| finding["origin"] == *origin), "{first:#}");
    assert_eq!(first["badRows"], 0);
    let lines = fs::read_to_string(&scores).unwrap();
    assert_eq!(lines.lines().count() as u64, 1 + first["windows"].as_u64().unwrap());

    // Nothing was written: the same again, to the last sample. Without a Topology the stream is named in the address.
    assert_eq!(report(&args), first);
    let named = format!("{vhost}?stream=kinetic.metrics.web.pages");
    let all = report(&[
        "backtest",
        &named,
        "--analytic",
        "cluster",
        "--set",
        "match.metric=page.checkout.time",
        "--set",
        "origin.tag=host",
        "--set",
        "interval=5s",
        "--json",
    ]);
    assert!(
        all["findings"].as_array().unwrap().iter().any(|finding| finding["origin"] == *origin),
        "{all:#}"
    );

    let missing = process::kinetic(["backtest", &format!("{vhost}?stream=nothing"), "--analytic", "cluster"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(missing.stderr.contains("nothing"), "{}", missing.stderr);
}
