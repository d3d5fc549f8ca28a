//! The relay on real sockets, over the bus in this process, and over an upstream that nobody answers at.

use std::{fs, path::Path};

use kinetic_bus::{AmqpConfig, HeaderValue, Message, StreamReader};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::*;
use crate::local_stream;

const PATIENCE: Duration = Duration::from_secs(30);

/// An upstream with one stream, and its reader.
async fn taking() -> (Bus, StreamReader) {
    local_stream::bus("statsd.web.#").await
}

/// An upstream at an address where nobody listens.
fn silent() -> Bus {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    Bus::amqp(AmqpConfig::new(&format!("amqp://127.0.0.1:{port}"), "v").unwrap())
}

struct Running {
    relay: StatsdRelay,
    intake: IntakeMetrics,
    metrics: SidecarMetrics,
}

async fn start(bus: &Bus, instance: &str, spool: Option<&Path>) -> Running {
    let config = SidecarConfig {
        statsd: Some("127.0.0.1:0".parse().unwrap()),
        statsd_socket: None,
        statsd_stream_socket: None,
        profile: "web".parse().unwrap(),
        origin: "web-1".parse().unwrap(),
        batch_bytes: 1024,
        batch_age: Duration::from_millis(5),
        spool: spool.map(|directory| SpoolConfig {
            directory: directory.to_owned(),
            size: 64 << 20,
            max_age: Duration::from_hours(1),
        }),
    };
    let (intake, metrics) = (IntakeMetrics::default(), SidecarMetrics::default());
    let cancel = CancellationToken::new();
    let relay =
        StatsdRelay::start(config, bus, instance, intake.clone(), metrics.clone(), &cancel).await.unwrap();
    Running { relay, intake, metrics }
}

impl Running {
    /// Sends numbered lines by TCP, which loses none, and waits until all are read.
    async fn send(&self, numbers: std::ops::Range<u32>, padding: usize) {
        let mut stream = TcpStream::connect(self.relay.statsd().unwrap()).await.unwrap();
        for n in numbers {
            stream.write_all(format!("n:{n}|c|#{}\n", "p".repeat(padding)).as_bytes()).await.unwrap();
        }
        stream.shutdown().await.unwrap();
        // The relay closes its half when it has read ours.
        let mut rest = Vec::new();
        timeout(PATIENCE, tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest))
            .await
            .unwrap()
            .unwrap();
    }

    fn metrics(&self) -> String {
        let mut registry = Registry::default();
        self.metrics.register(&mut registry);
        self.intake.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }
}

/// The number in a line.
fn number(line: &str) -> u32 {
    line["n:".len()..line.find('|').unwrap()].parse().unwrap()
}

/// Reads messages until so many lines came, and expects no more.
async fn read(reader: &mut StreamReader, count: usize) -> (Vec<u32>, Vec<Message>) {
    let (mut numbers, mut messages) = (Vec::new(), Vec::new());
    while numbers.len() < count {
        let message = timeout(PATIENCE, reader.next()).await.expect("a message in time").unwrap().message;
        numbers.extend(std::str::from_utf8(&message.body).unwrap().lines().map(number));
        messages.push(message);
    }
    assert_eq!(numbers.len(), count);
    (numbers, messages)
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_an_upstream_takes_never_touches_the_disk() {
    let folder = TempDir::new().unwrap();
    let (bus, mut reader) = taking().await;
    let running = start(&bus, "here", Some(folder.path())).await;
    running.send(0..2_000, 10).await;
    let (numbers, messages) = read(&mut reader, 2_000).await;
    assert_eq!(numbers, (0..2_000).collect::<Vec<_>>());
    for (sequence, message) in messages.iter().enumerate() {
        assert_eq!(message.message_id.as_deref(), Some(format!("here-{sequence}").as_str()));
        assert_eq!(message.routing_key, "statsd.web.web-1");
        assert_eq!(message.header("origin"), Some(&HeaderValue::Text("web-1".into())));
        assert!(message.body.len() <= 1024);
    }
    running.relay.stop(PATIENCE).await.unwrap();
    assert_eq!(files(folder.path()), ["lock"]);
}

#[tokio::test]
async fn what_nobody_takes_waits_on_disk_and_comes_first_with_its_old_names() {
    let folder = TempDir::new().unwrap();
    let first = start(&silent(), "first", Some(folder.path())).await;
    first.send(0..3_000, 10).await;
    first.relay.stop(PATIENCE).await.unwrap();
    let second = start(&silent(), "second", Some(folder.path())).await;
    second.send(3_000..4_000, 10).await;
    second.relay.stop(PATIENCE).await.unwrap();

    let (bus, mut reader) = taking().await;
    let third = start(&bus, "third", Some(folder.path())).await;
    third.send(4_000..5_000, 10).await;
    let (numbers, messages) = read(&mut reader, 5_000).await;
    assert_eq!(numbers, (0..5_000).collect::<Vec<_>>(), "in order, each once");
    let mut ids: Vec<(String, u64)> = Vec::new();
    for message in &messages {
        let (instance, sequence) = message.message_id.as_deref().unwrap().rsplit_once('-').unwrap();
        ids.push((instance.to_owned(), sequence.parse().unwrap()));
    }
    for instance in ["first", "second", "third"] {
        let sequences: Vec<u64> = ids.iter().filter(|id| id.0 == instance).map(|id| id.1).collect();
        assert_eq!(sequences, (0..sequences.len() as u64).collect::<Vec<_>>(), "{instance}");
        assert!(sequences.len() > 10, "{instance}");
    }
    third.relay.stop(PATIENCE).await.unwrap();
    assert_eq!(files(folder.path()), ["lock", "position"], "nothing is left");
}

#[tokio::test]
async fn without_a_spool_a_little_is_kept_in_memory_and_the_oldest_is_given_up() {
    let running = start(&silent(), "here", None).await;
    running.send(0..8_000, 1_000).await;
    let running = timeout(PATIENCE, async {
        while !running.metrics().contains("reason=\"memory_full\"") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running
    })
    .await
    .expect("eight megabytes are more than may wait");
    let text = running.metrics();
    assert!(text.contains("kinetic_sidecar_upstream_connected 0\n"), "{text}");
    let Running { relay, intake, metrics } = running;
    relay.stop(PATIENCE).await.unwrap();
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    intake.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let lines: u64 = text
        .lines()
        .filter(|line| line.starts_with("kinetic_sidecar_dropped_lines_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(lines, 8_000, "every line is told, as memory_full or stopped:\n{text}");
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_service_goes_on() {
    let folder = TempDir::new().unwrap();
    let (bus, mut reader) = taking().await;
    let away = silent();
    let running = start(&away, "here", Some(folder.path())).await;
    // A folder where its file should be cannot be written to, as a full disk cannot.
    fs::create_dir(folder.path().join(format!("{:020}.spool", 1))).unwrap();
    running.send(0..100, 10).await;
    timeout(PATIENCE, async {
        while running.metrics().contains("kinetic_sidecar_spool_errors_total 0\n") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the disk's failure is counted");
    fs::remove_dir(folder.path().join(format!("{:020}.spool", 1))).unwrap();
    running.relay.stop(PATIENCE).await.unwrap();
    let again = start(&bus, "again", Some(folder.path())).await;
    let (numbers, _) = read(&mut reader, 100).await;
    assert_eq!(numbers, (0..100).collect::<Vec<_>>(), "what waited in memory got to disk after all");
    again.relay.stop(PATIENCE).await.unwrap();
}
