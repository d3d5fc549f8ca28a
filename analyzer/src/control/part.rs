//! A part of a plan, an analytic or a source, as the resource has it: where values are read, and held against the resource's rules.

use kinetic_api::{
    VERSION,
    duration::Duration,
    plan::{AnalyticKind, Problem, SourcePlan, ThresholdRule, TopologyPlan},
    resources::{Topology, topology::Threshold},
};
use serde_json::{Map, Value as Json, json};

/// The fields that an analytic of any kind has.
const PERSISTENCE: &str = "persistence";
const RATIO: &str = "ratio";
/// The one field of a ratio that only judges.
const MIN_DENOMINATOR: &str = "ratio.minDenominator";

/// A part of a plan, by its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Source(usize),
    Analytic(usize),
}

/// A field of a part that can change in place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// Its path in the part as the resource has it: `cluster.minStddev.relative`.
    pub(super) path: String,
    pub(super) value: Json,
}

impl Field {
    /// The path without the analytic's kind: `minStddev.relative`.
    pub(super) fn short(path: &str) -> &str {
        match path.split_once('.') {
            Some((PERSISTENCE | RATIO, _)) | None => path,
            Some((_, rest)) => rest,
        }
    }
}

impl Part {
    pub(super) fn all(plan: &TopologyPlan) -> impl Iterator<Item = Self> + use<> {
        (0..plan.sources.len()).map(Self::Source).chain((0..plan.analytics.len()).map(Self::Analytic))
    }

    pub(super) fn name(self, plan: &TopologyPlan) -> &str {
        match self {
            Self::Source(n) => &plan.sources[n].name,
            Self::Analytic(n) => &plan.analytics[n].name,
        }
    }

    /// The path of a field of this part in the schema of a Topology.
    pub(super) fn schema_path(self, path: &str) -> String {
        match self {
            Self::Source(_) => format!("spec.sources.{path}"),
            Self::Analytic(_) => format!("spec.analytics.{path}"),
        }
    }

    /// Whether the resource has a field of this name that no key stands for, since it decides what is read, not how it is judged.
    pub(super) fn needs_edit(self, plan: &TopologyPlan, field: &str) -> bool {
        let first = field.split('.').next().unwrap_or_default();
        match self {
            Self::Source(_) => ["type", "profiles", "interval", "retention", "origin"].contains(&first),
            Self::Analytic(n) => {
                ["source", "match", "statistic", "change"].contains(&first)
                    || (first == RATIO && field != MIN_DENOMINATOR)
                    || match plan.analytics[n].kind {
                        AnalyticKind::Cluster(_) => first == "groupBy",
                        AnalyticKind::Absence { .. } => first == "of",
                        AnalyticKind::Stddev(_) | AnalyticKind::Threshold(_) => false,
                    }
            }
        }
    }

    /// The fields that can change in place.
    pub(super) fn fields(self, plan: &TopologyPlan) -> Vec<Field> {
        let mut fields = Vec::new();
        leaves(&self.fragment(plan), "", &mut fields);
        fields.retain(|field| !self.needs_edit(plan, Field::short(&field.path)));
        // Where it is not set apart the line is where it clears, too: a value like any other.
        if let Self::Analytic(n) = self
            && let AnalyticKind::Threshold(rule) = plan.analytics[n].kind
        {
            let (path, clear) = match rule {
                ThresholdRule::Above { clear, .. } => ("threshold.clearBelow", clear),
                ThresholdRule::Below { clear, .. } => ("threshold.clearAbove", clear),
            };
            if !fields.iter().any(|field| field.path == path) {
                fields.push(Field { path: path.into(), value: clear.into() });
            }
        }
        fields
    }

    /// Takes values over, by path, as an edit of the resource would.
    ///
    /// # Errors
    /// What the resource's rules say against them, with [`Field::short`] paths; the plan is as it was.
    pub(super) fn set<'a>(
        self,
        plan: &mut TopologyPlan,
        values: impl Iterator<Item = (&'a str, &'a Json)>,
    ) -> Result<(), Vec<Problem>> {
        let mut fragment = self.fragment(plan);
        for (path, value) in values {
            put(&mut fragment, path, value);
        }
        let read = self.read(plan, fragment)?;
        match self {
            Self::Source(n) => plan.sources[n].lateness_ms = read.sources[0].lateness_ms,
            Self::Analytic(n) => {
                let read = &read.analytics[0];
                plan.analytics[n].persistence = read.persistence;
                plan.analytics[n].kind = read.kind.clone();
                if let (Some(ratio), Some(read)) = (&mut plan.analytics[n].ratio, &read.ratio) {
                    ratio.min_denominator = read.min_denominator;
                }
            }
        }
        Ok(())
    }

    /// Whether two plans have the same values for this part.
    pub(super) fn is_same(self, a: &TopologyPlan, b: &TopologyPlan) -> bool {
        self.fragment(a) == self.fragment(b)
    }

    /// What of this part can be a key, with what it takes to be read again.
    fn fragment(self, plan: &TopologyPlan) -> Map<String, Json> {
        let fragment = match self {
            Self::Source(n) => json!({ "lateness": millis(plan.sources[n].lateness_ms) }),
            Self::Analytic(n) => {
                let analytic = &plan.analytics[n];
                let (kind, parameters) = match &analytic.kind {
                    AnalyticKind::Cluster(cluster) => ("cluster", json!(cluster)),
                    AnalyticKind::Stddev(stddev) => ("stddev", json!(stddev)),
                    AnalyticKind::Threshold(rule) => ("threshold", json!(threshold(*rule))),
                    AnalyticKind::Absence { after_ms, of } => {
                        ("absence", json!({ "after": millis(*after_ms), "of": of }))
                    }
                };
                let mut fragment = json!({ PERSISTENCE: analytic.persistence, kind: parameters });
                if let Some(ratio) = &analytic.ratio {
                    fragment[RATIO] =
                        json!({ "denominator": "divided.by", "minDenominator": ratio.min_denominator });
                }
                fragment
            }
        };
        match fragment {
            Json::Object(fields) => fields,
            _ => Map::new(),
        }
    }

    /// The plan of the smallest Topology that has this part with these fields.
    fn read(self, plan: &TopologyPlan, fragment: Map<String, Json>) -> Result<TopologyPlan, Vec<Problem>> {
        let source = |source: &SourcePlan| {
            let SourcePlan { name, interval_ms, lateness_ms, .. } = source;
            json!({ "name": name, "type": "statsd", "interval": millis(*interval_ms), "lateness": millis(*lateness_ms) })
        };
        let over = |mut fields: Json| {
            if let Json::Object(fields) = &mut fields {
                fields.extend(fragment);
            }
            fields
        };
        let (list, sources, analytics) = match self {
            Self::Source(n) => ("spec.sources[0].", over(source(&plan.sources[n])), json!([])),
            Self::Analytic(n) => {
                let read = &plan.sources[plan.analytics[n].source];
                let analytic = json!({ "name": plan.analytics[n].name, "source": read.name, "match": { "metric": "metric" } });
                ("spec.analytics[0].", source(read), json!([over(analytic)]))
            }
        };
        let topology = json!({
            "apiVersion": format!("{}/{VERSION}", kinetic_api::GROUP), "kind": "Topology", "metadata": { "name": plan.name },
            "spec": { "customer": plan.customer, "sources": [sources], "analytics": analytics },
        });
        let topology: Topology = serde_json::from_value(topology)
            .map_err(|error| vec![Problem::new("", error.to_string(), "write it as the Topology would")])?;
        TopologyPlan::new(&topology).map_err(|problems| {
            let short = |problem: Problem| {
                let path = problem.field.strip_prefix(list).unwrap_or_default();
                Problem { field: Field::short(path).to_owned(), ..problem }
            };
            problems.into_iter().map(short).collect()
        })
    }
}

/// A clear that is the line is none: it then follows the line.
fn threshold(rule: ThresholdRule) -> Threshold {
    let apart = |clear: f64, line: f64| (clear.to_bits() != line.to_bits()).then_some(clear);
    match rule {
        ThresholdRule::Above { line, clear } => {
            Threshold { above: Some(line), clear_below: apart(clear, line), ..Threshold::default() }
        }
        ThresholdRule::Below { line, clear } => {
            Threshold { below: Some(line), clear_above: apart(clear, line), ..Threshold::default() }
        }
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

/// All numbers and texts, by path.
fn leaves(fields: &Map<String, Json>, above: &str, found: &mut Vec<Field>) {
    for (name, value) in fields {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            Json::Object(below) => leaves(below, &path, found),
            Json::Array(_) | Json::Null => {}
            Json::Bool(_) | Json::Number(_) | Json::String(_) => {
                found.push(Field { path, value: value.clone() });
            }
        }
    }
}

fn put(fields: &mut Map<String, Json>, path: &str, value: &Json) {
    match path.split_once('.') {
        None => {
            fields.insert(path.to_owned(), value.clone());
        }
        Some((first, rest)) => {
            if let Some(Json::Object(below)) = fields.get_mut(first) {
                put(below, rest, value);
            }
        }
    }
}
