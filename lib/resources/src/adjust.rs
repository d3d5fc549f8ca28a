//! A Topology with some parameters of one analytic set otherwise, checked as a file would be.

use kinetic_api::{
    plan::{Problem, TopologyPlan},
    resources::Topology,
    suggest::{closest, list},
};
use serde_json::{Map, Value as Json};

use crate::{
    definition,
    document::{Resource, resource},
    problem::{DEFAULT_NAMESPACE, Fault, Kind, ResourceId},
    schema::Schema,
    snapshot::Snapshot,
    yaml::{Budget, parse, shorten},
};

/// The fields of an analytic that are its kind.
const KINDS: [&str; 4] = ["cluster", "stddev", "threshold", "absence"];
/// What says which analytic it is, not how it judges.
const ANALYTIC_NAMES: [&str; 2] = ["name", "source"];
/// A part of a source that is one of several fields: setting one takes out the others.
const CHOICE: &str = "origin";
/// What says which messages a source has, not how its windows are made.
const SOURCE_NAMES: [&str; 4] = ["name", "type", "profiles", "retention"];

/// Sets parameters of an analytic, or of its source, by the path of their field: `deviation` or `minStddev.relative` of its kind, `statistic` or
/// `persistence.windows` of the analytic, `interval` or `lateness` of its source. Null takes a field out.
///
/// # Errors
/// A key that is no parameter of this analytic, with the one that was probably meant; and everything that is wrong with the Topology then, as
/// in a file. [`Problem::field`] is the key where it is about one.
pub fn adjust(
    topology: &Topology,
    analytic: &str,
    settings: &[(String, Json)],
) -> Result<(Topology, TopologyPlan), Vec<Problem>> {
    let mut json = serde_json::to_value(topology).map_err(|error| vec![broken(error.to_string())])?;
    let places = Places::of(&json, analytic)?;
    let mut problems = Vec::new();
    for (key, value) in settings {
        match places.of_key(key) {
            Ok(pointer) => {
                if let Some((parent, _)) = pointer.rsplit_once('/')
                    && parent.rsplit('/').next() == Some(CHOICE)
                {
                    set(&mut json, parent, Json::Object(Map::new()));
                }
                set(&mut json, &pointer, value.clone());
            }
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    check(&json).map_err(|faults| faults.into_iter().map(|fault| places.told(fault)).collect())
}

/// Where the parameters of an analytic stand in its Topology.
struct Places {
    /// For each part of the document (its path): the fields that may be set, and whether any name may follow.
    parts: Vec<(String, Vec<(String, bool)>)>,
}

impl Places {
    fn of(json: &Json, name: &str) -> Result<Self, Vec<Problem>> {
        let items = |list: &str| json["spec"][list].as_array().cloned().unwrap_or_default();
        let place =
            |items: &[Json], name: &str| items.iter().position(|item| item["name"].as_str() == Some(name));
        let analytics = items("analytics");
        let Some(a) = place(&analytics, name) else {
            let names: Vec<_> = analytics.iter().filter_map(|analytic| analytic["name"].as_str()).collect();
            return Err(vec![Problem::new(
                "spec.analytics",
                format!("there is no analytic `{}`", shorten(name)),
                match closest(name, names.iter().copied()) {
                    Some(close) => format!("did you mean {close}?"),
                    None => format!("use one of: {}", list(&names)),
                },
            )]);
        };
        let kind = KINDS.into_iter().find(|kind| !analytics[a][*kind].is_null()).unwrap_or_default();
        let source = analytics[a]["source"].as_str().unwrap_or_default();
        let s = place(&items("sources"), source).unwrap_or_default();
        let schema = &definition::of(Kind::Topology).schema;
        let fields = |path: &[&str], but: &[&str]| {
            let paths = schema.at(path).map(Schema::paths).unwrap_or_default();
            let first = |path: &str| path.split('.').next().unwrap_or_default().to_owned();
            paths.into_iter().filter(|(path, _)| !but.contains(&first(path).as_str())).collect::<Vec<_>>()
        };
        let other_kinds = KINDS.into_iter().filter(|other| *other != kind);
        let but: Vec<_> = ANALYTIC_NAMES.into_iter().chain(other_kinds).collect();
        let at = format!("spec.analytics[{a}]");
        Ok(Self {
            parts: vec![
                (format!("{at}.{kind}"), fields(&["spec", "analytics", kind], &[])),
                (at, fields(&["spec", "analytics"], &but)),
                (format!("spec.sources[{s}]"), fields(&["spec", "sources"], &SOURCE_NAMES)),
            ],
        })
    }

    /// The JSON pointer of a key.
    fn of_key(&self, key: &str) -> Result<String, Problem> {
        let fits = |(path, open): &(String, bool)| {
            path == key
                || (*open && key.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.')))
        };
        // A tag's name may hold dots: below an open field nothing is taken apart.
        for (part, fields) in &self.parts {
            if let Some((path, _)) = fields.iter().find(|field| fits(field)) {
                let below = key[path.len()..].trim_start_matches('.');
                let part = part.replace(['.', '['], "/").replace(']', "");
                let below = if below.is_empty() {
                    String::new()
                } else {
                    format!("/{}", below.replace('~', "~0").replace('/', "~1"))
                };
                return Ok(format!("/{part}/{}{below}", path.replace('.', "/")));
            }
        }
        let names: Vec<_> =
            self.parts.iter().flat_map(|(_, fields)| fields).map(|(path, _)| path.as_str()).collect();
        // `windows` is most likely meant to be `persistence.windows`.
        let last = |name: &&&str| name.rsplit('.').next() == Some(key);
        let fix = match names.iter().find(last).copied().or_else(|| closest(key, names.iter().copied())) {
            Some(close) => format!("did you mean {close}?"),
            None => format!("there are: {}", list(&names)),
        };
        Err(Problem::new(key, "this analytic has no such parameter", fix))
    }

    /// A fault in the words of who set parameters.
    fn told(&self, fault: Fault) -> Problem {
        let Fault { field, message, fix, .. } = fault;
        let key =
            self.parts.iter().find_map(|(part, _)| field.strip_prefix(part.as_str())?.strip_prefix('.'));
        Problem::new(key.map_or_else(|| field.clone(), str::to_owned), message, fix)
    }
}

/// Sets the value at a JSON pointer, making the objects on the way.
fn set(json: &mut Json, pointer: &str, value: Json) {
    let mut here = json;
    let mut parts = pointer.trim_start_matches('/').split('/').peekable();
    while let Some(part) = parts.next() {
        let part = part.replace("~1", "/").replace("~0", "~");
        let last = parts.peek().is_none();
        if let Json::Array(items) = here {
            let Some(item) = part.parse::<usize>().ok().and_then(|n| items.get_mut(n)) else { return };
            here = item;
            continue;
        }
        if !here.is_object() {
            *here = Json::Object(Map::new());
        }
        let Json::Object(fields) = here else { return };
        if last {
            match value {
                Json::Null => drop(fields.remove(&part)),
                value => drop(fields.insert(part, value)),
            }
            return;
        }
        here = fields.entry(part).or_insert(Json::Null);
    }
}

/// JSON is YAML: what is checked is what a file would hold.
fn check(json: &Json) -> Result<(Topology, TopologyPlan), Vec<Fault>> {
    let (nodes, mut faults) = parse(&json.to_string(), &mut Budget::default());
    let name = json["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let id = ResourceId { kind: Kind::Topology, namespace: DEFAULT_NAMESPACE.into(), name };
    let checked = nodes.first().and_then(|node| resource(&id, node, &Snapshot::default(), &mut faults));
    match checked {
        Some(Resource::Topology(topology, plan)) if faults.is_empty() => Ok((topology, plan)),
        _ => Err(faults),
    }
}

fn broken(message: String) -> Problem {
    Problem::new("", message, "write the Topology anew")
}

#[cfg(test)]
mod tests;
