//! Which format a message has.

use kinetic_api::{
    names::{COLLECTD_NETWORK_CONTENT_TYPE, STATSD_CONTENT_TYPE},
    plan::{OriginRule, SourcePlan},
    resources::topology::SourceType,
};

use super::{
    collectd::{network, putval, types_db::TypesDb},
    graphite::{self, Paths},
    influx, json,
    sample::SampleSink,
};

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// statsd lines; [`statsd`](super::statsd) reads them.
    Statsd,
    /// All others, which hand out labelled samples.
    Labelled(Labelled),
}

/// The formats that hand out labelled samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labelled {
    /// collectd's text protocol.
    Putval,
    /// collectd's packets.
    CollectdNetwork,
    /// Graphite's plaintext protocol.
    Graphite,
    /// The same, with the paths that collectd makes.
    CollectdGraphite,
    /// `InfluxDB`'s line protocol.
    Influx,
    /// collectd's, Telegraf's or Vector's JSON.
    Json,
}

/// A message's format: by its content type; where that names none, or only that it is text or bytes, by the first word of its routing key;
/// where that is no type of source either, by what the source is said to hold. None: a content type that is not read.
///
/// What sends in several formats without saying which (collectd through a relay, Telegraf) is told by how the body begins. A pattern for the origin is one for the whole path: then collectd's
/// paths are read as any other.
#[must_use]
pub fn tell(
    content_type: Option<&str>,
    routing_key: &str,
    source: &SourcePlan,
    body: &[u8],
) -> Option<Format> {
    let word = routing_key.split('.').next().unwrap_or_default();
    let sender = SourceType::ALL.into_iter().find(|known| known.as_str() == word).unwrap_or(source.kind);
    let paths = match source.origin {
        OriginRule::Pattern { .. } => Labelled::Graphite,
        OriginRule::Header(_) | OriginRule::Tag(_) => Labelled::CollectdGraphite,
    };
    let mime = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let mime = mime.to_ascii_lowercase();
    Some(Format::Labelled(match mime.as_str() {
        STATSD_CONTENT_TYPE => return Some(Format::Statsd),
        "text/collectd" => Labelled::Putval,
        COLLECTD_NETWORK_CONTENT_TYPE => Labelled::CollectdNetwork,
        "application/json" | "application/x-ndjson" => Labelled::Json,
        "text/graphite" if sender == SourceType::Collectd => paths,
        "text/graphite" => Labelled::Graphite,
        "" | "application/octet-stream" => return Some(by_sender(sender, body, paths)),
        text if text.starts_with("text/") => return Some(by_sender(sender, body, paths)),
        _ => return None,
    }))
}

fn by_sender(sender: SourceType, body: &[u8], paths: Labelled) -> Format {
    let begin = body.trim_ascii_start();
    let is_json = begin.starts_with(b"{") || begin.starts_with(b"[");
    Format::Labelled(match sender {
        SourceType::Statsd => return Format::Statsd,
        SourceType::Collectd | SourceType::Telegraf if is_json => Labelled::Json,
        // A packet's first part is that of the host, a signature or a cipher: no text begins with such bytes.
        SourceType::Collectd if body.first().is_some_and(|first| *first <= 2) => Labelled::CollectdNetwork,
        SourceType::Collectd if is_command(begin) => Labelled::Putval,
        SourceType::Collectd => paths,
        SourceType::Graphite => Labelled::Graphite,
        SourceType::Influx | SourceType::Telegraf => Labelled::Influx,
        SourceType::Vector => Labelled::Json,
    })
}

fn is_command(text: &[u8]) -> bool {
    text.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"PUT"))
}

impl Labelled {
    /// Decodes a message's body.
    pub fn decode(self, body: &[u8], types: &TypesDb, sink: &mut dyn SampleSink) {
        match self {
            Self::Putval => putval::decode(body, types, sink),
            Self::CollectdNetwork => network::decode(body, types, sink),
            Self::Graphite => graphite::decode(body, Paths::Metrics, sink),
            Self::CollectdGraphite => graphite::decode(body, Paths::Collectd(types), sink),
            Self::Influx => influx::decode(body, sink),
            Self::Json => json::decode(body, types, sink),
        }
    }
}

#[cfg(test)]
mod tests;
