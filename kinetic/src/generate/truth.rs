//! What a detector should find: the JSON file of `--truth`.

use std::{fs, path::Path};

use jiff::Timestamp;
use kinetic_api::resources::topology::Direction;
use serde::Serialize;

use super::{
    error::GenerateError,
    scenario::{Anomaly, Fault, Page, Plan, Scenario, Tails, host_name},
};

/// The truth about one run. Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Truth {
    scenario: Scenario,
    seed: u64,
    start: Timestamp,
    /// The planned end; where the run was stopped, the actual one.
    end: Timestamp,
    hosts: u32,
    /// Requests per second and host.
    rate: f64,
    tails: Tails,
    anomalies: Vec<TrueAnomaly>,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct TrueAnomaly {
    kind: Scenario,
    /// The host, as the tag `host` says it.
    origin: String,
    /// The metrics that stray.
    metrics: Vec<String>,
    from: Timestamp,
    to: Timestamp,
    direction: Direction,
    /// What the metrics are multiplied by (times: their mean; requests: their rate); at its end, for a drift.
    factor: f64,
    /// The kind of analytic that is meant to find it.
    analytic_hint: &'static str,
}

impl Truth {
    /// The truth about a run that ended `until_ms` after its start.
    pub(super) fn of(plan: &Plan, until_ms: u64) -> Self {
        let anomaly = plan.anomaly.filter(|anomaly| anomaly.from_ms < until_ms.min(anomaly.to_ms));
        Self {
            scenario: plan.scenario,
            seed: plan.seed,
            start: time(plan, 0),
            end: time(plan, until_ms),
            hosts: plan.hosts,
            rate: plan.rate,
            tails: plan.tails,
            anomalies: anomaly.iter().map(|anomaly| TrueAnomaly::of(plan, anomaly, until_ms)).collect(),
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), GenerateError> {
        let mut text = serde_json::to_string_pretty(self).expect("plain strings, numbers and lists");
        text.push('\n');
        fs::write(path, text).map_err(|reason| GenerateError::Truth { path: path.to_owned(), reason })
    }
}

impl TrueAnomaly {
    fn of(plan: &Plan, anomaly: &Anomaly, until_ms: u64) -> Self {
        let (direction, analytic_hint) = match anomaly.fault {
            Fault::SlowHost | Fault::Drift | Fault::Spike => (Direction::Above, "cluster"),
            Fault::Drop => (Direction::Below, "cluster"),
            Fault::SilentHost => (Direction::Below, "absence"),
        };
        Self {
            kind: plan.scenario,
            origin: host_name(anomaly.host),
            metrics: metrics(anomaly.fault),
            from: time(plan, anomaly.from_ms),
            to: time(plan, anomaly.to_ms.min(until_ms)),
            direction,
            factor: anomaly.fault.factor(),
            analytic_hint,
        }
    }
}

fn metrics(fault: Fault) -> Vec<String> {
    let each = |what: &str| Page::ALL.map(|page| format!("page.{}.{what}", page.name()));
    match fault {
        Fault::SlowHost => vec!["page.checkout.time".to_owned()],
        Fault::Drop => each("requests").into(),
        Fault::Drift | Fault::Spike => each("time").into(),
        Fault::SilentHost => [each("time").as_slice(), &each("requests"), &["host.load".to_owned()]].concat(),
    }
}

fn time(plan: &Plan, offset_ms: u64) -> Timestamp {
    let ms = plan.start_ms.saturating_add_unsigned(offset_ms);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}
