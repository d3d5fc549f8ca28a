//! What the fuzz targets of the formats have in common.

use std::borrow::Cow;

use kinetic_analyzer::{
    decode::{MetricType, sample::SampleSink},
    window::{
        Accumulator, MessageContext, Names, Needs, SeriesId, Window, WindowConfig, WindowSink, Windows,
    },
};
use kinetic_api::{plan::OriginRule, series::SeriesName, statistic::Statistic};

/// Looks at every series: its name is sound, and nothing in its windows is no number.
pub struct Look {
    /// So many were in the windows that have closed.
    pub samples: f64,
}

impl WindowSink for Look {
    fn series(&mut self, _: SeriesId, name: &SeriesName, _: MetricType, _: &Names) -> Option<Needs> {
        assert!(!name.metric.is_empty() && !name.to_string().chars().any(char::is_control));
        Some(Needs { quantiles: true, cardinality: true, moments: true })
    }

    fn closed(
        &mut self,
        window: Window,
        _: &Names,
        values: &mut dyn Iterator<Item = (SeriesId, Cow<'_, Accumulator>)>,
    ) {
        for (_, accumulator) in values {
            for statistic in [Statistic::Sum, Statistic::Stddev, Statistic::P99, Statistic::Cardinality] {
                let number = accumulator.statistic(statistic, window.end_ms - window.start_ms);
                assert!(number.is_none_or(f64::is_finite));
            }
            self.samples += accumulator.statistic(Statistic::Count, 1).unwrap_or(f64::INFINITY);
        }
    }

    fn evicted(&mut self, _: SeriesId, _: &Names) {}
}

/// Windows of few series, which have ticked, and what looks at them.
pub fn ticked() -> (Windows, Look) {
    let mut windows = Windows::new(WindowConfig {
        interval_ms: 10_000,
        lateness_ms: 10_000,
        origin: OriginRule::Tag("host".into()),
        max_series: 20,
        idle_series_ms: 60_000,
    });
    let mut look = Look { samples: 0.0 };
    windows.tick(1_000_000, &mut look);
    (windows, look)
}

/// Adds the same labelled samples twice: no panic, no more series than allowed, and nothing in them that is no number.
pub fn windows(decode: impl Fn(&mut dyn SampleSink)) {
    let (mut windows, mut look) = ticked();
    for origin in ["web-1", ""] {
        windows.add_labelled(MessageContext { origin: Some(origin) }, None, &mut look, &decode);
    }
    windows.finish(&mut look);
    assert!(windows.counters().series <= 20);
}
