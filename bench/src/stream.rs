//! How fast a RabbitMQ stream is analysed, beside a client that only receives it.

use std::{collections::HashMap, time::Instant};

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use kinetic_analyzer::{
    engine::{Engine, EngineLimits, Input},
    service,
};
use kinetic_api::{
    names,
    plan::{AnalyticKind, TopologyPlan},
    resources::topology::{AnalyticState, Cluster, Stddev},
    statistic::Statistic,
};
use kinetic_bus::{AmqpConfig, Bus, HeaderValue, Message, StreamOffset};
use kinetic_tests::rabbitmq::RabbitMq;
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::{runtime::Runtime, task};

use crate::{
    median::median,
    plan::{INTERVAL_MS, plan},
    table::Row,
    traffic::Traffic,
};

const ROUNDS: usize = 5;
/// About 200,000 messages.
const SAMPLES: usize = 3_000_000;
const MESSAGE: usize = 1_000;
/// Each is sent by every host.
const SERIES: usize = 1_250;
const HOSTS: usize = 8;
const START_MS: i64 = 1_656_581_400_000;
/// Twice a baseline's warm-up: half of them are judged by it.
const WINDOWS: usize = 60;
/// Messages on the wire before the first is confirmed.
const UNCONFIRMED: usize = 1_000;
/// As `kinetic_bus` reads a stream: so many deliveries ahead, acknowledged by halves.
const PREFETCH: u16 = 1_000;

/// Starts a broker, fills a stream, and reads it in turns: received and acknowledged, then received and analysed.
pub fn row() -> anyhow::Result<Row> {
    let broker = RabbitMq::start();
    let runtime = Runtime::new().context("a tokio runtime")?;
    // On a worker, as an analyzer's sources are.
    runtime.block_on(runtime.spawn(turns(broker.amqp_url("/")))).context("reading in turns")?
}

async fn turns(url: String) -> anyhow::Result<Row> {
    let plan = analytics();
    let bus = Bus::amqp(AmqpConfig::new(&url, "/")?);
    let peer = Connection::connect(&url, ConnectionProperties::default()).await?;
    let traffic = Traffic::new(SERIES, SAMPLES, MESSAGE);
    let messages = traffic.messages.len();
    fill(&bus, &plan, traffic).await?;
    let samples = samples(&bus, &plan, messages).await?;
    let (mut received, mut analysed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        received.push(messages as f64 / receive(&peer, &plan.sources[0].stream, messages).await?);
        analysed.push(messages as f64 / analyse(&bus, &plan, messages, samples).await?);
    }
    bus.close().await;
    peer.close(200, "OK".into()).await?;
    let (received, analysed) = (median(received), median(analysed));
    Ok(Row {
        what: format!("stream of 1 kB messages analysed, median of {ROUNDS}"),
        ours: format!(
            "{:.0} k messages/s, {:.2} M samples/s",
            analysed / 1e3,
            analysed / 1e6 * samples as f64 / messages as f64
        ),
        beside: format!("lapin, receives and acks: {:.0} k messages/s", received / 1e3),
        ratio: analysed / received,
    })
}

/// Publishes the traffic as statsd of several hosts, which all send the same metrics.
async fn fill(bus: &Bus, plan: &TopologyPlan, traffic: Traffic) -> anyhow::Result<()> {
    bus.declare(&service::declaration(plan)).await?;
    let publisher = bus.publisher(UNCONFIRMED);
    let messages = traffic.messages.len();
    for (n, (_, body)) in traffic.messages.into_iter().enumerate() {
        let origin = format!("web-{}", n % HOSTS);
        let passed_ms = i64::try_from(n * WINDOWS / messages).expect("a number of windows") * INTERVAL_MS;
        let message = Message {
            routing_key: names::metrics("statsd", "web", &origin),
            headers: vec![
                (names::ORIGIN_HEADER.into(), HeaderValue::Text(origin)),
                (names::TIMESTAMP_HEADER.into(), HeaderValue::Int(START_MS + passed_ms)),
            ],
            content_type: Some(names::STATSD_CONTENT_TYPE.into()),
            body: body.into(),
            ..Message::default()
        };
        publisher.send(names::METRICS_EXCHANGE, message).await?;
    }
    publisher.flush().await?;
    ensure!(publisher.unroutable() == 0, "the stream is not bound");
    Ok(())
}

/// How many samples these messages hold. Where the connection broke, some of them were published twice.
async fn samples(bus: &Bus, plan: &TopologyPlan, messages: usize) -> anyhow::Result<u64> {
    let mut reader = bus.read_stream(&plan.sources[0].stream, StreamOffset::First).await?;
    let mut samples = 0;
    for _ in 0..messages {
        samples += memchr::memchr_iter(b'\n', &reader.next().await?.message.body).count() as u64;
    }
    Ok(samples)
}

/// Seconds for a client that does nothing with what it gets.
async fn receive(connection: &Connection, stream: &str, messages: usize) -> anyhow::Result<f64> {
    let start = Instant::now();
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let mut from = FieldTable::default();
    from.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
    let mut consumer =
        channel.basic_consume(stream.into(), "".into(), BasicConsumeOptions::default(), from).await?;
    for n in 1..=messages {
        let delivery = consumer.next().await.context("the consumer ended")??;
        if n % usize::from(PREFETCH / 2) == 0 {
            channel.basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: true }).await?;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    channel.close(200, "OK".into()).await?;
    Ok(seconds)
}

/// Seconds for an analyzer's source: it takes what is there at a stretch, then lets others have their turn.
async fn analyse(bus: &Bus, plan: &TopologyPlan, messages: usize, samples: u64) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut reader = bus.read_stream(&plan.sources[0].stream, StreamOffset::First).await?;
    let mut engine = Engine::new(plan, 0, EngineLimits { max_series: 100_000 }, HashMap::new());
    let mut found = Vec::new();
    let mut read = 0;
    while read < messages {
        let mut delivery = Some(reader.next().await?);
        while let Some(next) = delivery {
            engine.message(&input(&next.message), &mut found);
            read += 1;
            delivery = reader.try_next();
        }
        task::yield_now().await;
    }
    engine.finish(&mut found);
    let seconds = start.elapsed().as_secs_f64();
    let counters = engine.counters();
    assert_eq!((counters.samples, counters.windows), (samples, WINDOWS as u64), "{counters:?}");
    assert_eq!(counters.series, (SERIES * HOSTS) as u64, "{counters:?}");
    assert!(engine.analytics().iter().all(|a| a.state == AnalyticState::Active), "{:?}", engine.analytics());
    // Publishing them is the service's part, and costs nothing while they are few.
    assert!(found.len() * 1_000 < messages, "{} findings", found.len());
    Ok(seconds)
}

/// A message as the analyzer's service gives it to its engine.
fn input(message: &Message) -> Input<'_> {
    Input {
        body: &message.body,
        routing_key: &message.routing_key,
        content_type: message.content_type.as_deref(),
        origin: message.header(names::ORIGIN_HEADER).and_then(HeaderValue::as_str),
        timestamp_in_ms: message.header(names::TIMESTAMP_HEADER).and_then(HeaderValue::as_i64),
        timestamp: message.timestamp,
    }
}

/// Every series among its peers, and every timer's percentile against its own past.
fn analytics() -> TopologyPlan {
    plan(vec![
        ("odd-host", "**", Statistic::Mean, AnalyticKind::Cluster(Cluster::default())),
        ("odd-latency", "**.time", Statistic::P95, AnalyticKind::Stddev(Stddev::default())),
    ])
}
