//! Vector's metric events (`encoding.codec: json`), also as logs: its AMQP sink takes no metrics, and the transform `metric_to_log` moves the
//! tag `host` out of the tags.
//!
//! `{"name":"requests","namespace":"shop","tags":{"host":"web-1"},"timestamp":"2020-10-10T17:07:36Z","kind":"incremental",
//! "counter":{"value":1.0}}`. Source: vector.dev, "Metric events". The metric is `namespace.name`; of aggregated histograms and summaries
//! there is a series `.count`, one `.sum`, and one for each quantile, with the tag `quantile`.

use std::borrow::Cow;

use serde::Deserialize;

use super::{
    telegraf,
    text::{Pairs, Text},
};
use crate::decode::{
    bad_line::BadLineReason,
    limits::MAX_FIELDS,
    sample::{Bounds, OriginHint, Raw, Reading, Sample, SampleSink, Tag},
    time,
};

#[derive(Deserialize)]
struct Metric<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, default)]
    namespace: Option<Text<'a>>,
    #[serde(borrow, default)]
    tags: Option<Pairs<'a>>,
    #[serde(borrow, default)]
    host: Option<Text<'a>>,
    #[serde(borrow, default)]
    timestamp: Option<Text<'a>>,
    kind: Kind,
    counter: Option<One>,
    gauge: Option<One>,
    #[serde(borrow)]
    set: Option<Members<'a>>,
    distribution: Option<Distribution>,
    aggregated_histogram: Option<Histogram>,
    aggregated_summary: Option<Summary>,
}

/// Whether a value is a change or all that there is.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Incremental,
    Absolute,
}

#[derive(Deserialize)]
struct One {
    /// Vector writes null for what is not a number.
    value: Option<f64>,
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    values: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct Distribution {
    samples: Vec<Seen>,
}

/// A value, and how often it was seen.
#[derive(Deserialize)]
struct Seen {
    value: Option<f64>,
    rate: u32,
}

#[derive(Deserialize)]
struct Histogram {
    count: u64,
    sum: Option<f64>,
}

#[derive(Deserialize)]
struct Summary {
    quantiles: Vec<Quantile>,
    count: u64,
    sum: Option<f64>,
}

#[derive(Deserialize)]
struct Quantile {
    quantile: f64,
    value: Option<f64>,
}

/// Decodes a metric; `room` is for names.
pub(super) fn metric(text: &str, room: &mut String, sink: &mut dyn SampleSink) -> Result<(), BadLineReason> {
    let metric: Metric<'_> = serde_json::from_str(text).map_err(|_| BadLineReason::NotJson)?;
    if metric.name.0.is_empty() {
        return Err(BadLineReason::NoName);
    }
    room.clear();
    if let Some(Text(namespace)) = metric.namespace.as_ref().filter(|Text(namespace)| !namespace.is_empty()) {
        room.push_str(namespace);
        room.push('.');
    }
    room.push_str(&metric.name.0);
    let time_ns = match &metric.timestamp {
        Some(Text(time)) => Some(time::rfc3339(time).ok_or(BadLineReason::BadTime)?),
        None => None,
    };
    let mut tags = metric.tags.as_ref().map(telegraf::tags).transpose()?.unwrap_or_default();
    if let Some(Text(host)) = &metric.host {
        tags.push((Cow::Borrowed("host"), Cow::Borrowed(host)));
    }
    Teller { name: room, tags, time_ns, kind: metric.kind, line: text.as_bytes(), sink }.tell(&metric)
}

/// Makes samples of a metric's values.
struct Teller<'t> {
    name: &'t mut String,
    tags: Vec<Tag<'t>>,
    time_ns: Option<i64>,
    kind: Kind,
    line: &'t [u8],
    sink: &'t mut dyn SampleSink,
}

impl Teller<'_> {
    fn tell(&mut self, metric: &Metric<'_>) -> Result<(), BadLineReason> {
        if let Some(One { value }) = metric.counter {
            self.number("", value, Self::sum);
        }
        if let Some(One { value }) = metric.gauge {
            self.number("", value, |teller, value| match teller.kind {
                Kind::Incremental => Reading::Change(value),
                Kind::Absolute => Reading::Level(value),
            });
        }
        if let Some(set) = &metric.set {
            limit(set.values.len())?;
            for Text(member) in &set.values {
                self.sample("", Reading::Member(member.as_bytes()));
            }
        }
        if let Some(distribution) = &metric.distribution {
            // They are one series, so that there may be more than a metric has series.
            for Seen { value, rate } in distribution.samples.iter().filter(|seen| seen.rate > 0) {
                let weight = f64::from(*rate);
                self.number("", *value, |_, value| Reading::Observation { value, weight });
            }
        }
        if let Some(Histogram { count, sum }) = metric.aggregated_histogram {
            self.number(".count", Some(count as f64), Self::sum);
            self.number(".sum", sum, Self::sum);
        }
        if let Some(Summary { quantiles, count, sum }) = &metric.aggregated_summary {
            limit(quantiles.len())?;
            self.number(".count", Some(*count as f64), Self::sum);
            self.number(".sum", *sum, Self::sum);
            for Quantile { quantile, value } in quantiles {
                self.tags.push((Cow::Borrowed("quantile"), Cow::Owned(quantile.to_string())));
                self.number("", *value, |_, value| Reading::Level(value));
                self.tags.pop();
            }
        }
        Ok(())
    }

    /// A counter's value: an increment, or what it is at, of which the rate is taken.
    fn sum(&self, value: f64) -> Reading<'static> {
        match self.kind {
            Kind::Incremental => Reading::Increment(value),
            Kind::Absolute => Reading::Raw { raw: Raw::Sum(value), bounds: Bounds::NOT_NEGATIVE },
        }
    }

    fn number(
        &mut self,
        suffix: &str,
        value: Option<f64>,
        reading: impl FnOnce(&Self, f64) -> Reading<'static>,
    ) {
        match value {
            Some(value) => {
                let reading = reading(self, value);
                self.sample(suffix, reading);
            }
            None => self.sink.gap(),
        }
    }

    fn sample(&mut self, suffix: &str, reading: Reading<'_>) {
        let length = self.name.len();
        self.name.push_str(suffix);
        self.sink.sample(&Sample {
            metric: self.name,
            tags: &self.tags,
            origin: OriginHint::HostTag,
            reading,
            time_ns: self.time_ns,
            line: self.line,
        });
        self.name.truncate(length);
    }
}

fn limit(values: usize) -> Result<(), BadLineReason> {
    if values > MAX_FIELDS { Err(BadLineReason::TooManyFields) } else { Ok(()) }
}
