//! collectd's value lists (`Format "JSON"` of its amqp plugin, `write_http`).
//!
//! `{"values":[1901474177],"dstypes":["counter"],"dsnames":["value"],"time":1280959128,"interval":10,"host":"leeloo.octo.it",
//! "plugin":"cpu","plugin_instance":"0","type":"cpu","type_instance":"idle"}`; a value that is none is `null`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::text::Text;
use crate::decode::{
    bad_line::BadLineReason,
    collectd::{
        data_source::SourceKind,
        identifier::{Identifier, Namer},
        types_db::TypesDb,
    },
    limits::MAX_FIELDS,
    sample::SampleSink,
    time,
};

#[derive(Deserialize)]
struct ValueList<'a> {
    #[serde(borrow)]
    values: Vec<&'a RawValue>,
    #[serde(borrow)]
    dstypes: Vec<Text<'a>>,
    #[serde(borrow)]
    dsnames: Vec<Text<'a>>,
    #[serde(borrow, default)]
    time: Option<&'a RawValue>,
    #[serde(borrow)]
    host: Text<'a>,
    #[serde(borrow)]
    plugin: Text<'a>,
    #[serde(borrow, default)]
    plugin_instance: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    type_instance: Text<'a>,
}

/// Decodes a value list.
pub(super) fn value_list(
    text: &str,
    types: &TypesDb,
    namer: &mut Namer,
    sink: &mut dyn SampleSink,
) -> Result<(), BadLineReason> {
    let list: ValueList<'_> = serde_json::from_str(text).map_err(|_| BadLineReason::NotJson)?;
    let identifier = Identifier {
        host: &list.host.0,
        plugin: &list.plugin.0,
        plugin_instance: &list.plugin_instance.0,
        kind: &list.kind.0,
        type_instance: &list.type_instance.0,
    };
    if !identifier.is_whole() {
        return Err(BadLineReason::BadIdentifier);
    }
    if list.values.len() > MAX_FIELDS {
        return Err(BadLineReason::TooManyFields);
    }
    if list.values.len() != list.dstypes.len() || list.values.len() != list.dsnames.len() {
        return Err(BadLineReason::WrongValueCount);
    }
    let time_ns = match list.time {
        Some(time) => Some(time::seconds(time.get()).ok_or(BadLineReason::BadTime)?),
        None => None,
    };
    for ((value, kind), name) in list.values.iter().zip(&list.dstypes).zip(&list.dsnames) {
        let reading = SourceKind::parse(&kind.0)
            .ok_or(BadLineReason::UnknownSourceKind)
            .and_then(|kind| kind.read(value.get(), types.bounds(identifier.kind, &name.0)));
        match reading {
            Ok(Some(reading)) => namer.sample(&identifier, &name.0, reading, time_ns, text.as_bytes(), sink),
            Ok(None) => sink.gap(),
            Err(reason) => sink.bad_line(reason, text.as_bytes()),
        }
    }
    Ok(())
}
