//! Telegraf's metrics (`data_format = "json"`).
//!
//! `{"fields":{"usage_idle":98.5},"name":"cpu","tags":{"cpu":"cpu0","host":"web-1"},"timestamp":1458229140}`, or a batch
//! `{"metrics":[…]}`. The timestamp is a whole number in the unit of `json_timestamp_units`, told by its magnitude.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::text::{self, Pairs, Text};
use crate::decode::{
    bad_line::BadLineReason,
    influx,
    limits::MAX_TAGS,
    number,
    sample::{OriginHint, Reading, Sample, SampleSink, Tag},
    time,
};

#[derive(Deserialize)]
struct Metric<'a> {
    #[serde(borrow)]
    fields: Pairs<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, default)]
    tags: Pairs<'a>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
}

/// Decodes a metric; `room` is for names.
pub(super) fn metric(text: &str, room: &mut String, sink: &mut dyn SampleSink) -> Result<(), BadLineReason> {
    let metric: Metric<'_> = serde_json::from_str(text).map_err(|_| BadLineReason::NotJson)?;
    if metric.name.0.is_empty() {
        return Err(BadLineReason::NoName);
    }
    let tags = tags(&metric.tags)?;
    let time_ns = metric.timestamp.map(timestamp).transpose()?;
    for (field, value) in &metric.fields.0 {
        match level(value) {
            Ok(Some(level)) => sink.sample(&Sample {
                metric: influx::metric(room, &metric.name.0, field),
                tags: &tags,
                origin: OriginHint::HostTag,
                reading: Reading::Level(level),
                time_ns,
                line: text.as_bytes(),
            }),
            Ok(None) => sink.gap(),
            Err(reason) => sink.bad_line(reason, text.as_bytes()),
        }
    }
    Ok(())
}

/// Tags are texts; others are taken as they are written.
pub(super) fn tags<'a>(pairs: &Pairs<'a>) -> Result<Vec<Tag<'a>>, BadLineReason> {
    if pairs.0.len() > MAX_TAGS {
        return Err(BadLineReason::TooManyTags);
    }
    let value = |value: &'a RawValue| text::text(value).unwrap_or(Cow::Borrowed(value.get()));
    Ok(pairs.0.iter().map(|(key, raw)| (key.clone(), value(raw))).collect())
}

/// A field's number; None where it is a text, or nothing.
fn level(value: &RawValue) -> Result<Option<f64>, BadLineReason> {
    match value.get() {
        "true" => Ok(Some(1.0)),
        "false" => Ok(Some(0.0)),
        "null" => Ok(None),
        _ if text::is_text(value) => Ok(None),
        number => number::parse(number.as_bytes()).map(Some).ok_or(BadLineReason::NotANumber),
    }
}

fn timestamp(value: &RawValue) -> Result<i64, BadLineReason> {
    let time = match text::text(value) {
        Some(text) => time::rfc3339(&text),
        None => value.get().parse().ok().and_then(time::by_magnitude),
    };
    time.ok_or(BadLineReason::BadTime)
}
