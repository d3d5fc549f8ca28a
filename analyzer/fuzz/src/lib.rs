//! What the fuzz targets of the labelled formats have in common.

use std::borrow::Cow;

use kinetic_analyzer::{
    decode::{MetricType, sample::SampleSink},
    window::{Accumulator, MessageContext, Names, Needs, SeriesId, Window, WindowConfig, WindowSink, Windows},
};
use kinetic_api::{plan::OriginRule, series::SeriesName, statistic::Statistic};

struct Look;

impl WindowSink for Look {
    fn series(&mut self, _: SeriesId, name: &SeriesName, _: MetricType, _: &Names) -> Option<Needs> {
        assert!(!name.metric.is_empty() && !name.to_string().chars().any(char::is_control));
        Some(Needs { quantiles: true, cardinality: true, moments: true })
    }

    fn closed(&mut self, window: Window, _: &Names, values: &mut dyn Iterator<Item = (SeriesId, Cow<'_, Accumulator>)>) {
        for (_, accumulator) in values {
            for statistic in [Statistic::Sum, Statistic::Stddev, Statistic::P99, Statistic::Cardinality] {
                let number = accumulator.statistic(statistic, window.end_ms - window.start_ms);
                assert!(number.is_none_or(f64::is_finite));
            }
        }
    }

    fn evicted(&mut self, _: SeriesId, _: &Names) {}
}

/// Adds the same twice: no panic, no more series than allowed, and nothing in them that is no number.
pub fn windows(decode: impl Fn(&mut dyn SampleSink)) {
    let mut windows = Windows::new(WindowConfig {
        interval_ms: 10_000,
        lateness_ms: 10_000,
        origin: OriginRule::Tag("host".into()),
        max_series: 20,
        idle_series_ms: 60_000,
    });
    windows.tick(1_000_000, &mut Look);
    for origin in ["web-1", ""] {
        windows.add_labelled(MessageContext { origin: Some(origin) }, None, &mut Look, &decode);
    }
    windows.finish(&mut Look);
    assert!(windows.counters().series <= 20);
}
