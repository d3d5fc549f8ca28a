//! The intake on a real socket, over the bus in this process.

use std::{fs, net::SocketAddr, time::Duration};

use kinetic_api::names;
use kinetic_bus::{HeaderValue, Message, StreamReader};
use prometheus_client::registry::Registry;
use tokio::{net::UdpSocket, time::timeout};

use super::*;
use crate::local_stream;

const PATIENCE: Duration = Duration::from_secs(20);
const PLAIN: &[u8] = include_bytes!("testdata/values-plain.bin");
const SIGNED: &[u8] = include_bytes!("testdata/values-signed.bin");
const ENCRYPTED: &[u8] = include_bytes!("testdata/values-encrypted.bin");

/// An intake, its counters, where it listens, a socket to send from, and what it puts on the bus.
struct Rig {
    intake: CollectdIntake,
    metrics: IntakeMetrics,
    addr: SocketAddr,
    socket: UdpSocket,
    reader: StreamReader,
}

impl Rig {
    async fn new(guard: Guard) -> Self {
        let (bus, reader) = local_stream::bus("collectd.web.#").await;
        let metrics = IntakeMetrics::default();
        let target = IntakeTarget { bus, profile: "web".into(), instance: "here".into() };
        let intake = CollectdIntake::start(target, metrics.clone(), &CancellationToken::new());
        let addr = intake.listen(SocketAddr::from(([127, 0, 0, 1], 0)), guard).unwrap();
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        Self { intake, metrics, addr, socket, reader }
    }

    async fn send(&self, packet: &[u8]) {
        self.socket.send_to(packet, self.addr).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        timeout(PATIENCE, self.reader.next()).await.expect("a message in time").unwrap().message
    }

    /// Waits until so many packets were refused for this reason.
    async fn refused(&self, reason: metrics::Refusal, count: u64) {
        let looking = async {
            while self.metrics.collectd.refused(reason).get() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, looking).await.expect("a refusal in time");
    }
}

#[tokio::test]
async fn a_packet_is_a_stamped_message() {
    let mut rig = Rig::new(Guard::open()).await;
    let before = crate::intake::now_ms();
    rig.send(PLAIN).await;
    // Without a host of its own, a packet is its sender's.
    rig.send(&[0, 8, 0, 4]).await;
    let message = rig.next().await;
    assert_eq!(message.routing_key, "collectd.web.web-1");
    assert_eq!(message.content_type.as_deref(), Some(names::COLLECTD_NETWORK_CONTENT_TYPE));
    assert_eq!(message.message_id.as_deref(), Some("here-0"));
    assert_eq!(message.header("origin"), Some(&HeaderValue::Text("web-1".into())));
    let Some(&HeaderValue::Int(stamp)) = message.header("timestamp_in_ms") else {
        panic!("no stamp in {message:?}")
    };
    assert!((before..=crate::intake::now_ms()).contains(&stamp));
    assert_eq!(&message.body[..], PLAIN);
    let next = rig.next().await;
    assert_eq!(
        (next.routing_key.as_str(), next.message_id.as_deref()),
        ("collectd.web.127.0.0.1", Some("here-1"))
    );
    rig.intake.stop(PATIENCE).await.unwrap();
    let mut registry = Registry::default();
    rig.metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "kinetic_intake_collectd_packets_total 2\n",
        "kinetic_intake_collectd_bytes_total 319\n",
        "kinetic_intake_messages_total 2\n",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[tokio::test]
async fn who_must_sign_is_let_in_signed_and_a_new_password_counts_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users");
    fs::write(&file, "web-1: s3cret\n").unwrap();
    let mut rig = Rig::new(Guard::new(Security::Sign, AuthFile::open(&file).unwrap())).await;
    rig.send(PLAIN).await;
    rig.refused(metrics::Refusal::Unsigned, 1).await;
    for packet in [SIGNED, ENCRYPTED] {
        rig.send(packet).await;
        assert_eq!(&rig.next().await.body[..], PLAIN, "what was inside, without the proof");
    }
    fs::write(&file, "web-1: another\n").unwrap();
    let turned_away = async {
        while rig.metrics.collectd.refused(metrics::Refusal::BadSignature).get() == 0 {
            rig.send(SIGNED).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, turned_away).await.expect("the new password in time");
    rig.intake.stop(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn an_address_in_use_names_the_flag() {
    let rig = Rig::new(Guard::open()).await;
    let error = rig.intake.listen(rig.addr, Guard::open()).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot listen for collectd on UDP")
            && error.ends_with("choose another address by --collectd"),
        "{error}"
    );
    rig.intake.stop(PATIENCE).await.unwrap();
}
