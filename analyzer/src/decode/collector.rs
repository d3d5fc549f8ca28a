//! What decoders hand out, written down for tests: a line a value, in order.

use super::{
    bad_line::BadLineReason,
    sample::{OriginHint, Sample, SampleSink},
};

/// Writes down what it is handed.
#[derive(Debug, Default)]
pub(super) struct Collector {
    /// `metric{tag=value,…}@origin reading time`, or `bad: reason`, `event`, `gap`.
    pub(super) told: Vec<String>,
}

impl Collector {
    /// What a decoder made of something.
    pub(super) fn of(decode: impl FnOnce(&mut dyn SampleSink)) -> Vec<String> {
        let mut collector = Self::default();
        decode(&mut collector);
        collector.told
    }
}

impl SampleSink for Collector {
    fn sample(&mut self, sample: &Sample<'_>) {
        let tags: Vec<_> = sample.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let origin = match sample.origin {
            OriginHint::Header => "(header)".to_owned(),
            OriginHint::Host(host) => host.to_owned(),
            OriginHint::HostTag => "(tag host)".to_owned(),
        };
        let time = sample.time_ns.map_or("now".to_owned(), |ns| ns.to_string());
        self.told.push(format!(
            "{}{{{}}}@{origin} {:?} {time}",
            sample.metric,
            tags.join(","),
            sample.reading
        ));
    }

    fn bad_line(&mut self, reason: BadLineReason, _line: &[u8]) {
        self.told.push(format!("bad: {reason:?}"));
    }

    fn event(&mut self) {
        self.told.push("event".to_owned());
    }

    fn gap(&mut self) {
        self.told.push("gap".to_owned());
    }
}
