//! The columns that a definition says a table of its resources has: pure.

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value as Json;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    name: String,
    path: Vec<Step>,
    /// It holds a time, and is shown as how long ago that is.
    age: bool,
}

/// A step of a path such as `.status.conditions[?(@.type=='Ready')].status`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    /// The first item whose field has this value.
    Where(String, String),
}

/// The columns of a definition, in its order. A path that is more than fields and such choices has no column: a test sees to it that ours have none.
pub(super) fn columns(definition: &CustomResourceDefinition) -> Vec<Column> {
    let versions = definition.spec.versions.iter().filter(|version| version.served);
    let columns = versions.flat_map(|version| version.additional_printer_columns.iter().flatten());
    columns
        .filter_map(|column| {
            Some(Column {
                name: column.name.to_uppercase(),
                path: steps(&column.json_path)?,
                age: column.type_ == "date",
            })
        })
        .collect()
}

fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix("[?(@.") {
            let (condition, after) = inner.split_once(")]")?;
            let (field, value) = condition.split_once("==")?;
            let value = value.trim_matches(['\'', '"']);
            steps.push(Step::Where(field.to_owned(), value.to_owned()));
            rest = after;
        } else {
            rest = rest.strip_prefix('.')?;
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(Step::Field(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    Some(steps)
}

impl Column {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What a resource has there; empty if nothing.
    pub(super) fn of(&self, resource: &Json, now: Timestamp) -> String {
        let mut here = resource;
        for step in &self.path {
            let next = match step {
                Step::Field(name) => here.get(name),
                Step::Where(field, value) => here
                    .as_array()
                    .and_then(|items| items.iter().find(|item| item[field.as_str()] == value.as_str())),
            };
            let Some(next) = next else { return String::new() };
            here = next;
        }
        match here {
            Json::String(text) if self.age => text.parse().map_or_else(|_| text.clone(), |at| age(at, now)),
            Json::String(text) => text.clone(),
            Json::Null => String::new(),
            other => other.to_string(),
        }
    }
}

/// How long ago, in the one or two largest units, as kubectl says it.
fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |major: i64, name: &str, minor: i64, least: &str| {
        if minor == 0 { format!("{major}{name}") } else { format!("{major}{name}{minor}{least}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if hours < 3 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () => two(days / 365, "y", days % 365, "d"),
    }
}

/// Rows in columns as wide as they need, the first row their heads.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("   ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use kinetic_api::resources::definitions;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_column_of_ours_is_understood() {
        for definition in definitions() {
            let defined = definition.spec.versions[0].additional_printer_columns.as_ref().unwrap().len();
            assert_eq!(columns(&definition).len(), defined, "{}", definition.spec.names.kind);
        }
    }

    #[test]
    fn a_column_shows_what_is_there() {
        let now = "2026-11-22T06:00:00Z".parse().unwrap();
        let customer = json!({
            "metadata": {"creationTimestamp": "2026-11-22T03:30:00Z"},
            "status": {"vhost": "us-west.aws.acme", "conditions": [
                {"type": "BrokerReady", "status": "True"}, {"type": "Ready", "status": "False", "reason": "NoCapacity"}]},
        });
        let columns = columns(&definitions()[0]);
        let shown: Vec<_> = columns.iter().map(|column| (column.name(), column.of(&customer, now))).collect();
        let expected = [
            ("VHOST", "us-west.aws.acme"),
            ("BROKER", ""),
            ("READY", "False"),
            ("REASON", "NoCapacity"),
            ("AGE", "150m"),
        ];
        assert_eq!(shown, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn ages_are_as_kubectl_says_them() {
        let now: Timestamp = "2026-11-22T06:00:00Z".parse().unwrap();
        for (seconds, said) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (3600, "60m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 60, "3h1m"),
            (9 * 3600, "9h"),
            (49 * 3600, "2d1h"),
            (30 * 86_400, "30d"),
            (800 * 86_400, "2y70d"),
        ] {
            assert_eq!(age(now - jiff::SignedDuration::from_secs(seconds), now), said);
        }
    }

    #[test]
    fn a_table_is_as_wide_as_it_needs() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(table(&[row(["NAME", "X"]), row(["a-long-one", ""])]), "NAME         X\na-long-one\n");
    }
}
