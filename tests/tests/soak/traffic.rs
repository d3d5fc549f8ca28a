//! Eight hosts that send statsd over AMQP with confirms, through every outage of the broker, until told to get well and stop.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use jiff::Timestamp;
use kinetic_bus::{AmqpConfig, Bus, HeaderValue, Message, Publisher};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::schedule::Ill;

const HOSTS: usize = 8;
const EVERY: Duration = Duration::from_millis(250);
/// Unconfirmed at most: an outage of a minute.
const WINDOW: usize = 4_000;

pub struct Traffic {
    well: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
}

impl Traffic {
    /// Sends from now on.
    pub fn start(seed: u64, url: &str, vhost: &str) -> Self {
        let (well, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let config = AmqpConfig::new(url, vhost).unwrap().with_connection_name("soak traffic");
        let sender = thread::spawn({
            let (well, stop) = (Arc::clone(&well), Arc::clone(&stop));
            move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(send(seed, config, &well, &stop))
            }
        });
        Self { well, stop, sender }
    }

    /// From now on nothing is wrong with any host.
    pub fn get_well(&self) {
        self.well.store(true, Ordering::Relaxed);
    }

    /// Stops when everything is confirmed; says how many samples there were.
    pub fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.sender.join().unwrap()
    }
}

async fn send(seed: u64, config: AmqpConfig, well: &AtomicBool, stop: &AtomicBool) -> u64 {
    let bus = Bus::amqp(config);
    let publisher = bus.publisher(WINDOW);
    let mut random = StdRng::seed_from_u64(seed);
    let mut timer = tokio::time::interval(EVERY);
    let start_ms = Timestamp::now().as_millisecond();
    let (mut sequence, mut samples) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        timer.tick().await;
        let now_ms = Timestamp::now().as_millisecond();
        for host in 0..HOSTS {
            let second = now_ms.saturating_sub(start_ms).unsigned_abs() / 1000;
            let ill = Ill::of(seed, host, second).filter(|_| !well.load(Ordering::Relaxed));
            sequence += 1;
            samples += publish(&publisher, host, ill, now_ms, sequence, &mut random).await;
        }
    }
    publisher.flush().await.unwrap();
    bus.close().await;
    samples
}

async fn publish(
    publisher: &Publisher,
    host: usize,
    ill: Option<Ill>,
    now_ms: i64,
    sequence: u64,
    random: &mut StdRng,
) -> u64 {
    let origin = format!("web-{host}");
    let mut near = |centre: f64| centre * random.random_range(0.95..1.05);
    let mut body = String::new();
    for _ in 0..5 {
        let time = near(if ill == Some(Ill::Slow) { 900.0 } else { 100.0 });
        writeln!(body, "page.time:{time:.3}|ms").unwrap();
    }
    let queue = near(if ill == Some(Ill::Queued) { 500.0 } else { 20.0 });
    let load = near(if ill == Some(Ill::Loaded) { 150.0 } else { 50.0 });
    writeln!(body, "host.queue:{queue:.3}|g\nhost.load:{load:.3}|g").unwrap();
    if ill != Some(Ill::Silent) {
        body += "host.beat:1|c\n";
    }
    let samples = body.lines().count() as u64;
    let message = Message {
        routing_key: format!("statsd.web.{origin}"),
        headers: vec![
            ("origin".to_owned(), HeaderValue::Text(origin)),
            ("timestamp_in_ms".to_owned(), HeaderValue::Int(now_ms)),
        ],
        content_type: Some("text/x-statsd".to_owned()),
        message_id: Some(format!("soak-{sequence}")),
        body: body.into(),
        ..Message::default()
    };
    publisher.send("kinetic.metrics", message).await.unwrap();
    samples
}
