//! How fast statsd text becomes windows, on one core.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use allocation_counter::measure;
use kinetic_analyzer::{
    decode::{MetricType, statsd},
    window::{
        Accumulator, MessageContext, Names, Needs, SeriesId, Window, WindowConfig, WindowSink, Windows,
    },
};
use kinetic_api::{plan::OriginRule, series::SeriesName, statistic::Statistic};

use crate::{core_time::CoreTime, table::Row, traffic::Traffic};

const SAMPLES: usize = 1_000_000;
/// As statsd clients pack lines for an Ethernet frame.
const MESSAGE: usize = 1_400;
const INTERVAL_MS: i64 = 10_000;
const MEASURED: Duration = Duration::from_secs(3);

/// Decoding alone, and decoding with windows at two numbers of series, each beside a search for the same text's newlines.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (series, name) in [(1_000, "1,000"), (100_000, "100,000")] {
        let traffic = Traffic::new(series, SAMPLES, MESSAGE);
        let limit = newlines(&traffic);
        let (windows, allocations) = windows(&traffic);
        if rows.is_empty() {
            rows.push(row("statsd decoded, one core".to_owned(), &traffic, decoded(&traffic), limit));
        }
        let mut row = row(format!("statsd to windows, {name} series, one core"), &traffic, windows, limit);
        let each = allocations as f64 / traffic.samples as f64;
        row.ours = format!("{}, {each:.4} allocations/sample", row.ours);
        rows.push(row);
    }
    rows
}

fn row(what: String, traffic: &Traffic, passes: f64, limit: f64) -> Row {
    let gigabytes = traffic.bytes() as f64 / 1e9;
    let millions = traffic.samples as f64 / 1e6;
    Row {
        what,
        ours: format!("{:.2} M samples/s, {:.2} GB/s", passes * millions, passes * gigabytes),
        beside: format!("search for newlines (memchr): {:.1} GB/s", limit * gigabytes),
        ratio: passes / limit,
    }
}

/// How often a second `pass` can go over the traffic, in a core's time and by the fastest of its passes: whatever else
/// runs on the machine only ever slows them down. The first one, which meets every series for the first time, does not count.
fn passes_a_second(mut pass: impl FnMut(i64)) -> f64 {
    pass(0);
    let start = Instant::now();
    let mut fastest = Duration::MAX;
    let mut passes = 0;
    while start.elapsed() < MEASURED {
        passes += 1;
        let start = CoreTime::start();
        pass(passes);
        fastest = fastest.min(start.elapsed());
    }
    1.0 / fastest.as_secs_f64()
}

fn newlines(traffic: &Traffic) -> f64 {
    passes_a_second(|_| {
        let found: usize =
            traffic.messages.iter().map(|(_, body)| memchr::memchr_iter(b'\n', body).count()).sum();
        assert_eq!(found as u64, traffic.samples);
    })
}

fn decoded(traffic: &Traffic) -> f64 {
    passes_a_second(|_| {
        let good: usize =
            traffic.messages.iter().map(|(_, body)| statsd::lines(body).flatten().count()).sum();
        assert_eq!(good as u64, traffic.samples);
    })
}

/// Passes a second, each one window of event time, and the allocations of one.
fn windows(traffic: &Traffic) -> (f64, u64) {
    let mut windows = Windows::new(WindowConfig {
        interval_ms: INTERVAL_MS,
        lateness_ms: INTERVAL_MS,
        origin: OriginRule::Header("origin".into()),
        max_series: 200_000,
        idle_series_ms: 3_600_000,
    });
    let mut sink = Reader { windows: 0, seen: 0.0 };
    let step = (INTERVAL_MS as f64) / (traffic.messages.len() as f64 + 1.0);
    let mut passes = 0;
    let mut pass = |pass: i64| {
        passes += 1;
        for (n, (origin, body)) in traffic.messages.iter().enumerate() {
            let context = MessageContext { origin: Some(&traffic.origins[*origin]) };
            #[expect(clippy::cast_possible_truncation, reason = "within the interval")]
            let time = pass * INTERVAL_MS + (n as f64 * step) as i64;
            windows.add_statsd(body, context, Some(time), &mut sink);
        }
        pass
    };
    let mut last = 0;
    let speed = passes_a_second(|number| last = pass(number));
    let allocations = measure(|| last = pass(last + 1)).count_total;
    windows.finish(&mut sink);
    let counters = windows.counters();
    assert_eq!(counters.samples, traffic.samples * passes);
    assert_eq!((counters.bad_lines, counters.late, counters.dropped_series), (0, 0, 0));
    assert_eq!(sink.windows, passes);
    assert!(sink.seen > 0.0);
    (speed, allocations)
}

/// Asks what analytics ask: mean and standard deviation of everything, percentiles of one service's timers.
struct Reader {
    windows: u64,
    seen: f64,
}

impl WindowSink for Reader {
    fn series(&mut self, _: SeriesId, name: &SeriesName, kind: MetricType, _: &Names) -> Option<Needs> {
        let quantiles = kind == MetricType::Timer && name.metric.starts_with("shop.checkout.");
        Some(Needs { quantiles, cardinality: true, moments: true })
    }

    fn closed(
        &mut self,
        _: Window,
        _: &Names,
        values: &mut dyn Iterator<Item = (SeriesId, Cow<'_, Accumulator>)>,
    ) {
        self.windows += 1;
        for (_, accumulator) in values {
            for statistic in [Statistic::Mean, Statistic::Stddev, Statistic::P95, Statistic::Cardinality] {
                self.seen += accumulator.statistic(statistic, INTERVAL_MS).unwrap_or(0.0).abs();
            }
        }
    }

    fn evicted(&mut self, _: SeriesId, _: &Names) {}
}
