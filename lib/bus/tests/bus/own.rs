//! Queues of a consumer's own: what is asked and answered goes over them.

use crate::behaviour::{PATIENCE, exchange, message};
use kinetic_bus::{Bus, BusError, Declaration, ExchangeKind, Message, OwnQueue, QueueConsumer};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// All that holds in process and on a broker.
pub(crate) async fn all(bus: &Bus) {
    bus.declare(&Declaration {
        exchanges: vec![
            exchange("own.topic", ExchangeKind::Topic),
            exchange("own.direct", ExchangeKind::Direct),
            exchange("own.fanout", ExchangeKind::Fanout),
        ],
        ..Declaration::default()
    })
    .await
    .unwrap();
    it_takes_what_it_is_bound_for_and_goes_with_its_consumer(bus).await;
    a_name_is_held_by_one(bus).await;
    of_too_many_the_oldest_go(bus).await;
    an_exchange_must_be_there(bus).await;
}

pub(crate) fn own(name: Option<&str>, bindings: &[(&str, &str)]) -> OwnQueue {
    let bindings =
        bindings.iter().map(|(exchange, key)| ((*exchange).to_owned(), (*key).to_owned())).collect();
    OwnQueue { name: name.map(str::to_owned), bindings, max_length: 3 }
}

/// The next message, acknowledged.
pub(crate) async fn take(consumer: &mut QueueConsumer) -> Message {
    let delivery = timeout(PATIENCE, consumer.next()).await.expect("a message is there").unwrap();
    let message = delivery.message.clone();
    delivery.ack().await;
    message
}

/// Publishes until nobody takes it.
pub(crate) async fn until_nobody_takes(bus: &Bus, exchange: &str, key: &str) {
    let gone = async {
        while bus.publish(exchange, message(key, "?")).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the queue goes");
}

async fn it_takes_what_it_is_bound_for_and_goes_with_its_consumer(bus: &Bus) {
    let wanted =
        own(None, &[("own.topic", "web.0"), ("own.topic", "all"), ("own.direct", "me"), ("own.fanout", "")]);
    let mut mine = bus.consume_own(&wanted, 1).await.unwrap();
    let mut other = bus.consume_own(&own(None, &[("own.topic", "all")]), 1).await.unwrap();
    bus.publish("own.topic", message("web.0", "one")).await.unwrap();
    assert_eq!(take(&mut mine).await.body, "one");
    bus.publish("own.topic", message("all", "each")).await.unwrap();
    assert_eq!((take(&mut mine).await.body, take(&mut other).await.body), ("each".into(), "each".into()));
    bus.publish("own.direct", message("me", "direct")).await.unwrap();
    assert_eq!(take(&mut mine).await.body, "direct");
    bus.publish("own.fanout", message("any key", "fanout")).await.unwrap();
    assert_eq!(take(&mut mine).await.body, "fanout");

    let error = bus.publish("own.topic", message("web.1", "absent")).await.unwrap_err();
    assert!(matches!(error, BusError::Unroutable { .. }), "{error}");
    drop(mine);
    until_nobody_takes(bus, "own.topic", "web.0").await;
    until_nobody_takes(bus, "own.fanout", "").await;
    bus.publish("own.topic", message("all", "still")).await.unwrap();
}

async fn a_name_is_held_by_one(bus: &Bus) {
    let lock = own(Some("own.lock"), &[("own.direct", "lock")]);
    let holder = bus.consume_own(&lock, 1).await.unwrap();
    let error = bus.consume_own(&lock, 1).await.unwrap_err();
    assert!(matches!(error, BusError::Refused { .. } | BusError::AccessRefused { .. }), "{error}");
    bus.publish("own.direct", message("lock", "still held")).await.unwrap();
    drop(holder);
    let free = async {
        while bus.consume_own(&lock, 1).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, free).await.expect("the lock is free again");
}

async fn of_too_many_the_oldest_go(bus: &Bus) {
    let mut slow = bus.consume_own(&own(None, &[("own.direct", "slow")]), 1).await.unwrap();
    bus.publish("own.direct", message("slow", "in hand")).await.unwrap();
    let in_hand = timeout(PATIENCE, slow.next()).await.unwrap().unwrap();
    for n in 0..10 {
        bus.publish("own.direct", message("slow", n.to_string())).await.unwrap();
    }
    in_hand.ack().await;
    for n in 7..10 {
        assert_eq!(take(&mut slow).await.body, n.to_string());
    }
}

async fn an_exchange_must_be_there(bus: &Bus) {
    let error = bus.consume_own(&own(None, &[("own.missing", "k")]), 1).await.unwrap_err();
    assert!(matches!(error, BusError::NotFound { .. }), "{error}");
}
