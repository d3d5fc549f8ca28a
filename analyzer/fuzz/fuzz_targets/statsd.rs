//! Whatever bytes come as a statsd body: no panic, and every sample is accounted for.

#![no_main]

use std::borrow::Cow;

use kinetic_analyzer::{
    decode::MetricType,
    window::{Accumulator, MessageContext, Names, Needs, SeriesId, Window, WindowConfig, WindowSink, Windows},
};
use kinetic_api::{plan::OriginRule, series::SeriesName, statistic::Statistic};
use libfuzzer_sys::fuzz_target;

struct Count(f64);

impl WindowSink for Count {
    fn series(&mut self, _: SeriesId, _: &SeriesName, _: MetricType, _: &Names) -> Option<Needs> {
        Some(Needs { quantiles: true, cardinality: true, moments: true })
    }

    fn closed(&mut self, window: Window, _: &Names, values: &mut dyn Iterator<Item = (SeriesId, Cow<'_, Accumulator>)>) {
        for (_, accumulator) in values {
            for statistic in [Statistic::Sum, Statistic::Stddev, Statistic::P99, Statistic::Cardinality] {
                let number = accumulator.statistic(statistic, window.end_ms - window.start_ms);
                assert!(number.is_none_or(f64::is_finite));
            }
            self.0 += accumulator.statistic(Statistic::Count, 1).unwrap_or(f64::INFINITY);
        }
    }

    fn evicted(&mut self, _: SeriesId, _: &Names) {}
}

fuzz_target!(|body: &[u8]| {
    let mut windows = Windows::new(WindowConfig {
        interval_ms: 10_000,
        lateness_ms: 10_000,
        origin: OriginRule::Tag("host".into()),
        max_series: 20,
        idle_series_ms: 60_000,
    });
    let mut sink = Count(0.0);
    windows.tick(1_000_000, &mut sink);
    windows.add_statsd(body, MessageContext { origin: Some("web-1") }, None, &mut sink);
    windows.finish(&mut sink);
    let counters = windows.counters();
    let lost = counters.late + counters.future + counters.untimed + counters.dropped_series;
    // Sampling rates only ever make it more.
    assert!(sink.0 >= (counters.samples - lost) as f64);
});
