//! What collectd calls a value list, and the series that it becomes.

use std::borrow::Cow;

use crate::decode::sample::{OriginHint, Reading, Sample, SampleSink};

/// What collectd calls a value list (collectd's plain text protocol: "Identifiers").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identifier<'a> {
    /// Who sent it: the origin.
    pub host: &'a str,
    /// The plugin that read it.
    pub plugin: &'a str,
    /// What of the plugin's things it is about; may be empty.
    pub plugin_instance: &'a str,
    /// The type, by which the values are understood.
    pub kind: &'a str,
    /// Which of the type's values it is; may be empty.
    pub type_instance: &'a str,
}

impl<'a> Identifier<'a> {
    /// Reads `host/plugin[-instance]/type[-instance]`.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (host, rest) = text.split_once('/')?;
        let (plugin, kind) = rest.split_once('/')?;
        Self { host, ..Self::default() }.of_plugin_and_type(plugin, kind)
    }

    /// The identifier with these two parts, each with or without an instance.
    #[must_use]
    pub fn of_plugin_and_type(self, plugin: &'a str, kind: &'a str) -> Option<Self> {
        let (plugin, plugin_instance) = plugin.split_once('-').unwrap_or((plugin, ""));
        let (kind, type_instance) = kind.split_once('-').unwrap_or((kind, ""));
        let identifier = Self { plugin, plugin_instance, kind, type_instance, ..self };
        identifier.is_whole().then_some(identifier)
    }

    /// Whether nothing is missing that must be there.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        !self.host.is_empty() && !self.plugin.is_empty() && !self.kind.is_empty()
    }
}

/// Makes samples of values; keeps the room for their names.
#[derive(Debug, Default)]
pub struct Namer {
    metric: String,
}

impl Namer {
    /// Hands out a value of the data source with this name.
    ///
    /// The metric is `plugin[.plugin_instance].type[.type_instance][.data-source]`, where a data source called `value` is left out; the
    /// four parts are tags, too.
    pub fn sample(
        &mut self,
        identifier: &Identifier<'_>,
        data_source: &str,
        reading: Reading<'_>,
        time_ns: Option<i64>,
        line: &[u8],
        sink: &mut dyn SampleSink,
    ) {
        let Identifier { host, plugin, plugin_instance, kind, type_instance } = *identifier;
        let data_source = if data_source == "value" { "" } else { data_source };
        self.metric.clear();
        for part in [plugin, plugin_instance, kind, type_instance, data_source] {
            if !part.is_empty() {
                if !self.metric.is_empty() {
                    self.metric.push('.');
                }
                self.metric.push_str(part);
            }
        }
        let mut tags = [const { (Cow::Borrowed(""), Cow::Borrowed("")) }; 4];
        let mut count = 0;
        for (key, part) in [
            ("plugin", plugin),
            ("plugin_instance", plugin_instance),
            ("type", kind),
            ("type_instance", type_instance),
        ] {
            if !part.is_empty() {
                tags[count] = (Cow::Borrowed(key), Cow::Borrowed(part));
                count += 1;
            }
        }
        sink.sample(&Sample {
            metric: &self.metric,
            tags: &tags[..count],
            origin: OriginHint::Host(host),
            reading,
            time_ns,
            line,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_instances() {
        let all = Identifier {
            host: "db-1.example",
            plugin: "cpu",
            plugin_instance: "0-a",
            kind: "cpu",
            type_instance: "idle",
        };
        assert_eq!(Identifier::parse("db-1.example/cpu-0-a/cpu-idle"), Some(all));
        let few = Identifier { host: "h", plugin: "load", kind: "load", ..Identifier::default() };
        assert_eq!(Identifier::parse("h/load/load"), Some(few));
        for text in ["", "h", "h/load", "/load/load", "h//load", "h/load/", "h/-0/load", "h/load/-x"] {
            assert_eq!(Identifier::parse(text), None, "{text}");
        }
    }
}
