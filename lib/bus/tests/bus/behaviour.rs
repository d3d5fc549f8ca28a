//! What holds for every bus, in process and on a broker. Each behaviour uses objects of its own names.

use bytes::Bytes;
use kinetic_bus::{
    Binding, Bus, BusError, Declaration, Exchange, ExchangeKind, HeaderValue, Message, Queue, QueueKind,
    Retention, StreamOffset, StreamReader,
};
use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::timeout;

/// Generous: nothing here is a measurement.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// All of them.
pub(crate) async fn all(bus: &Bus) {
    a_stream_is_read_in_order_from_anywhere_and_again(bus).await;
    a_stream_is_read_from_its_end_or_from_a_time(bus).await;
    properties_arrive_as_they_were_sent(bus).await;
    exchanges_route_as_amqp_says(bus).await;
    what_nobody_takes_is_an_error(bus).await;
    what_is_not_acknowledged_comes_again(bus).await;
    no_more_than_the_prefetch_is_in_hand(bus).await;
    a_full_queue_holds_its_publisher_back(bus).await;
    what_is_missing_is_said(bus).await;
    a_refused_message_does_not_take_others_with_it(bus).await;
    a_name_has_one_holder(bus).await;
    crate::own::all(bus).await;
    reading_ends_with_closing(bus).await;
}

pub(crate) fn stream(name: &str) -> Queue {
    let retention = Retention { age: Duration::from_hours(24), bytes: 1 << 30 };
    Queue { name: name.to_owned(), kind: QueueKind::Stream { segment_bytes: 1 << 20, retention } }
}

pub(crate) fn quorum(name: &str, max_length: u64) -> Queue {
    Queue { name: name.to_owned(), kind: QueueKind::Quorum { max_length } }
}

pub(crate) fn exchange(name: &str, kind: ExchangeKind) -> Exchange {
    Exchange { name: name.to_owned(), kind }
}

pub(crate) fn binding(exchange: &str, queue: &str, routing_key: &str) -> Binding {
    Binding { exchange: exchange.to_owned(), queue: queue.to_owned(), routing_key: routing_key.to_owned() }
}

/// A topic exchange and one queue that takes all of it.
pub(crate) fn piped(exchange_name: &str, queue: Queue) -> Declaration {
    Declaration {
        exchanges: vec![exchange(exchange_name, ExchangeKind::Topic)],
        bindings: vec![binding(exchange_name, &queue.name, "#")],
        queues: vec![queue],
    }
}

pub(crate) fn message(routing_key: &str, body: impl Into<Bytes>) -> Message {
    Message { routing_key: routing_key.to_owned(), body: body.into(), ..Message::default() }
}

pub(crate) fn numbered(number: u64) -> Message {
    message("statsd.web.web-1", number.to_string())
}

pub(crate) fn number(message: &Message) -> u64 {
    std::str::from_utf8(&message.body).unwrap().parse().unwrap()
}

pub(crate) async fn next(reader: &mut StreamReader) -> (u64, Message) {
    let delivery = timeout(PATIENCE, reader.next()).await.expect("a message is there").unwrap();
    (delivery.offset, delivery.message)
}

async fn a_stream_is_read_in_order_from_anywhere_and_again(bus: &Bus) {
    let pipe = piped("x.read", stream("s.read"));
    assert_eq!(bus.declare(&pipe).await.unwrap().created_streams, ["s.read"]);
    assert!(bus.declare(&pipe).await.unwrap().created_streams.is_empty());
    let publisher = bus.publisher(100);
    for n in 0..5_000 {
        publisher.send("x.read", numbered(n)).await.unwrap();
    }
    publisher.flush().await.unwrap();

    let mut live = bus.read_stream("s.read", StreamOffset::Next).await.unwrap();
    for from in [StreamOffset::First, StreamOffset::Offset(4_321)] {
        let mut reader = bus.read_stream("s.read", from).await.unwrap();
        let first = if from == StreamOffset::First { 0 } else { 4_321 };
        for n in first..5_000 {
            let (offset, message) = next(&mut reader).await;
            assert_eq!((offset, number(&message)), (n, n));
        }
        assert_eq!(reader.try_next(), None, "the end");
    }
    bus.publish("x.read", numbered(5_000)).await.unwrap();
    let (offset, message) = next(&mut live).await;
    assert_eq!((offset, number(&message)), (5_000, 5_000));
}

/// A broker begins with a chunk: what comes first may lie before what was asked for, and everything asked for comes.
async fn a_stream_is_read_from_its_end_or_from_a_time(bus: &Bus) {
    let last = number(&bus_first(bus, StreamOffset::Last).await);
    assert!((1..=5_000).contains(&last), "{last} is not near the end");
    assert_eq!(number(&bus_first(bus, StreamOffset::Since(0)).await), 0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(number(&bus_first(bus, StreamOffset::Since(now - 3600)).await), 0);
}

async fn bus_first(bus: &Bus, from: StreamOffset) -> Message {
    next(&mut bus.read_stream("s.read", from).await.unwrap()).await.1
}

async fn properties_arrive_as_they_were_sent(bus: &Bus) {
    bus.declare(&piped("x.properties", stream("s.properties"))).await.unwrap();
    let sent = Message {
        routing_key: "statsd.web.web-1".to_owned(),
        headers: vec![
            ("b".to_owned(), HeaderValue::Bool(true)),
            ("f".to_owned(), HeaderValue::Float(0.25)),
            ("i".to_owned(), HeaderValue::Int(-1_700_000_000_123)),
            ("origin".to_owned(), HeaderValue::from("web-1")),
        ],
        content_type: Some("text/x-statsd".to_owned()),
        message_id: Some("sidecar-1/42".to_owned()),
        timestamp: Some(1_700_000_000),
        correlation_id: Some("7".to_owned()),
        reply_to: Some("me".to_owned()),
        body: Bytes::from_static(b"page.time:12|ms"),
    };
    bus.publish("x.properties", sent.clone()).await.unwrap();
    bus.publish("x.properties", message("empty", "")).await.unwrap();
    let mut reader = bus.read_stream("s.properties", StreamOffset::First).await.unwrap();
    assert_eq!(next(&mut reader).await, (0, sent));
    assert_eq!(next(&mut reader).await, (1, message("empty", "")));
}

async fn exchanges_route_as_amqp_says(bus: &Bus) {
    let queues = ["q.topic", "q.direct", "q.fanout"];
    bus.declare(&Declaration {
        exchanges: vec![
            exchange("x.topic", ExchangeKind::Topic),
            exchange("x.direct", ExchangeKind::Direct),
            exchange("x.fanout", ExchangeKind::Fanout),
        ],
        queues: queues.iter().map(|name| quorum(name, 100)).collect(),
        bindings: vec![
            // Two that match the same message: it still comes once.
            binding("x.topic", "q.topic", "statsd.web.#"),
            binding("x.topic", "q.topic", "statsd.*.web-1"),
            binding("x.direct", "q.direct", "a.*"),
            binding("x.fanout", "q.fanout", "whatever"),
            binding("x.fanout", "q.direct", ""),
        ],
    })
    .await
    .unwrap();
    for (exchange, routing_key) in [
        ("x.topic", "statsd.web.web-1"),
        ("x.topic", "statsd.db.web-1"),
        ("x.direct", "a.*"),
        ("x.fanout", "anything"),
        ("", "q.topic"),
    ] {
        bus.publish(exchange, message(routing_key, exchange)).await.unwrap();
    }
    for (queue, expected) in queues.iter().zip([
        vec!["statsd.web.web-1", "statsd.db.web-1", "q.topic"],
        vec!["a.*", "anything"],
        vec!["anything"],
    ]) {
        let mut consumer = bus.consume(queue, 10).await.unwrap();
        let mut keys = Vec::new();
        for _ in &expected {
            let delivery = timeout(PATIENCE, consumer.next()).await.expect("a message is there").unwrap();
            keys.push(delivery.message.routing_key.clone());
            delivery.ack().await;
        }
        assert_eq!(keys, expected, "{queue}");
    }
}

async fn what_nobody_takes_is_an_error(bus: &Bus) {
    bus.declare(&Declaration {
        bindings: vec![binding("x.unroutable", "s.unroutable", "known")],
        ..piped("x.unroutable", stream("s.unroutable"))
    })
    .await
    .unwrap();
    let error = bus.publish("x.unroutable", message("unknown", "lost")).await.unwrap_err();
    assert_eq!(
        error,
        BusError::Unroutable { exchange: "x.unroutable".to_owned(), routing_key: "unknown".to_owned() }
    );
    let publisher = bus.publisher(10);
    for n in 0..30 {
        let key = if n % 3 == 0 { "unknown" } else { "known" };
        publisher.send("x.unroutable", message(key, n.to_string())).await.unwrap();
    }
    publisher.flush().await.unwrap();
    assert_eq!(publisher.unroutable(), 10);
    let mut receipts = Vec::new();
    for n in 30..60 {
        let key = if n % 3 == 0 { "unknown" } else { "known" };
        let body = message(key, n.to_string());
        receipts.push(timeout(PATIENCE, publisher.post("x.unroutable", body)).await.unwrap().unwrap());
        // The window has room for ten: what posts more has to let others go.
        if receipts.len() == 10 {
            for (at, receipt) in receipts.drain(..).enumerate() {
                let told = timeout(PATIENCE, receipt).await.unwrap();
                let taken = !(n - 9 + at as u64).is_multiple_of(3);
                assert_eq!(told.is_ok(), taken, "{told:?}");
            }
        }
    }
    let mut reader = bus.read_stream("s.unroutable", StreamOffset::First).await.unwrap();
    for n in (0..60).filter(|n| n % 3 != 0) {
        assert_eq!(number(&next(&mut reader).await.1), n);
    }
}

async fn what_is_not_acknowledged_comes_again(bus: &Bus) {
    bus.declare(&piped("x.again", quorum("q.again", 100))).await.unwrap();
    for n in 0..3 {
        bus.publish("x.again", numbered(n)).await.unwrap();
    }
    let mut consumer = bus.consume("q.again", 10).await.unwrap();
    let first = timeout(PATIENCE, consumer.next()).await.expect("a message is there").unwrap();
    assert_eq!((number(&first.message), first.redelivered), (0, false));
    drop(first);
    let mut again = Vec::new();
    while again.len() < 3 {
        let delivery = timeout(PATIENCE, consumer.next()).await.expect("a message is there").unwrap();
        if delivery.redelivered {
            assert_eq!(number(&delivery.message), 0);
        }
        again.push((number(&delivery.message), delivery));
    }
    let numbers: BTreeSet<u64> = again.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, BTreeSet::from([0, 1, 2]));

    // One done, one refused for good, one put back; the consumer gone meanwhile.
    drop(consumer);
    for (number, delivery) in again {
        match number {
            0 => delivery.ack().await,
            1 => delivery.reject(false).await,
            _ => delivery.reject(true).await,
        }
    }
    let mut consumer = bus.consume("q.again", 10).await.unwrap();
    let last = timeout(PATIENCE, consumer.next()).await.expect("a message is there").unwrap();
    assert_eq!((number(&last.message), last.redelivered), (2, true));
    last.ack().await;
    bus.publish("x.again", numbered(3)).await.unwrap();
    let next = timeout(PATIENCE, consumer.next()).await.expect("a message is there").unwrap();
    assert_eq!(number(&next.message), 3, "0, 1 and 2 are gone");
    next.ack().await;
}

async fn no_more_than_the_prefetch_is_in_hand(bus: &Bus) {
    bus.declare(&piped("x.prefetch", quorum("q.prefetch", 100))).await.unwrap();
    for n in 0..3 {
        bus.publish("x.prefetch", numbered(n)).await.unwrap();
    }
    let mut busy = bus.consume("q.prefetch", 2).await.unwrap();
    let first = timeout(PATIENCE, busy.next()).await.expect("a message is there").unwrap();
    let second = timeout(PATIENCE, busy.next()).await.expect("a message is there").unwrap();
    let mut idle = bus.consume("q.prefetch", 2).await.unwrap();
    let third = timeout(PATIENCE, idle.next()).await.expect("what the busy one may not take").unwrap();
    assert_eq!([&first, &second, &third].map(|delivery| number(&delivery.message)), [0, 1, 2]);
    for delivery in [first, second, third] {
        delivery.ack().await;
    }
}

async fn a_full_queue_holds_its_publisher_back(bus: &Bus) {
    bus.declare(&piped("x.full", quorum("q.full", 5))).await.unwrap();
    let publisher = bus.publisher(50);
    let sending = {
        let bus = bus.clone();
        tokio::spawn(async move {
            for n in 0..50 {
                publisher.send("x.full", numbered(n)).await.unwrap();
            }
            publisher.flush().await.unwrap();
            bus.publish("x.full", numbered(50)).await.unwrap();
        })
    };
    let mut consumer = bus.consume("q.full", 1).await.unwrap();
    let mut numbers = BTreeSet::new();
    while numbers.len() < 51 {
        let delivery = timeout(PATIENCE, consumer.next()).await.expect("all of them in the end").unwrap();
        numbers.insert(number(&delivery.message));
        delivery.ack().await;
    }
    sending.await.unwrap();
    assert_eq!(numbers, (0..=50).collect());
}

async fn what_is_missing_is_said(bus: &Bus) {
    for error in [
        bus.read_stream("s.missing", StreamOffset::First).await.unwrap_err(),
        bus.consume("s.missing", 1).await.unwrap_err(),
        bus.publish("s.missing", message("a", "b")).await.unwrap_err(),
        bus.declare(&Declaration {
            bindings: vec![binding("x.read", "s.missing", "#")],
            ..Declaration::default()
        })
        .await
        .unwrap_err(),
    ] {
        assert!(matches!(error, BusError::NotFound { .. }), "{error}");
        assert!(error.to_string().contains("s.missing"), "{error}");
    }
    let other_kind =
        Declaration { exchanges: vec![exchange("x.read", ExchangeKind::Fanout)], ..Declaration::default() };
    let error = bus.declare(&other_kind).await.unwrap_err();
    assert!(matches!(error, BusError::PreconditionFailed { .. }), "{error}");
    assert!(error.to_string().contains("PRECONDITION_FAILED - inequivalent arg"), "{error}");
}

async fn a_refused_message_does_not_take_others_with_it(bus: &Bus) {
    bus.declare(&piped("x.refused", stream("s.refused"))).await.unwrap();
    let publisher = bus.publisher(200);
    let mut errors = Vec::new();
    for n in 0..100 {
        let exchange = if n == 50 { "x.gone" } else { "x.refused" };
        errors.extend(publisher.send(exchange, numbered(n)).await.err());
    }
    errors.extend(publisher.flush().await.err());
    assert!(
        matches!(&errors[..], [BusError::NotFound { text, .. }] if text.contains("x.gone")),
        "{errors:?}"
    );
    assert_eq!(publisher.unroutable(), 0);
    // At least once: what was unconfirmed when the channel broke goes out again.
    let mut reader = bus.read_stream("s.refused", StreamOffset::First).await.unwrap();
    let mut numbers = BTreeSet::new();
    while numbers.len() < 99 {
        numbers.insert(number(&next(&mut reader).await.1));
    }
    assert_eq!(numbers, (0..100).filter(|n| *n != 50).collect());
}

async fn a_name_has_one_holder(bus: &Bus) {
    let first = bus.lock("kinetic.lock.web.0").await.unwrap().unwrap();
    assert!(bus.lock("kinetic.lock.web.0").await.unwrap().is_none());
    let other = bus.lock("kinetic.lock.web.1").await.unwrap().unwrap();
    first.release().await;
    let second = bus.lock("kinetic.lock.web.0").await.unwrap().unwrap();
    assert!(bus.lock("kinetic.lock.web.0").await.unwrap().is_none());
    drop(second);
    drop(bus.lock("kinetic.lock.web.0").await.unwrap().unwrap());
    assert!(!other.lost().is_cancelled());
}

async fn reading_ends_with_closing(bus: &Bus) {
    let mut reader = bus.read_stream("s.read", StreamOffset::Next).await.unwrap();
    let mut consumer = bus.consume("q.again", 1).await.unwrap();
    let reading = tokio::spawn(async move { reader.next().await.unwrap_err() });
    let consuming = tokio::spawn(async move { consumer.next().await.unwrap_err() });
    bus.close().await;
    assert_eq!(timeout(PATIENCE, reading).await.expect("it ends").unwrap(), BusError::Closed);
    assert_eq!(timeout(PATIENCE, consuming).await.expect("it ends").unwrap(), BusError::Closed);
    assert_eq!(bus.publish("x.read", numbered(0)).await, Err(BusError::Closed));
    let publisher = bus.publisher(1);
    let _ = publisher.send("x.read", numbered(0)).await;
    assert_eq!(publisher.flush().await, Err(BusError::Closed), "nothing is confirmed any more");
    assert!(matches!(bus.read_stream("s.read", StreamOffset::First).await, Err(BusError::Closed)));
}
