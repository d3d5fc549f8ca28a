//! Which analytic, with which parameters.

use std::path::PathBuf;

use kinetic_api::{
    duration::Duration,
    plan::{AnalyticKind, AnalyticPlan, Problem, SourcePlan, TopologyPlan},
    resources::Topology,
};
use serde_json::{Value as Json, json};

use super::{args::Setting, error::BacktestError};
use crate::validate::load_or_report;

/// The kinds that can be tried without a Topology.
const KINDS: [&str; 4] = ["cluster", "stddev", "threshold", "absence"];
/// Without a Topology a baseline holds as many windows as the default of an hour does at the default of ten seconds.
const BASELINE_WINDOWS: u64 = 360;
/// Without a Topology so many windows of silence are borne.
const SILENT_WINDOWS: u64 = 5;
/// The windows of a source whose spacing nobody knows.
const DEFAULT_INTERVAL_MS: u64 = 10_000;

/// An analytic as it is to be tried.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) plan: TopologyPlan,
    /// Its place in the plan.
    pub(super) analytic: usize,
    /// As the resource has it, for people and programs.
    pub(super) resource: Json,
}

impl Choice {
    /// The analytic that `name` means in these files, or the kind that it is without any; `spacing_ms` is the data's, if it is known.
    pub(super) fn new(
        name: &str,
        files: &[PathBuf],
        settings: &[Setting],
        spacing_ms: Option<i64>,
    ) -> Result<Self, BacktestError> {
        let (topology, analytic) =
            if files.is_empty() { of_kind(name, settings, spacing_ms)? } else { of_files(name, files)? };
        let settings: Vec<_> =
            settings.iter().map(|Setting { key, value }| (key.clone(), value.clone())).collect();
        let (topology, plan) = kinetic_resources::adjust(&topology, &analytic, &settings)
            .map_err(|problems| BacktestError::Settings(spelt_out(problems)))?;
        let place = plan.analytics.iter().position(|plan| plan.name == analytic);
        let place = place.ok_or_else(|| unknown(name, std::slice::from_ref(&analytic)))?;
        let resource = serde_json::to_value(&topology.spec.analytics[place]).unwrap_or_default();
        Ok(Self { plan, analytic: place, resource })
    }

    pub(super) fn analytic(&self) -> &AnalyticPlan {
        &self.plan.analytics[self.analytic]
    }

    pub(super) fn source(&self) -> &SourcePlan {
        &self.plan.sources[self.analytic().source]
    }

    /// The kind's name.
    pub(super) fn kind(&self) -> &'static str {
        match self.analytic().kind {
            AnalyticKind::Cluster(_) => "cluster",
            AnalyticKind::Stddev(_) => "stddev",
            AnalyticKind::Threshold(_) => "threshold",
            AnalyticKind::Absence { .. } => "absence",
        }
    }
}

/// What the schema says of a missing line, in the words of a command line.
fn spelt_out(problems: Vec<Problem>) -> Vec<Problem> {
    let in_words = |problem: Problem| {
        if problem.field.ends_with("threshold") {
            let fix = "add --set above=N, or --set below=N".into();
            Problem { field: "above".into(), fix, ..problem }
        } else {
            problem
        }
    };
    problems.into_iter().map(in_words).collect()
}

/// A Topology of one analytic that is this kind.
fn of_kind(
    name: &str,
    settings: &[Setting],
    spacing_ms: Option<i64>,
) -> Result<(Topology, String), BacktestError> {
    if !KINDS.contains(&name) {
        let fix = match kinetic_api::suggest::closest(name, KINDS.into_iter()) {
            Some(close) => format!("did you mean {close}?"),
            None => {
                format!("use one of: {}; or name the file that holds the analytic with -f", KINDS.join(", "))
            }
        };
        return Err(BacktestError::NoKind { name: name.to_owned(), fix });
    }
    // What scales with the windows' length must know it before it is set.
    let set = settings.iter().rev().find(|setting| setting.key == "interval").and_then(|s| s.value.as_str());
    let set = set.and_then(|text| text.parse::<Duration>().ok()).map(Duration::as_millis);
    let interval_ms = match set.or(spacing_ms).and_then(|ms| u64::try_from(ms).ok()) {
        Some(ms) if ms > 0 => ms,
        _ => DEFAULT_INTERVAL_MS,
    };
    let windows = |count: u64| Duration::from_millis(interval_ms.saturating_mul(count)).to_string();
    let parameters = match name {
        "stddev" => json!({"baseline": windows(BASELINE_WINDOWS)}),
        "absence" => json!({"after": windows(SILENT_WINDOWS)}),
        _ => json!({}),
    };
    let topology = json!({
        "apiVersion": "kinetic.dev/v1alpha1",
        "kind": "Topology",
        "metadata": {"name": "backtest"},
        "spec": {
            "customer": "backtest",
            "sources": [{"name": "input", "type": "statsd", "interval": windows(1)}],
            "analytics": [{"name": name, "source": "input", "match": {"metric": "**"}, name: parameters}],
        },
    });
    let topology = serde_json::from_value(topology).map_err(|error| {
        let fix = "set another interval, such as --set interval=5m".to_owned();
        BacktestError::Settings(vec![Problem::new("interval", error.to_string(), fix)])
    })?;
    Ok((topology, name.to_owned()))
}

/// The Topology that holds the analytic: `NAME`, or `TOPOLOGY/NAME` where several do.
fn of_files(name: &str, files: &[PathBuf]) -> Result<(Topology, String), BacktestError> {
    let snapshot = load_or_report(files).ok_or(BacktestError::Resources)?;
    let (topology, analytic) = match name.split_once('/') {
        Some((topology, analytic)) => (Some(topology), analytic),
        None => (None, name),
    };
    let mut full_names = Vec::new();
    let mut found = Vec::new();
    for entry in &snapshot.topologies {
        for candidate in &entry.resource.spec.analytics {
            full_names.push(format!("{}/{}", entry.name(), &*candidate.name));
            if &*candidate.name == analytic && topology.is_none_or(|topology| topology == entry.name()) {
                found.push(entry);
            }
        }
    }
    match found.as_slice() {
        [only] => Ok((only.resource.clone(), analytic.to_owned())),
        [] => Err(unknown(name, &full_names)),
        several => {
            let names: Vec<_> = several.iter().map(|entry| format!("{}/{analytic}", entry.name())).collect();
            let fix = format!("several have; use one of: {}", names.join(", "));
            Err(BacktestError::NoAnalytic { name: name.to_owned(), fix })
        }
    }
}

fn unknown(name: &str, known: &[String]) -> BacktestError {
    let short = |full: &str| full.rsplit('/').next().unwrap_or_default().to_owned();
    let shorts: Vec<_> = known.iter().map(|full| short(full)).collect();
    let fix = match kinetic_api::suggest::closest(name, shorts.iter().map(String::as_str)) {
        Some(close) => format!("did you mean {close}?"),
        None => format!("there are: {}", known.join(", ")),
    };
    BacktestError::NoAnalytic { name: name.to_owned(), fix }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(name: &str, settings: &[&str], spacing_ms: Option<i64>) -> Result<Choice, String> {
        let settings: Vec<Setting> = settings.iter().map(|text| text.parse().unwrap()).collect();
        Choice::new(name, &[], &settings, spacing_ms).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_topology_windows_are_as_wide_as_the_data_is_spaced() {
        let chosen = choice("stddev", &[], Some(300_000)).unwrap();
        assert_eq!(chosen.source().interval_ms, 300_000);
        assert_eq!(chosen.resource["stddev"]["baseline"], json!("30h"));
        let chosen = choice("stddev", &["interval=1m", "deviation=3"], Some(300_000)).unwrap();
        assert_eq!(chosen.source().interval_ms, 60_000);
        assert_eq!(chosen.resource["stddev"]["baseline"], json!("6h"));
        assert_eq!(chosen.resource["stddev"]["deviation"], json!(3.0));
        let chosen = choice("absence", &[], Some(60_000)).unwrap();
        assert_eq!(chosen.kind(), "absence");
        assert_eq!(chosen.resource["absence"]["after"], json!("5m"));
    }

    #[test]
    fn what_is_wrong_is_told_with_the_fix() {
        for (name, settings, said) in [
            ("stdev", &[][..], "did you mean stddev?"),
            ("anything", &[], "use one of: cluster, stddev"),
            ("threshold", &[], "add --set above=N"),
            (
                "stddev",
                &["deviaton=3"],
                "--set deviaton: this analytic has no such parameter: did you mean deviation?",
            ),
            ("stddev", &["deviation=lots"], "--set deviation: "),
            ("stddev", &["interval=often"], "--set interval: "),
        ] {
            let error = choice(name, settings, Some(10_000)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn with_files_the_analytic_is_the_topologys() {
        let web_shop = [PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/web-shop"))];
        let chosen = Choice::new("slow-host", &web_shop, &["deviation=7".parse().unwrap()], Some(1)).unwrap();
        assert_eq!(chosen.kind(), "cluster");
        assert_eq!(chosen.source().interval_ms, 5_000);
        assert_eq!(chosen.resource["cluster"]["deviation"], json!(7.0));
        let missing = Choice::new("slow-hots", &web_shop, &[], None).unwrap_err().to_string();
        assert!(missing.contains("did you mean slow-host?"), "{missing}");
    }
}
