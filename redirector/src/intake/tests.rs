//! The intake on real sockets, over the bus in this process.

use std::{collections::HashSet, fmt::Write as _, time::Duration};

use kinetic_bus::{Bus, HeaderValue, Message, StreamReader};
use prometheus_client::registry::Registry;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::local_stream::bus;

const PATIENCE: Duration = Duration::from_secs(20);

fn start(bus: &Bus) -> (StatsdIntake, IntakeMetrics) {
    let metrics = IntakeMetrics::default();
    let target = IntakeTarget { bus: bus.clone(), profile: "web".into(), instance: "here".into() };
    (StatsdIntake::start(target, metrics.clone(), &CancellationToken::new()), metrics)
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn next(reader: &mut StreamReader) -> Message {
    timeout(PATIENCE, reader.next()).await.expect("a message in time").unwrap().message
}

/// Reads messages until they hold so many lines.
async fn lines(reader: &mut StreamReader, count: usize) -> (Vec<String>, Vec<Message>) {
    let (mut lines, mut messages) = (Vec::new(), Vec::new());
    while lines.len() < count {
        let message = next(reader).await;
        let body = std::str::from_utf8(&message.body).unwrap();
        lines.extend(body.split('\n').map(str::to_owned));
        messages.push(message);
    }
    (lines, messages)
}

#[tokio::test]
async fn datagrams_become_one_stamped_message() {
    let (bus, mut reader) = bus("statsd.web.#").await;
    let (intake, metrics) = start(&bus);
    let addr = intake.listen_udp(any_port()).unwrap();
    let before = now_ms();
    let socket = UdpSocket::bind(any_port()).await.unwrap();
    socket.send_to(b"a:1|c\nb:2|ms|#host:web-1", addr).await.unwrap();
    socket.send_to(b"c:3|g\n", addr).await.unwrap();

    let (lines, messages) = lines(&mut reader, 3).await;
    assert_eq!(lines, ["a:1|c", "b:2|ms|#host:web-1", "c:3|g"]);
    let message = &messages[0];
    assert_eq!(message.routing_key, "statsd.web.127.0.0.1");
    assert_eq!(message.content_type.as_deref(), Some("text/x-statsd"));
    assert_eq!(message.message_id.as_deref(), Some("here-0"));
    assert_eq!(message.header("origin"), Some(&HeaderValue::Text("127.0.0.1".into())));
    let Some(&HeaderValue::Int(stamp)) = message.header("timestamp_in_ms") else {
        panic!("no stamp in {message:?}")
    };
    assert!((before..=now_ms()).contains(&stamp));

    intake.stop(PATIENCE).await.unwrap();
    assert_eq!(metrics.packets.get(), 2);
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("kinetic_intake_packets_total 2\n"), "{text}");
    assert!(text.contains("kinetic_intake_bytes_total{transport=\"udp\"} 30\n"), "{text}");
}

#[tokio::test]
async fn a_unix_socket_takes_datagrams() {
    let (bus, mut reader) = bus("statsd.web.#").await;
    let (intake, metrics) = start(&bus);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statsd.socket");
    intake.listen_unix(&path).unwrap();
    let socket = tokio::net::UnixDatagram::unbound().unwrap();
    let mut sent = Vec::new();
    for n in 0..3_000 {
        sent.push(format!("page.hits:{n}|c"));
        socket.send_to(sent[n].as_bytes(), &path).await.unwrap();
    }
    let (lines, messages) = lines(&mut reader, sent.len()).await;
    assert_eq!(lines, sent, "a socket that waits loses nothing");
    assert_eq!(messages[0].routing_key, "statsd.web.unix");
    intake.stop(PATIENCE).await.unwrap();
    assert_eq!(metrics.packets.get(), 3_000);
    assert!(!path.exists(), "the socket's file goes with the intake");
}

#[tokio::test]
async fn a_unix_stream_takes_packets_behind_their_lengths() {
    let (bus, mut reader) = bus("statsd.web.#").await;
    let (intake, metrics) = start(&bus);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream.socket");
    intake.listen_unix_stream(&path).unwrap();
    // As DataDog's clients do: several lines a packet, and written in whatever pieces the socket takes.
    let (mut sent, mut bytes) = (Vec::new(), Vec::new());
    for n in 0..1_000 {
        let packet = format!("page.hits:{n}|c\npage.time:{n}|ms|#env:prod\n");
        bytes.extend(u32::try_from(packet.len()).unwrap().to_le_bytes());
        bytes.extend(packet.as_bytes());
        sent.extend(packet.lines().map(str::to_owned));
    }
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    for piece in bytes.chunks(777) {
        stream.write_all(piece).await.unwrap();
    }
    let (taken, messages) = lines(&mut reader, sent.len()).await;
    assert_eq!(taken, sent);
    assert_eq!(messages[0].routing_key, "statsd.web.unix");

    // What means something else costs its connection, nothing before it, and nobody else's.
    let mut wrong = tokio::net::UnixStream::connect(&path).await.unwrap();
    wrong.write_all(b"\x05\0\0\0a:1|cpage.hits:1|c\n").await.unwrap();
    let mut end = Vec::new();
    let _ = timeout(PATIENCE, wrong.read_to_end(&mut end)).await.unwrap();
    stream.write_all(b"\x05\0\0\0b:1|c").await.unwrap();
    let (mut taken, _) = lines(&mut reader, 2).await;
    taken.sort();
    assert_eq!(taken, ["a:1|c", "b:1|c"]);
    stream.write_all(b"\x05\0\0\0c:").await.unwrap();
    drop(stream);
    timeout(PATIENCE, async {
        while metrics.broken_streams.get() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    intake.stop(PATIENCE).await.unwrap();
    assert!(!path.exists(), "the socket's file goes with the intake");
}

#[tokio::test]
async fn stopping_hands_over_what_was_taken() {
    let (bus, mut reader) = bus("statsd.#").await;
    let (intake, metrics) = start(&bus);
    let udp = intake.listen_udp(any_port()).unwrap();
    let tcp = intake.listen_tcp(any_port()).await.unwrap();
    let socket = UdpSocket::bind(any_port()).await.unwrap();
    let mut stream = TcpStream::connect(tcp).await.unwrap();
    socket.send_to(b"u:1|c", udp).await.unwrap();
    stream.write_all(b"t:1|c\n").await.unwrap();
    let taken = || metrics.packets.get() == 1 && metrics.bytes(metrics::Transport::Tcp).get() == 6;
    timeout(PATIENCE, async {
        while !taken() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    intake.stop(PATIENCE).await.unwrap();
    let (mut lines, _) = lines(&mut reader, 2).await;
    lines.sort();
    assert_eq!(lines, ["t:1|c", "u:1|c"]);
    let closed = timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
}

#[tokio::test]
async fn one_bad_tcp_client_never_hurts_another() {
    let (bus, mut reader) = bus("statsd.#").await;
    let (intake, metrics) = start(&bus);
    let addr = intake.listen_tcp(any_port()).await.unwrap();
    // A line without end, then silence; and one that stops in the middle of a line.
    let mut endless = TcpStream::connect(addr).await.unwrap();
    endless.write_all(&vec![b'x'; 100_000]).await.unwrap();
    let mut broken = TcpStream::connect(addr).await.unwrap();
    broken.write_all(b"whole:1|c\nhalf:1").await.unwrap();
    drop(broken);
    let mut good = TcpStream::connect(addr).await.unwrap();
    for n in 0..1000 {
        good.write_all(format!("good:{n}|c\r\n").as_bytes()).await.unwrap();
    }
    drop(good);
    let (lines, messages) = lines(&mut reader, 1002).await;
    let good: Vec<_> = lines.iter().filter(|line| line.starts_with("good")).collect();
    assert_eq!(good.len(), 1000);
    assert_eq!((lines.len(), lines.contains(&"half:1".to_owned())), (1002, true));
    let ids: HashSet<_> = messages.iter().map(|message| message.message_id.clone()).collect();
    assert_eq!(ids.len(), messages.len());
    intake.stop(PATIENCE).await.unwrap();
    assert_eq!(metrics.oversized_lines.get(), 1);
    assert_eq!(metrics.connections.get(), 0);
}

#[tokio::test]
async fn an_input_is_read_to_its_end_and_confirmed() {
    let (bus, mut reader) = bus("statsd.#").await;
    let (intake, _) = start(&bus);
    let mut text = String::new();
    for n in 0..50_000 {
        writeln!(text, "page.checkout.time:{n}|ms|#host:web-1").unwrap();
    }
    timeout(PATIENCE, intake.read(text.as_bytes())).await.unwrap().unwrap();
    let mut body = String::new();
    while let Some(delivery) = reader.try_next() {
        assert!(delivery.message.body.len() <= batch::MAX_BYTES);
        body.push_str(std::str::from_utf8(&delivery.message.body).unwrap());
        body.push('\n');
    }
    assert_eq!(body, text, "all of it is on the bus when reading returns");
    intake.stop(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn an_input_waits_for_a_slow_bus() {
    let (bus, mut reader) = bus("statsd.#").await;
    let (intake, _) = start(&bus);
    // More than the stream lets its slowest reader lag behind, and the hand-over holds: 8 MiB each.
    let line = format!("x:1|c|#{}\n", "t".repeat(4000));
    let size = 40 * 1024 * 1024 / line.len();
    let text = line.repeat(size);
    let mut reading = Box::pin(intake.read(text.as_bytes()));
    let early = timeout(Duration::from_millis(500), &mut reading).await;
    assert!(early.is_err(), "nobody read the stream, so the input must have been held back");
    let mut seen = 0;
    let drain = async {
        while seen < size {
            let delivery = reader.next().await.unwrap();
            seen += delivery.message.body.split(|byte| *byte == b'\n').count();
        }
    };
    let (read, ()) = timeout(PATIENCE, async { tokio::join!(reading, drain) }).await.unwrap();
    read.unwrap();
    assert_eq!(seen, size);
}

#[tokio::test]
async fn messages_that_no_source_takes_are_counted() {
    let (bus, _reader) = bus("statsd.other.#").await;
    let (intake, metrics) = start(&bus);
    intake.read(&b"a:1|c"[..]).await.unwrap();
    assert_eq!(metrics.unroutable_messages.get(), 1);
    intake.stop(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_bus_that_refuses_is_told() {
    // No exchange was declared.
    let (intake, metrics) = start(&Bus::local());
    let error = intake.read(&b"a:1|c"[..]).await.unwrap_err();
    assert!(error.to_string().contains("no exchange 'kinetic.metrics'"), "{error}");
    assert_eq!(metrics.refused_messages.get(), 1);
    intake.stop(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn an_address_in_use_names_the_flag() {
    let (bus, _reader) = bus("statsd.#").await;
    let (intake, _) = start(&bus);
    let udp = intake.listen_udp(any_port()).unwrap();
    let error = intake.listen_udp(udp).unwrap_err().to_string();
    assert!(
        error.contains(&format!("UDP {udp}")) && error.ends_with("choose another address by --statsd"),
        "{error}"
    );
    let tcp = intake.listen_tcp(any_port()).await.unwrap();
    let error = intake.listen_tcp(tcp).await.unwrap_err().to_string();
    assert!(error.ends_with("choose another address by --statsd-tcp"), "{error}");
    intake.stop(PATIENCE).await.unwrap();
}
