//! What a stranger, or a broken client, may send: memory stays within bounds, a counter and one log line name the cause, service goes on.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod victim;

use std::{
    fmt::Write as _,
    io::Write,
    net::{TcpStream, UdpSocket},
    thread::sleep,
    time::Duration,
};

use kinetic_bus::{AmqpConfig, Bus, HeaderValue, Message};
use kinetic_tests::{
    process::{eventually, kinetic},
    rabbitmq::RabbitMq,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::victim::Victim;

/// Ten million, as lines: what a client sends that puts an id into a metric's name.
const SERIES: u32 = 10_000_000;

#[test]
fn garbage_on_every_port() {
    let victim = Victim::start(&[]);
    let mut random = StdRng::seed_from_u64(1);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for port in [victim.statsd, victim.collectd] {
        for _ in 0..2_000 {
            let length = random.random_range(1..1_400);
            let packet: Vec<u8> = (0..length).map(|_| random.random()).collect();
            socket.send_to(&packet, ("127.0.0.1", port)).unwrap();
        }
    }
    let mut tcp = TcpStream::connect(("127.0.0.1", victim.statsd)).unwrap();
    let bytes: Vec<u8> = (0..1_000_000).map(|_| random.random()).collect();
    tcp.write_all(&bytes).unwrap();
    drop(tcp);
    eventually("bad lines to be counted", || victim.dropped("bad_line") > 0.0);
    victim.says("a line was not understood");
    victim.serves();
}

#[test]
fn a_line_of_a_hundred_megabytes() {
    let victim = Victim::start(&[]);
    let mut tcp = TcpStream::connect(("127.0.0.1", victim.statsd)).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        tcp.write_all(&chunk).unwrap();
    }
    tcp.write_all(b":1|c\nhost.load:7|g|#host:web-2\n").unwrap();
    eventually("the line to be counted", || victim.metric("kinetic_intake_oversized_lines_total") >= 1.0);
    victim.serves();
    victim.stayed_below(200);
}

#[test]
fn ten_million_series() {
    let victim = Victim::start(&[]);
    victim.serves();
    let mut tcp = TcpStream::connect(("127.0.0.1", victim.statsd)).unwrap();
    let mut lines = String::new();
    for n in 0..SERIES {
        writeln!(lines, "user.{n}.clicks:1|c").unwrap();
        if lines.len() > 1 << 16 {
            tcp.write_all(lines.as_bytes()).unwrap();
            lines.clear();
        }
    }
    tcp.write_all(lines.as_bytes()).unwrap();
    drop(tcp);
    eventually("all to be read", || victim.metric("kinetic_analyzer_samples_total") >= f64::from(SERIES));
    assert!(victim.dropped("series_limit") >= f64::from(SERIES - 20_000));
    assert!(victim.metric("kinetic_analyzer_series") <= 20_000.0);
    victim.says("limits.series");
    victim.stayed_below(400);
    // New series find no room; those that were there before are looked at as ever.
    victim.recovers_and_serves();
}

#[test]
fn clocks_ten_years_off_and_numbers_that_are_none() {
    let victim = Victim::start(&[]);
    victim.serves();
    let now = jiff::Timestamp::now().as_second();
    let ten_years = 10 * 365 * 86_400;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |line: &str| {
        socket.send_to(line.as_bytes(), ("127.0.0.1", victim.statsd)).unwrap();
    };
    send(&format!("host.load:7|g|#host:web-9|T{}", now + ten_years));
    send(&format!("host.load:7|g|#host:web-9|T{}", now - ten_years));
    for number in ["NaN", "inf", "-inf", "Infinity", "1e999", "-1e999"] {
        send(&format!("host.load:{number}|g|#host:web-9"));
    }
    eventually("a clock ahead to be counted", || victim.dropped("future") >= 1.0);
    eventually("a clock behind to be counted", || victim.dropped("late") >= 1.0);
    eventually("numbers that are none to be counted", || victim.dropped("bad_line") >= 6.0);
    victim.says("clock is wrong");
    victim.recovers_and_serves();
}

#[test]
fn garbage_in_every_queue() {
    let broker = RabbitMq::start();
    let url = broker.amqp_url("");
    let url = url.trim_end_matches('/');
    let victim = Victim::start(&["--amqp", url, "--amqp-admin", &broker.admin_url()]);
    let types = [
        "text/x-statsd",
        "text/collectd",
        "application/json",
        "text/graphite",
        "application/x-collectd",
        "application/octet-stream",
        "",
    ];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let bus = Bus::amqp(AmqpConfig::new(url, victim::VHOST).unwrap());
        let mut random = StdRng::seed_from_u64(2);
        for n in 0..700 {
            let length = if n % 100 == 99 { 4_000_000 } else { random.random_range(0..4_000) };
            let routing_key = ["statsd.web.x", "collectd.web.x"][n % 2].to_owned();
            let message = Message {
                routing_key,
                content_type: Some(types[n % types.len()].to_owned()),
                headers: vec![
                    ("origin".to_owned(), HeaderValue::Text("\u{202e}x".repeat(n))),
                    // Not NaN: Erlang has none, and RabbitMQ closes the connection that sends it.
                    ("timestamp_in_ms".to_owned(), HeaderValue::Float(1e300)),
                ],
                body: (0..length).map(|_| random.random()).collect::<Vec<u8>>().into(),
                ..Message::default()
            };
            bus.publish("kinetic.metrics", message).await.unwrap();
        }
        let huge = Message {
            routing_key: "statsd.web.x".to_owned(),
            body: vec![b'x'; 100 << 20].into(),
            ..Message::default()
        };
        bus.publish("kinetic.metrics", huge).await.unwrap();
        // What only our own parts publish, published by a stranger who has got in.
        for (exchange, key) in [
            ("kinetic.anomalies", "web.loaded"),
            ("kinetic.control", "web.0"),
            ("kinetic.metrics", "tick.web.hosts"),
        ] {
            for body in [b"{\"id\":".as_slice(), b"\xff\xfe", b"[[[[[[[[[[", b""] {
                let message =
                    Message { routing_key: key.to_owned(), body: body.to_vec().into(), ..Message::default() };
                bus.publish(exchange, message).await.unwrap();
            }
        }
        bus.close().await;
    });
    eventually("bad lines to be counted", || victim.dropped("bad_line") > 0.0);
    victim.says("a line was not understood");
    victim.serves();
    // The message of 100 MB itself, and as much again on its way.
    victim.stayed_below(600);
}

#[test]
fn a_yaml_bomb() {
    let folder = tempfile::tempdir().unwrap();
    let mut bomb = String::from(
        "apiVersion: kinetic.dev/v1alpha1\nkind: Customer\nmetadata: {name: shop}\nspec:\n  x0: &x0 [lol]\n",
    );
    for n in 1..12 {
        let before = format!("*x{}", n - 1);
        writeln!(bomb, "  x{n}: &x{n} [{}]", vec![before; 10].join(", ")).unwrap();
    }
    let file = folder.path().join("bomb.yaml");
    std::fs::write(&file, &bomb).unwrap();
    let refused = kinetic(["validate".as_ref(), file.as_os_str()]);
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("bomb.yaml") || refused.stdout.contains("bomb.yaml"), "{refused:?}");

    // As an edit under a running process: refused, and what ran runs on.
    let victim = Victim::start(&[]);
    victim.serves();
    victim.add_file("bomb.yaml", &bomb);
    victim.says("bomb.yaml");
    sleep(Duration::from_secs(1));
    victim.recovers_and_serves();
    victim.stayed_below(200);
}
