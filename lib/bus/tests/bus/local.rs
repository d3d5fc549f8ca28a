//! The bus in process.

use crate::behaviour::{self, PATIENCE, message, next, number, numbered, piped, quorum, stream};
use kinetic_bus::{Bus, BusError, Queue, QueueKind, Retention, StreamOffset};
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn it_behaves_as_every_bus_does() {
    behaviour::all(&Bus::local()).await;
}

#[tokio::test]
async fn a_stream_keeps_what_its_size_allows() {
    let bus = Bus::local();
    // Ten bodies, and what belongs to each of them.
    let retention = Retention { age: Duration::from_hours(1), bytes: 10 * 1_100 };
    let kind = QueueKind::Stream { segment_bytes: 1 << 20, retention };
    bus.declare(&piped("x", Queue { name: "s".to_owned(), kind })).await.unwrap();
    for _ in 0..25 {
        bus.publish("x", message("k", vec![0; 1_000])).await.unwrap();
    }
    for from in [StreamOffset::First, StreamOffset::Offset(3)] {
        let mut reader = bus.read_stream("s", from).await.unwrap();
        for offset in 15..25 {
            assert_eq!(next(&mut reader).await.0, offset);
        }
        assert_eq!(reader.try_next(), None);
    }
}

#[tokio::test]
async fn a_stream_drops_what_is_too_old_with_the_next_message() {
    let bus = Bus::local();
    let retention = Retention { age: Duration::ZERO, bytes: 1 << 20 };
    let kind = QueueKind::Stream { segment_bytes: 1 << 20, retention };
    bus.declare(&piped("x", Queue { name: "s".to_owned(), kind })).await.unwrap();
    for n in 0..10 {
        bus.publish("x", numbered(n)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut reader = bus.read_stream("s", StreamOffset::First).await.unwrap();
    assert_eq!(next(&mut reader).await, (9, numbered(9)));
}

#[tokio::test]
async fn publishers_wait_for_a_reader_that_lags_and_for_no_other() {
    let bus = Bus::local();
    bus.declare(&piped("x", stream("s"))).await.unwrap();
    let mut reader = bus.read_stream("s", StreamOffset::First).await.unwrap();
    let publishing = {
        let bus = bus.clone();
        tokio::spawn(async move {
            for n in 0..250_000 {
                bus.publish("x", numbered(n)).await.unwrap();
            }
        })
    };
    // The publisher stands still somewhere above the bound; what a live reader has not seen is not trimmed.
    let mut seen = 0;
    while seen < 250_000 {
        let (offset, message) = next(&mut reader).await;
        assert_eq!((offset, number(&message)), (seen, seen));
        if seen == 0 {
            tokio::task::yield_now().await;
            assert!(!publishing.is_finished());
        }
        seen += 1;
    }
    publishing.await.unwrap();

    // A second one that never reads holds publishers back, until it is gone.
    let idle = bus.read_stream("s", StreamOffset::Next).await.unwrap();
    let publishing = {
        let bus = bus.clone();
        tokio::spawn(async move {
            for n in 0..90_000 {
                bus.publish("x", numbered(n)).await.unwrap();
            }
        })
    };
    for n in 0..50_000 {
        assert_eq!(number(&next(&mut reader).await.1), n);
    }
    assert!(!publishing.is_finished());
    drop(idle);
    timeout(PATIENCE, publishing).await.expect("nobody lags any more").unwrap();
}

#[tokio::test]
async fn a_reader_may_wait_for_an_offset_to_come() {
    let bus = Bus::local();
    bus.declare(&piped("x", stream("s"))).await.unwrap();
    let mut reader = bus.read_stream("s", StreamOffset::Offset(5)).await.unwrap();
    for n in 0..8 {
        bus.publish("x", numbered(n)).await.unwrap();
    }
    assert_eq!(next(&mut reader).await, (5, numbered(5)));
}

#[tokio::test]
async fn streams_are_read_and_queues_are_consumed() {
    let bus = Bus::local();
    bus.declare(&piped("x", stream("s"))).await.unwrap();
    bus.declare(&piped("x", quorum("q", 1))).await.unwrap();
    assert!(matches!(bus.consume("s", 1).await, Err(BusError::WrongKind { is: "a stream", .. })));
    assert!(matches!(
        bus.read_stream("q", StreamOffset::First).await,
        Err(BusError::WrongKind { is: "a queue", .. })
    ));
    assert!(matches!(
        bus.declare(&piped("x", quorum("q", 2))).await,
        Err(BusError::PreconditionFailed { .. })
    ));
}
