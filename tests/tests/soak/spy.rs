//! Everything that is published on `kinetic.anomalies`, kept by a queue of its own through every outage of the broker.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use kinetic_bus::{AmqpConfig, Binding, Bus, Declaration, Exchange, ExchangeKind, Queue, QueueKind};
use serde_json::Value;

const QUEUE: &str = "spy";

/// What was published so far.
pub struct Spy {
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    events: Vec<Value>,
    last: Instant,
}

/// Findings by id, without what depends on when they were looked for.
pub type Findings = BTreeMap<String, Value>;

impl Spy {
    /// Looks from now on, until the test ends.
    pub fn start(url: &str, vhost: &str) -> Self {
        let config = AmqpConfig::new(url, vhost).unwrap().with_connection_name("spy");
        let seen = Arc::new(Mutex::new(Seen { events: Vec::new(), last: Instant::now() }));
        let (ready, is_ready) = std::sync::mpsc::channel();
        thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let bus = Bus::amqp(config);
                    bus.declare(&declaration()).await.unwrap();
                    let mut queue = bus.consume(QUEUE, 100).await.unwrap();
                    ready.send(()).unwrap();
                    loop {
                        let delivery = queue.next().await.unwrap();
                        let event = serde_json::from_slice(&delivery.message.body).unwrap();
                        {
                            let mut seen = seen.lock().unwrap();
                            seen.events.push(event);
                            seen.last = Instant::now();
                        }
                        delivery.ack().await;
                    }
                });
            }
        });
        is_ready.recv().unwrap();
        Self { seen }
    }

    /// Waits until nothing has come for a while, and takes what has.
    pub fn take(&self) -> Vec<Value> {
        while self.seen.lock().unwrap().last.elapsed() < Duration::from_secs(3) {
            thread::sleep(Duration::from_millis(100));
        }
        std::mem::take(&mut self.seen.lock().unwrap().events)
    }
}

/// By id. The same finding always says the same, whoever found it and when, live or in warm-up.
pub fn by_id(events: Vec<Value>) -> Findings {
    let mut findings = Findings::new();
    for mut event in events {
        event["data"]["found"] = Value::Null;
        let id = event["id"].as_str().unwrap().to_owned();
        if let Some(before) = findings.insert(id, event.clone()) {
            assert_eq!(before, event, "two findings of one id");
        }
    }
    findings
}

fn declaration() -> Declaration {
    Declaration {
        exchanges: vec![Exchange { name: "kinetic.anomalies".into(), kind: ExchangeKind::Topic }],
        queues: vec![Queue { name: QUEUE.into(), kind: QueueKind::Quorum { max_length: 1_000_000 } }],
        bindings: vec![Binding {
            exchange: "kinetic.anomalies".into(),
            queue: QUEUE.into(),
            routing_key: "#".into(),
        }],
    }
}
