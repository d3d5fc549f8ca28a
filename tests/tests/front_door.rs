//! `kinetic run --amqps --enroll`: the front door on one machine, from its first start to a machine that enrols and sends.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::Path};

use kinetic_tests::{
    http::get,
    process::{Kinetic, eventually, free_port, kinetic},
    rabbitmq::RabbitMq,
};
use lapin::{
    BasicProperties, Confirmation, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    tcp::{OwnedIdentity, OwnedTLSConfig},
};
use tempfile::TempDir;

const RESOURCES: &str = r#"
apiVersion: kinetic.dev/v1alpha1
kind: Customer
metadata: {name: acme}
spec:
  region: local
  provider: test
  clients: [{name: web, profile: web}]
  enrollment: {policy: AllowList, allow: [{client: web, names: ["web-*.acme.example"]}]}
---
apiVersion: kinetic.dev/v1alpha1
kind: Topology
metadata: {name: shop}
spec:
  customer: acme
  sources: [{name: pages, type: statsd, profiles: [web]}]
  analytics:
    - {name: high, source: pages, match: {metric: "**"}, statistic: mean, threshold: {above: 1000, clearBelow: 900}}
"#;

async fn publish(port: u16, certificate: &Path, key: &Path, trust: &Path, line: &[u8]) -> lapin::Result<()> {
    let identity = OwnedIdentity::PKCS8 { pem: fs::read(certificate).unwrap(), key: fs::read(key).unwrap() };
    let config =
        OwnedTLSConfig { identity: Some(identity), cert_chain: Some(fs::read_to_string(trust).unwrap()) };
    let uri = format!("amqps://localhost:{port}/local.test.acme?auth_mechanism=external");
    let runtime = lapin::runtime::default_runtime().unwrap();
    let connection =
        Connection::connect_with_config(&uri, ConnectionProperties::default(), config, runtime).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let confirmed = channel
        .basic_publish(
            "kinetic.metrics".into(),
            "statsd.web.web-1".into(),
            BasicPublishOptions { mandatory: true, ..Default::default() },
            line,
            BasicProperties::default(),
        )
        .await?
        .await?;
    assert!(matches!(confirmed, Confirmation::Ack(None)), "{confirmed:?}");
    connection.close(200, "".into()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_makes_all_that_clients_need_and_machines_enrol() {
    let broker = RabbitMq::start();
    let folder = TempDir::new().unwrap();
    let (resources, data) = (folder.path().join("shop.yaml"), folder.path().join("data"));
    fs::write(&resources, RESOURCES).unwrap();
    let (amqps, enroll, admin) = (free_port(), free_port(), free_port());
    let (amqp, http) = (broker.amqp_url(""), broker.admin_url());
    let path = |path: &Path| path.display().to_string();
    let local = |port: u16| format!("127.0.0.1:{port}");
    let mut process = Kinetic::start([
        "run",
        "-f",
        &path(&resources),
        "--data",
        &path(&data),
        "--amqp",
        amqp.trim_end_matches('/'),
        "--amqp-admin",
        &http,
        "--amqps",
        &local(amqps),
        "--enroll",
        &local(enroll),
        "--statsd",
        "off",
        "--collectd",
        "off",
        "--admin",
        &local(admin),
    ]);
    process.wait_for("kinetic is running");
    eventually("it to be ready", || get(admin, "/readyz").is_some_and(|(status, _)| status == 200));

    let issued = data.join("pki/issued");
    let file = |end: &str| {
        let files = fs::read_dir(&issued).unwrap().map(|file| file.unwrap().path());
        let own = |name: &str| name.contains("acme") && name.contains("web") && name.ends_with(end);
        files.into_iter().find(|path| own(path.file_name().unwrap().to_str().unwrap())).unwrap()
    };
    let trust = issued.join("trust.crt");
    publish(amqps, &file(".crt"), &file(".key"), &trust, b"page.by.class:1|c").await.unwrap();

    let token = kinetic(["token", "create", "--customer", "acme", "--dir", &path(&data)]).expect_success();
    let machine = folder.path().join("machine");
    let enrolled = kinetic([
        "enroll",
        "--server",
        &format!("https://localhost:{enroll}"),
        "--customer",
        "acme",
        "--client",
        "web",
        "--name",
        "web-1.acme.example",
        "--token",
        token.stdout.trim(),
        "--ca",
        &path(&data.join("pki/ca.crt")),
        "--dir",
        &path(&machine),
        "--wait",
    ]);
    let enrolled = enrolled.expect_success();
    let (certificate, key) = (machine.join("machine.crt"), machine.join("machine.key"));
    let trust = machine.join("trust.crt");
    publish(amqps, &certificate, &key, &trust, b"page.by.machine:1|c").await.unwrap_or_else(|error| {
        panic!("{error}\n{}\n{}", enrolled.stderr, process.printed());
    });

    // Who is connected is told by the data folder alone.
    let clients = |arguments: &[&str]| kinetic([&["clients"], arguments, &["--data", &path(&data)]].concat());
    let seen = clients(&["--json"]).expect_success().stdout;
    for identity in ["clients/web\"", "machines/web-1.acme.example\""] {
        assert!(seen.contains(identity), "{seen}");
    }
    let disconnected = clients(&["disconnect", "acme"]).expect_success().stdout;
    assert!(disconnected.contains("acme disconnected (by the data folder"), "{disconnected}");
    let refused = publish(amqps, &certificate, &key, &trust, b"page.by.machine:1|c").await.unwrap_err();
    assert!(refused.to_string().contains("disconnected by its operator"), "{refused}");
    assert!(clients(&[]).expect_success().stdout.contains("acme is disconnected"));
    clients(&["resume", "acme"]).expect_success();
    publish(amqps, &certificate, &key, &trust, b"page.by.machine:1|c").await.unwrap();

    eventually("both to have arrived", || {
        let series = get(admin, "/api/v1/series").map(|(_, body)| body).unwrap_or_default();
        series.contains("page.by.class") && series.contains("page.by.machine")
    });
    // Put out: its certificate is good for nothing any more.
    let denied = RESOURCES
        .replace("policy: AllowList,", "policy: AllowList, deny: [{client: web, names: [\"web-1.*\"]}],");
    fs::write(&resources, denied).unwrap();
    eventually("the machine to be refused", || {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current()
                .block_on(publish(amqps, &certificate, &key, &trust, b"page.by.machine:1|c"))
                .is_err_and(|error| error.to_string().contains("denied"))
        })
    });
    let (status, said) = process.interrupt();
    assert!(status.success(), "{status}\n{said}");
}
