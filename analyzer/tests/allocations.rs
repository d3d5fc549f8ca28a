//! What is allocated while traffic stays what it is: nothing.

use std::borrow::Cow;

use allocation_counter::measure;
use kinetic_analyzer::{
    decode::MetricType,
    window::{
        Accumulator, MessageContext, Names, Needs, SeriesId, Window, WindowConfig, WindowSink, Windows,
    },
};
use kinetic_api::{plan::OriginRule, series::SeriesName};

const INTERVAL_MS: i64 = 10_000;
const MESSAGES: usize = 50;

struct Everything;

impl WindowSink for Everything {
    fn series(&mut self, _: SeriesId, _: &SeriesName, _: MetricType, _: &Names) -> Option<Needs> {
        Some(Needs { quantiles: true, cardinality: true, moments: true })
    }

    fn closed(
        &mut self,
        _: Window,
        _: &Names,
        values: &mut dyn Iterator<Item = (SeriesId, Cow<'_, Accumulator>)>,
    ) {
        values.for_each(|(_, samples)| assert!(!samples.is_empty()));
    }

    fn evicted(&mut self, _: SeriesId, _: &Names) {}
}

/// Every type, rates, tags, packed values, and times of their own.
fn message(number: usize) -> String {
    let tags = format!("|#env:prod,zone:eu-west-{number},version:1.2.3");
    let lines = [
        format!("page.{number}.time:{}.5|ms{tags}", 100 + number),
        format!("page.{number}.size:{}|h|@0.5", 2_000 + number),
        format!("page.{number}.hits:1|c|@0.1{tags}"),
        format!("page.{number}.memory:{number}|g"),
        format!("page.{number}.memory:+1.25|g"),
        format!("page.{number}.users:anna-{number}|s{tags}"),
        format!("page.{number}.steps:1:2:3.5|d{tags}"),
        format!("page.{number}.both:1|c:2|ms"),
    ];
    lines.join("\n")
}

fn add(windows: &mut Windows, messages: &[String], time_ms: i64) {
    for (n, body) in messages.iter().enumerate() {
        let origin = if n % 2 == 0 { "web-1" } else { "web-2" };
        let context = MessageContext { origin: Some(origin) };
        windows.add_statsd(body.as_bytes(), context, Some(time_ms), &mut Everything);
    }
}

#[test]
fn samples_of_known_series_allocate_nothing() {
    let messages: Vec<String> = (0..MESSAGES).map(message).collect();
    let mut windows = Windows::new(WindowConfig {
        interval_ms: INTERVAL_MS,
        lateness_ms: INTERVAL_MS,
        origin: OriginRule::Header("origin".into()),
        max_series: 10_000,
        idle_series_ms: 3_600_000,
    });
    for window in 0..5 {
        add(&mut windows, &messages, window * INTERVAL_MS);
    }
    let more = measure(|| add(&mut windows, &messages, 4 * INTERVAL_MS + 1));
    assert_eq!(more.count_total, 0, "{more:?}");
    // A window closes, another opens with what the closed one left.
    let next = measure(|| add(&mut windows, &messages, 5 * INTERVAL_MS));
    assert!(next.count_total <= 4, "{next:?}");
    let counters = windows.counters();
    assert_eq!((counters.bad_lines, counters.windows_closed), (0, 4), "{counters:?}");
    assert_eq!(counters.samples, 7 * MESSAGES as u64 * 11);
}
