//! How long it takes to read a day of metrics again.

use std::collections::HashMap;

use kinetic_analyzer::engine::{Engine, EngineLimits};

use crate::{core_time::CoreTime, fleet, plan::two_analytics, table::Row};

const WINDOWS: i64 = 8_640;
const HOSTS: usize = 8;
const METRICS: usize = 125;
/// So many different windows are sent in turns.
const DIFFERENT: u64 = 60;
const LIMIT_SECONDS: f64 = 10.0;

/// 24 hours of 1,000 series, a sample every ten seconds, through an engine with two analytics.
pub fn row() -> Row {
    let windows: Vec<_> = (0..DIFFERENT).map(|seed| fleet::window(HOSTS, METRICS, seed)).collect();
    let mut engine = Engine::new(&two_analytics(), 0, EngineLimits { max_series: 10_000 }, HashMap::new());
    let mut found = Vec::new();
    let start = CoreTime::start();
    for (number, window) in (0..WINDOWS).zip(windows.iter().cycle()) {
        fleet::send(&mut engine, window, number, &mut found);
    }
    engine.finish(&mut found);
    let seconds = start.elapsed().as_secs_f64();
    let counters = engine.counters();
    assert_eq!(counters.windows, WINDOWS as u64, "{counters:?}");
    assert_eq!(counters.samples, WINDOWS as u64 * (HOSTS * METRICS) as u64, "{counters:?}");
    // Of windows that are judged by two analytics, few are odd.
    assert!(found.len() < 10_000, "{} findings", found.len());
    Row {
        what: "replay of 24 h of 1,000 series, one core".to_owned(),
        ours: format!("{seconds:.2} s"),
        beside: format!("limit (less is better): {LIMIT_SECONDS} s"),
        ratio: seconds / LIMIT_SECONDS,
    }
}
