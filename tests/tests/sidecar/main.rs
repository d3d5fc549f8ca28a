//! `kinetic sidecar` before a broker that believes certificates: what is sent to it arrives, in order, each once by its id, whatever is killed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod certificates;
mod impostor;

use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    io::Write,
    os::unix::net::{UnixDatagram, UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use certificates::Certificates;
use kinetic_api::names;
use kinetic_bus::{
    AmqpConfig, Binding, Bus, Declaration, Exchange, ExchangeKind, HeaderValue, Queue, QueueKind, Retention,
    StreamOffset,
};
use kinetic_tests::{
    http::{get, metric},
    process::{Kinetic, eventually, free_port},
    rabbitmq::RabbitMq,
};
use tempfile::TempDir;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(2);
const DAY: Duration = Duration::from_hours(24);
const VHOST: &str = "us-west.aws.acme";
const STREAM: &str = "kinetic.metrics.web.pages";
const CLIENT: &str = "spiffe://kinetic.local/customers/acme/clients/web/machines/web-1.acme.example";

/// A broker, its certificates, and what a sidecar is started with.
struct Site {
    broker: RabbitMq,
    certificates: Certificates,
    folder: TempDir,
    admin: u16,
    amqp: u16,
}

impl Site {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let certificates = Certificates::new(folder.path());
        certificates.issue("door", "spiffe://kinetic.local/redirector", DAY);
        certificates.issue("web", CLIENT, DAY);
        let path = |name| certificates.path(name);
        let broker = RabbitMq::start_with_tls(&path("door.crt"), &path("door.key"), &path("ca.crt"));
        broker.add_vhost(VHOST);
        // The least that a client needs: DESIGN.md, "Identity and trust".
        broker.add_user(CLIENT, VHOST, r#"{"configure":"^$","write":"^kinetic\\.metrics$","read":"^$"}"#);
        Self { broker, certificates, folder, admin: free_port(), amqp: free_port() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sidecar(&self) -> Kinetic {
        let mut args: Vec<OsString> = vec!["sidecar".into()];
        let mut flag = |name: &str, value: &Path| args.extend([format!("--{name}").into(), value.into()]);
        flag("upstream", Path::new(&format!("localhost:{}", self.broker.tls_port())));
        flag("vhost", Path::new(VHOST));
        flag("cert", &self.certificates.path("web.crt"));
        flag("key", &self.certificates.path("web.key"));
        flag("ca", &self.certificates.path("ca.crt"));
        flag("statsd", Path::new("off"));
        flag("amqp", Path::new(&format!("127.0.0.1:{}", self.amqp)));
        flag("statsd-socket", &self.path("statsd.socket"));
        flag("statsd-stream-socket", &self.path("stream.socket"));
        flag("spool", &self.path("spool"));
        flag("batch-size", Path::new("2Ki"));
        flag("batch-age", Path::new("10ms"));
        flag("admin", Path::new(&format!("127.0.0.1:{}", self.admin)));
        let mut sidecar = Kinetic::start(args);
        sidecar.wait_for("listening");
        sidecar
    }

    fn ready(&self) {
        eventually("the upstream to be reached", || {
            get(self.admin, "/readyz").is_some_and(|(status, _)| status == 200)
        });
    }

    /// Sends numbered lines, and waits while the sidecar's queue is full.
    fn send(&self, numbers: std::ops::Range<u64>) {
        let socket = UnixDatagram::unbound().unwrap();
        socket.connect(self.path("statsd.socket")).unwrap();
        for n in numbers {
            socket.send(format!("page.hits:{n}|c").as_bytes()).unwrap();
        }
    }

    /// The same by a stream, as Datadog's clients write it: each packet behind its length.
    fn send_stream(&self, numbers: std::ops::Range<u64>) {
        let mut socket = UnixStream::connect(self.path("stream.socket")).unwrap();
        for n in numbers {
            let packet = format!("page.hits:{n}|c\n");
            socket.write_all(&u32::try_from(packet.len()).unwrap().to_le_bytes()).unwrap();
            socket.write_all(packet.as_bytes()).unwrap();
        }
    }

    /// Waits until this line is in a file of the spool.
    fn spooled(&self, number: u64) {
        let line = format!("page.hits:{number}|c");
        eventually("the last line to be on disk", || {
            let files = fs::read_dir(self.path("spool")).unwrap().map(|file| file.unwrap().path());
            files
                .filter_map(|path| fs::read(path).ok())
                .any(|bytes| bytes.windows(line.len()).any(|at| at == line.as_bytes()))
        });
    }

    fn segments(&self) -> usize {
        let files = fs::read_dir(self.path("spool")).unwrap();
        files
            .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "spool"))
            .count()
    }
}

/// The vhost as an administrator reaches it, with one stream that takes all statsd.
async fn stream(broker: &RabbitMq) -> Bus {
    let bus = Bus::amqp(AmqpConfig::new(&broker.amqp_url(VHOST), VHOST).unwrap());
    let retention = Retention { age: DAY, bytes: 1 << 30 };
    let declaration = Declaration {
        exchanges: vec![Exchange { name: names::METRICS_EXCHANGE.into(), kind: ExchangeKind::Topic }],
        queues: vec![Queue {
            name: STREAM.into(),
            kind: QueueKind::Stream { segment_bytes: 1 << 20, retention },
        }],
        bindings: vec![Binding {
            exchange: names::METRICS_EXCHANGE.into(),
            queue: STREAM.into(),
            routing_key: "statsd.web.#".into(),
        }],
    };
    timeout(PATIENCE, bus.declare(&declaration)).await.unwrap().unwrap();
    bus
}

/// The numbers of all lines in the stream's order, each message's once by its id, up to the number `last`.
async fn arrived(bus: &Bus, last: u64) -> Vec<u64> {
    let mut reader = bus.read_stream(STREAM, StreamOffset::First).await.unwrap();
    let (mut numbers, mut seen) = (Vec::new(), HashMap::new());
    while numbers.last() != Some(&last) {
        let message = timeout(PATIENCE, reader.next()).await.expect("a message in time").unwrap().message;
        assert_eq!(message.routing_key, "statsd.web.web-1.acme.example");
        assert_eq!(message.header("origin"), Some(&HeaderValue::Text("web-1.acme.example".into())));
        if let Some(body) = seen.insert(message.message_id.clone().unwrap(), message.body.clone()) {
            assert_eq!(body, message.body, "the same id means the same message");
            continue;
        }
        let lines = std::str::from_utf8(&message.body).unwrap().lines();
        numbers.extend(lines.map(|line| line["page.hits:".len()..line.len() - 2].parse::<u64>().unwrap()));
    }
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_accepted_is_lost_when_the_upstream_and_the_sidecar_are_killed() {
    let site = Site::new();
    let bus = stream(&site.broker).await;
    // RabbitMQ 3.10 does not find a stream again that was its first and is killed within seconds: it says `down` for ever.
    site.broker.stop();
    site.broker.start_again();
    let mut sidecar = site.sidecar();
    site.ready();
    site.send(0..20_000);
    eventually("all to be taken", || metric(site.admin, "kinetic_intake_packets_total") == Some(20_000.0));
    eventually("all to be confirmed", || {
        metric(site.admin, "kinetic_sidecar_unconfirmed_messages") == Some(0.0)
    });
    assert_eq!(site.segments(), 0, "a healthy upstream leaves the disk alone");

    // In the middle of what is in flight.
    site.send(20_000..40_000);
    site.broker.kill9();
    site.send(40_000..60_000);
    eventually("its absence to be told", || {
        get(site.admin, "/readyz").is_some_and(|(status, _)| status == 503)
    });
    site.spooled(59_999);
    sidecar.kill();

    let mut sidecar = site.sidecar();
    site.send(60_000..70_000);
    site.spooled(69_999);
    // Stopped as it should be while the upstream is away: what it has goes to disk.
    site.send(70_000..80_000);
    sidecar.signal("TERM");
    let (status, said) = sidecar.wait();
    assert!(status.success(), "{status}\n{said}");

    let sidecar = site.sidecar();
    site.broker.start_again();
    site.send(80_000..100_000);
    let numbers = arrived(&bus, 99_999).await;
    assert!(numbers == (0..100_000).collect::<Vec<_>>(), "in order, each once: {}", gaps(&numbers));
    site.send_stream(100_000..101_000);
    let numbers = arrived(&bus, 100_999).await;
    assert!(numbers == (0..101_000).collect::<Vec<_>>(), "by the stream, too: {}", gaps(&numbers));
    eventually("the disk to be empty", || site.segments() == 0);
    assert!(metric(site.admin, "kinetic_sidecar_replayed_messages_total").unwrap() > 100.0);
    assert_eq!(metric(site.admin, "kinetic_sidecar_dropped_lines_total"), None);
    let (status, said) = sidecar.interrupt();
    assert!(status.success(), "{status}\n{said}");
    assert!(!site.path("statsd.socket").exists() && !site.path("stream.socket").exists());
    bus.close().await;
}

/// Where numbers do not follow each other.
fn gaps(numbers: &[u64]) -> String {
    let pairs = numbers.windows(2).filter(|pair| pair[0] + 1 != pair[1]);
    format!("{} of 100000; {:?}", numbers.len(), pairs.take(10).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_shown_from_the_next_connection_on() {
    let site = Site::new();
    let bus = stream(&site.broker).await;
    let sidecar = site.sidecar();
    site.ready();
    let connection = || {
        let list: serde_json::Value =
            serde_json::from_str(&site.broker.http("GET", "/api/connections", "")).unwrap();
        list.as_array().unwrap().iter().find(|one| one["ssl"] == true && one["user"] == CLIENT).cloned()
    };
    let validity =
        |connection: &serde_json::Value| connection["peer_cert_validity"].as_str().map(str::to_owned);
    eventually("the connection to be listed", || connection().is_some_and(|one| validity(&one).is_some()));
    let first = connection().unwrap();
    assert_eq!(first["auth_mechanism"], "EXTERNAL");
    site.send(0..1_000);

    site.certificates.issue("web", CLIENT, 2 * DAY);
    eventually("the new files to be read", || {
        metric(site.admin, "kinetic_tls_reloads_total").is_some_and(|n| n >= 1.0)
    });
    assert_eq!(
        connection().map(|one| one["name"].clone()),
        Some(first["name"].clone()),
        "an open one goes on"
    );
    let name = first["name"].as_str().unwrap().replace(' ', "%20").replace('>', "%3E");
    site.send(1_000..2_000);
    site.broker.http("DELETE", &format!("/api/connections/{name}"), "");
    site.send(2_000..3_000);
    let numbers = arrived(&bus, 2_999).await;
    assert!(numbers == (0..3_000).collect::<Vec<_>>(), "{}", gaps(&numbers));
    eventually("a connection with the new certificate", || {
        connection().is_some_and(|one| validity(&one).is_some_and(|now| Some(now) != validity(&first)))
    });
    let (status, said) = sidecar.interrupt();
    assert!(status.success(), "{status}\n{said}");
    bus.close().await;
}

/// A program of this machine that speaks AMQP, without TLS and with whatever user and vhost it was written for.
async fn program(site: &Site) -> lapin::Result<()> {
    let url = format!("amqp://some:thing@127.0.0.1:{}/anything", site.amqp);
    let connection = lapin::Connection::connect(&url, lapin::ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await?;
    let confirmed = channel
        .basic_publish(
            names::METRICS_EXCHANGE.into(),
            "statsd.web.web-1.acme.example".into(),
            lapin::options::BasicPublishOptions { mandatory: true, ..Default::default() },
            b"page.hits:0|c",
            lapin::BasicProperties::default(),
        )
        .await?
        .await?;
    assert!(matches!(confirmed, lapin::Confirmation::Ack(None)), "{confirmed:?}");
    connection.close(200, "".into()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_knows_no_tls_is_passed_through_and_refused_while_the_upstream_is_away() {
    let site = Site::new();
    let bus = stream(&site.broker).await;
    let sidecar = site.sidecar();
    site.ready();
    program(&site).await.unwrap();
    let mut reader = bus.read_stream(STREAM, StreamOffset::First).await.unwrap();
    let message = timeout(PATIENCE, reader.next()).await.expect("a message in time").unwrap().message;
    assert_eq!(message.body, "page.hits:0|c");
    bus.close().await;

    site.broker.stop();
    let error = program(&site).await.unwrap_err().to_string();
    assert!(error.contains("CONNECTION_FORCED") && error.contains("cannot be reached"), "{error}");
    assert_eq!(metric(site.admin, "kinetic_sidecar_refused_connections_total"), Some(1.0));
    site.broker.start_again();
    site.ready();
    program(&site).await.unwrap();
    let (status, said) = sidecar.interrupt();
    assert!(status.success(), "{status}\n{said}");
}
