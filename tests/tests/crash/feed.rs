//! A gauge that is sent over AMQP with confirms, through every outage, until dropped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use jiff::Timestamp;
use kinetic_bus::{AmqpConfig, Bus, HeaderValue, Message};
use uuid::Uuid;

/// Sends `host.load:VALUE|g|#host:web-1`, each message twice.
pub struct Feed {
    value: Arc<AtomicI64>,
    stop: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
}

impl Feed {
    pub fn start(url: &str, vhost: &str, value: i64) -> Self {
        let config = AmqpConfig::new(url, vhost).unwrap().with_connection_name("feed");
        let (value, stop) = (Arc::new(AtomicI64::new(value)), Arc::new(AtomicBool::new(false)));
        let sender = thread::spawn({
            let (value, stop) = (Arc::clone(&value), Arc::clone(&stop));
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(send(config, &value, &stop));
            }
        });
        Self { value, stop, sender: Some(sender) }
    }

    /// Sends another value from now on.
    pub fn set(&self, value: i64) {
        self.value.store(value, Ordering::Relaxed);
    }
}

async fn send(config: AmqpConfig, value: &AtomicI64, stop: &AtomicBool) {
    let (bus, instance) = (Bus::amqp(config), Uuid::new_v4());
    let mut timer = tokio::time::interval(Duration::from_millis(100));
    for sequence in 0.. {
        timer.tick().await;
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let message = Message {
            routing_key: "statsd.web.web-1".into(),
            headers: vec![("timestamp_in_ms".into(), HeaderValue::Int(Timestamp::now().as_millisecond()))],
            message_id: Some(format!("{instance}-{sequence}")),
            body: format!("host.load:{}|g|#host:web-1", value.load(Ordering::Relaxed)).into(),
            ..Message::default()
        };
        for _ in 0..2 {
            // A stream that is being made anew takes nothing for a moment.
            let _ = bus.publish("kinetic.metrics", message.clone()).await;
        }
    }
    bus.close().await;
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(sender) = self.sender.take() {
            // A sender that panicked has already said so.
            let _ = sender.join();
        }
    }
}
