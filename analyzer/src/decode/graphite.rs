//! Graphite's plaintext protocol: `path value timestamp`, a line a value; and the paths that collectd writes.
//!
//! Sources: graphite.readthedocs.io, "Feeding in your data" (a timestamp of -1 or N is now) and "Graphite Tag Support"
//! (`path;tag=value;tag=value`); collectd's `Format "Graphite"` (collectd.conf(5), plugin amqp): `host.plugin[-instance].type[-instance]`
//! and the data source's name where the type has several. Without `StoreRates` it writes what it read, so that the type says what that
//! means.

use std::borrow::Cow;

use super::{
    bad_line::BadLineReason,
    collectd::{
        data_source::SourceKind,
        identifier::{Identifier, Namer},
        types_db::TypesDb,
    },
    limits::{MAX_LINE, MAX_TAGS},
    sample::{Bounds, OriginHint, Sample, SampleSink, Tag},
    time,
};

/// How to read a path.
#[derive(Clone, Copy, Debug)]
pub enum Paths<'a> {
    /// It is a metric.
    Metrics,
    /// collectd wrote it: its first segment is the host, the others name a value list.
    Collectd(&'a TypesDb),
}

/// Decodes a message's body.
pub fn decode(body: &[u8], paths: Paths<'_>, sink: &mut dyn SampleSink) {
    let mut namer = Namer::default();
    for line in body.split(|b| *b == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if let Err(reason) = self::line(line, paths, &mut namer, sink) {
            sink.bad_line(reason, line);
        }
    }
}

fn line(
    line: &[u8],
    paths: Paths<'_>,
    namer: &mut Namer,
    sink: &mut dyn SampleSink,
) -> Result<(), BadLineReason> {
    if line.len() > MAX_LINE {
        return Err(BadLineReason::TooLong);
    }
    let text = std::str::from_utf8(line).map_err(|_| BadLineReason::NotText)?;
    let mut words = text.split_ascii_whitespace();
    let (Some(path), Some(value), Some(time), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(BadLineReason::NotThreeWords);
    };
    let time_ns = match time {
        "N" | "-1" => None,
        time => Some(time::seconds(time).ok_or(BadLineReason::BadTime)?),
    };
    let (path, tags) = path.split_once(';').unwrap_or((path, ""));
    if let (Paths::Collectd(types), "") = (paths, tags) {
        return collectd(path, value, time_ns, types, namer, line, sink);
    }
    let tags = self::tags(tags)?;
    let Some(reading) = SourceKind::Gauge.read(value, Bounds::NONE)? else {
        sink.gap();
        return Ok(());
    };
    let mut sample = Sample { metric: path, tags: &tags, origin: OriginHint::Header, reading, time_ns, line };
    if let (Paths::Collectd(_), Some((host, metric))) = (paths, path.split_once('.')) {
        sample.origin = OriginHint::Host(host);
        sample.metric = metric;
    }
    sink.sample(&sample);
    Ok(())
}

/// A path with as many segments as collectd's own names a value list; another one (`GraphitePrefix`, `GraphiteSeparateInstances`) at
/// least a host.
fn collectd(
    path: &str,
    value: &str,
    time_ns: Option<i64>,
    types: &TypesDb,
    namer: &mut Namer,
    line: &[u8],
    sink: &mut dyn SampleSink,
) -> Result<(), BadLineReason> {
    let Some((host, metric)) = path.split_once('.') else { return Err(BadLineReason::BadIdentifier) };
    let mut parts = metric.split('.');
    let (plugin, kind, source, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    let identifier = Identifier { host, ..Identifier::default() };
    if let (Some(plugin), Some(kind), None) = (plugin, kind, more)
        && let Some(identifier) = identifier.of_plugin_and_type(plugin, kind)
    {
        let source = source.unwrap_or("value");
        let known = types.sources(identifier.kind).iter().find(|known| known.name == source);
        let reading = match known {
            Some(known) => known.kind.read(value, known.bounds)?,
            None => SourceKind::Gauge.read(value, Bounds::NONE)?,
        };
        match reading {
            Some(reading) => namer.sample(&identifier, source, reading, time_ns, line, sink),
            None => sink.gap(),
        }
        return Ok(());
    }
    match SourceKind::Gauge.read(value, Bounds::NONE)? {
        Some(reading) => {
            let origin = OriginHint::Host(host);
            sink.sample(&Sample { metric, tags: &[], origin, reading, time_ns, line });
        }
        None => sink.gap(),
    }
    Ok(())
}

fn tags(text: &str) -> Result<Vec<Tag<'_>>, BadLineReason> {
    let mut tags = Vec::new();
    for tag in text.split(';').filter(|tag| !tag.is_empty()) {
        let (key, value) =
            tag.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or(BadLineReason::BadTag)?;
        if tags.len() == MAX_TAGS {
            return Err(BadLineReason::TooManyTags);
        }
        tags.push((Cow::Borrowed(key), Cow::Borrowed(value)));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests;
