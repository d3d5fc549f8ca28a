//! The clients that people have, unchanged: lapin, pika, amqplib, librabbitmq's tools, collectd.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use kinetic_api::names::{ANOMALIES_EXCHANGE, ANOMALIES_QUEUE, METRICS_EXCHANGE};
use kinetic_tests::{
    collectd::Collectd,
    peers,
    process::{Ended, Kinetic, eventually},
};
use serde_json::Value;

use super::{
    own, peers_are_there, program,
    site::{ALERT, ANALYZER, Issued, STREAM, Setting, Site, VHOST, WEB},
};

/// For coreutils' `timeout`.
const SECONDS: &str = "300";

#[test]
fn clients_work_as_if_nobody_stood_between() {
    if !peers_are_there() {
        return;
    }
    let site = Site::start(&Setting::default());
    let (web, analyzer, alert) = (site.issue(&WEB), site.issue(&ANALYZER), site.issue(&ALERT));
    site.runtime.block_on(own::everything(&site, &web, &analyzer));

    let python = |arguments: &[&str]| program(peers::python(), "client.py", arguments);
    let node = |arguments: &[&str]| program(peers::node(), "client.js", arguments);
    both(&site, &web, &analyzer, "statsd.web.pika", &python);
    both(&site, &web, &analyzer, "statsd.web.amqplib", &node);
    librabbitmq(&site, &web, &analyzer, &alert);
    let collectd = collectd(&site, &web);

    site.runtime.block_on(async {
        let reader = own::connect(&site, &analyzer, "").await.unwrap();
        let mut messages = own::read_stream(&reader).await;
        own::read_until(&mut messages, "collectd's value", |key, body| {
            key == "collectd.web.web-1" && {
                let values: Value = serde_json::from_slice(body).unwrap();
                assert_eq!(values[0]["values"], serde_json::json!([42.5]), "{values}");
                true
            }
        })
        .await;
        reader.close(200, "".into()).await.unwrap();
    });
    drop(collectd);
    // Each ended as it wished; collectd alone goes without a word.
    site.wait_for_open(0.0);
    for reason in ["broker_gone", "missed_heartbeats", "violation"] {
        assert_eq!(site.ended(reason), 0, "{reason}");
    }
}

/// The same of pika and of amqplib.
fn both(site: &Site, web: &Issued, analyzer: &Issued, key: &str, client: &dyn Fn(&[&str]) -> Command) {
    let run = |who: &Issued, arguments: &[&str]| ended(&mut site.client(client(arguments), who));
    for (count, size) in [(200, 100), (2, 10_000_000)] {
        let said = run(web, &["publish", key, &count.to_string(), &size.to_string()]).stdout;
        assert_eq!(said, format!("confirmed {count}\nreturned 312\n"), "{key}");
    }
    let said = run(web, &["channels", &format!("{key}.channels"), "500"]).stdout;
    assert_eq!(said, "confirmed 500\n", "{key}");
    // The digest of what was published, made by another hand.
    let mut sha256 = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut bytes = sha256.stdin.take().unwrap();
    (0..200).for_each(|number| bytes.write_all(&[number; 100]).unwrap());
    (0..2).for_each(|number| bytes.write_all(&vec![number; 10_000_000]).unwrap());
    drop(bytes);
    let expected = String::from_utf8(sha256.wait_with_output().unwrap().stdout).unwrap();
    let expected = expected.split_whitespace().next().unwrap();
    let said = run(analyzer, &["stream", STREAM, key, "202"]).stdout;
    assert_eq!(said, format!("read {expected}\n"), "{key}");
}

/// Its tools log in by PLAIN, and send no heartbeats.
fn librabbitmq(site: &Site, web: &Issued, analyzer: &Issued, alert: &Issued) {
    let tool = |tool: &str, who: &Issued, user: &str, arguments: &[&str]| {
        amqp_tool(site, tool, who, user, arguments)
    };
    let to = |exchange: &'static str, key: &'static str| {
        ["--exchange", exchange, "--routing-key", key, "--persistent"]
    };
    // A stream, from its end on: what is published before the reader is there is none of its.
    let one = ["--queue", STREAM, "--prefetch-count", "10", "--count", "1", "cat"];
    let mut reader = Kinetic::spawn(&mut tool("amqp-consume", analyzer, "pages", &one));
    eventually("the stream's reader to read", || {
        let mut publish = tool("amqp-publish", web, "web", &to(METRICS_EXCHANGE, "statsd.web.librabbitmq"));
        ended(publish.args(["--body", "page.time:7|ms"]));
        !reader.is_running()
    });
    let (status, said) = reader.wait();
    assert!(status.success() && said.trim_end() == "page.time:7|ms", "{status} {said}");

    let long = "a".repeat(1_000_000);
    let mut publish = tool("amqp-publish", analyzer, "pages", &to(ANOMALIES_EXCHANGE, "pages.slow"));
    let mut publish = publish.stdin(Stdio::piped()).spawn().unwrap();
    publish.stdin.take().unwrap().write_all(long.as_bytes()).unwrap();
    assert!(publish.wait().unwrap().success());
    let count = ["--queue", ANOMALIES_QUEUE, "--count", "1", "cat"];
    assert_eq!(ended(&mut tool("amqp-consume", alert, "alert", &count)).stdout, long);

    // Somebody else's name beside this certificate is refused.
    let refused = tool("amqp-publish", web, "guest", &to(METRICS_EXCHANGE, "statsd.web.x"))
        .args(["--body", "x"])
        .output()
        .unwrap();
    assert!(!refused.status.success());
}

/// `amqp-publish` or `amqp-consume`. A tool that hangs fails its own test.
pub(crate) fn amqp_tool(site: &Site, tool: &str, who: &Issued, user: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command
        .args([SECONDS, tool, "--heartbeat=0"])
        .arg(format!("--url=amqps://{user}:ignored@localhost:{}/{VHOST}", site.port))
        .arg(format!("--cacert={}", site.trust().display()))
        .arg(format!("--cert={}", who.certificate.display()))
        .arg(format!("--key={}", who.key.display()))
        .args(arguments);
    command
}

/// Its amqp plugin knows PLAIN alone.
fn collectd(site: &Site, web: &Issued) -> Collectd {
    let mut collectd = Collectd::start(&amqp_plugin(site, web));
    collectd.command("PUTVAL \"web-1/load/gauge-x\" interval=10 1700000000:42.5");
    eventually("collectd to be connected", || {
        collectd.command("FLUSH");
        site.metric("kinetic_door_open_connections") > 0.5
    });
    collectd
}

/// collectd's amqp plugin, by certificate.
pub(crate) fn amqp_plugin(site: &Site, web: &Issued) -> String {
    format!(
        "LoadPlugin amqp\n<Plugin amqp>\n<Publish \"door\">\n Host \"localhost\"\n Port \"{}\"\n VHost \"{VHOST}\"\n User \"web\"\n \
         Password \"x\"\n Exchange \"{METRICS_EXCHANGE}\"\n RoutingKey \"collectd.web.web-1\"\n Persistent true\n Format JSON\n \
         TLSEnabled true\n TLSVerifyPeer true\n TLSVerifyHostName true\n TLSCACert \"{}\"\n TLSClientCert \"{}\"\n TLSClientKey \"{}\"\n\
         </Publish>\n</Plugin>\n",
        site.port,
        site.trust().display(),
        web.certificate.display(),
        web.key.display()
    )
}

/// Runs a program to its end, which must be a good one.
fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }.expect_success()
}
