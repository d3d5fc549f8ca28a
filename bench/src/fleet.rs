//! A fleet whose hosts all send the same timers, window by window: quickly made, and the same on every run.

use kinetic_analyzer::engine::{Engine, Input};
use kinetic_api::{anomaly::Anomaly, names::STATSD_CONTENT_TYPE};

use crate::plan::INTERVAL_MS;

/// As statsd clients pack lines for an Ethernet frame.
const MESSAGE: usize = 1_400;
/// A day in June.
pub const START_MS: i64 = 1_656_581_400_000;

/// A window's messages: origin and body.
pub type Window = Vec<(String, Vec<u8>)>;

/// One window's messages of so many hosts with so many metrics each: each a value around its own level. `seed` chooses the values.
pub fn window(hosts: usize, metrics: usize, seed: u64) -> Window {
    let mut messages = Vec::new();
    for host in 0..hosts {
        let mut body = Vec::with_capacity(MESSAGE);
        for metric in 0..metrics {
            let noise = noise(seed, host as u64, metric as u64);
            let line = format!(
                "shop.page.{metric}.render.time:{}.{}|ms|#env:prod,zone:eu-west-1{}\n",
                100 + metric as u64 % 50 + noise / 10,
                noise % 10,
                ['a', 'b', 'c'][metric % 3],
            );
            if body.len() + line.len() > MESSAGE {
                messages.push((format!("web-{host}"), std::mem::take(&mut body)));
            }
            body.extend_from_slice(line.as_bytes());
        }
        messages.push((format!("web-{host}"), body));
    }
    messages
}

/// The sum of four even draws from 0 to 24 (Irwin-Hall): close to normal, and never far out.
fn noise(seed: u64, host: u64, metric: u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ host << 32 ^ metric;
    (0..4)
        .map(|_| {
            state = (state ^ state >> 31).wrapping_mul(0xda94_2042_e4dd_58b5);
            (state >> 33) % 25
        })
        .sum()
}

/// Gives an engine the window of this number, and the tick in its middle.
pub fn send(engine: &mut Engine, window: &Window, number: i64, found: &mut Vec<Anomaly>) {
    let start_ms = START_MS + number * INTERVAL_MS;
    for (origin, body) in window {
        let input = Input {
            body,
            routing_key: "statsd.web.host",
            content_type: Some(STATSD_CONTENT_TYPE),
            origin: Some(origin),
            timestamp_in_ms: Some(start_ms + 1),
            timestamp: None,
        };
        engine.message(&input, found);
    }
    engine.tick(start_ms + INTERVAL_MS / 2, found);
}
