//! What a Topology's analyzers tell, made a part of its status: pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kinetic_api::{
    fitness::{AnalyzerFitness, SourceFitness},
    resources::{
        Topology,
        topology::{Analytic, AnalyticState, AnalyticStatus},
    },
};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::condition::Verdict;

const KIND: &str = "SourcesLive";
/// An analyzer that is further behind than this is said to be.
const BEHIND: SignedDuration = SignedDuration::from_mins(1);

/// Each analytic as the status should have it: how it fares, as far as somebody told, and since when what it finds is news.
#[must_use]
pub fn analytics(
    topology: &Topology,
    before: &[AnalyticStatus],
    told: &[AnalyzerFitness],
    now: Timestamp,
) -> Vec<AnalyticStatus> {
    let of = |analytic: &Analytic| {
        let name = analytic.name.to_string();
        let definition = definition(topology, analytic);
        let known = before.iter().find(|known| known.name == name);
        let same = known.filter(|known| known.definition.as_deref() == Some(&definition));
        let reports = told
            .iter()
            .flat_map(|analyzer| &analyzer.sources)
            .flat_map(|source| &source.analytics)
            .filter(|report| report.name == name);
        // Analyzers that share a stream have other series each: what one of them can see can fire.
        let best = reports.min_by_key(|report| rank(report.state));
        let (state, reason) = match (best, same) {
            (Some(report), _) => (report.state, report.reason.clone()),
            (None, Some(known)) => (known.state, known.reason.clone()),
            (None, None) => (AnalyticState::WarmingUp, None),
        };
        let since = same.and_then(|known| known.active_since.clone());
        AnalyticStatus {
            name,
            state,
            reason: reason.map(|reason| reason.chars().take(1000).collect()),
            active_since: Some(since.unwrap_or_else(|| now.to_string())),
            definition: Some(definition),
        }
    };
    topology.spec.analytics.iter().map(of).collect()
}

const fn rank(state: AnalyticState) -> u8 {
    match state {
        AnalyticState::Active => 0,
        AnalyticState::WarmingUp => 1,
        AnalyticState::Unsatisfiable => 2,
    }
}

/// What an analytic is: everything that can change what it finds, as a hash.
fn definition(topology: &Topology, analytic: &Analytic) -> String {
    let source = topology.spec.sources.iter().find(|source| source.name == analytic.source);
    let seen = source.map(|s| json!([s.kind, s.interval, s.lateness, s.origin, s.profiles]));
    let all = json!([analytic, seen]);
    hex::encode(&Sha256::digest(all.to_string())[..16])
}

/// Since when each analytic's findings are news, by name.
#[must_use]
pub fn active_since(analytics: &[AnalyticStatus]) -> BTreeMap<String, String> {
    let since = |status: &AnalyticStatus| Some((status.name.clone(), status.active_since.clone()?));
    analytics.iter().filter_map(since).collect()
}

/// Whether every source is read by all analyzers, and none is far behind. Nothing where not all of them told: an image of one's own need not.
#[must_use]
pub fn sources_live(topology: &Topology, told: &[AnalyzerFitness], now: Timestamp) -> Option<Verdict> {
    if told.is_empty()
        || told.len() < usize::try_from(topology.spec.analyzer.partitions).unwrap_or(usize::MAX)
    {
        return None;
    }
    if let Some(waits) = told.iter().find(|analyzer| analyzer.standby) {
        let message = format!(
            "analyzer {} stands by: another process is at work on its partition; end that one",
            waits.partition
        );
        return Some(Verdict::bad(KIND, "Standby", message));
    }
    for source in &topology.spec.sources {
        for analyzer in told {
            let found = analyzer.sources.iter().find(|told| told.name == *source.name);
            let at = format!("source {}, analyzer {}", source.name, analyzer.partition);
            match found.and_then(|told: &SourceFitness| told.last_tick) {
                None => {
                    let message = format!(
                        "{at}: its stream is not read yet; if this stays, see the log of the pod's sidecar and the front door's"
                    );
                    return Some(Verdict::bad(KIND, "Starting", message));
                }
                Some(tick) if now.duration_since(tick) > BEHIND => {
                    let message = format!(
                        "{at}: it has read its stream up to {tick} only: the broker is away, or it has too much to do (spec.analyzer.resources, partitions)"
                    );
                    return Some(Verdict::bad(KIND, "Lagging", message));
                }
                Some(_) => {}
            }
        }
    }
    Some(Verdict::good(KIND, "Live", format!("{} source(s) are read", topology.spec.sources.len())))
}

#[cfg(test)]
mod tests {
    use kinetic_api::fitness::AnalyticFitness;

    use super::*;

    fn web(deviation: f64) -> Topology {
        serde_json::from_value(json!({
            "apiVersion": "kinetic.dev/v1alpha1", "kind": "Topology", "metadata": {"name": "web"},
            "spec": {"customer": "acme", "sources": [{"name": "pages", "type": "statsd", "interval": "10s"}], "analytics": [
                {"name": "slow", "source": "pages", "match": {"metric": "**"}, "statistic": "mean", "cluster": {"deviation": deviation}}]},
        }))
        .unwrap()
    }

    fn told(state: AnalyticState, last_tick: Option<Timestamp>) -> AnalyzerFitness {
        let analytic = AnalyticFitness { name: "slow".into(), state, reason: None };
        let source = SourceFitness {
            name: "pages".into(),
            last_tick,
            samples: 1,
            series: 1,
            firing: 0,
            analytics: vec![analytic],
            conditions: Vec::new(),
        };
        AnalyzerFitness {
            customer: "acme".into(),
            topology: "web".into(),
            partition: 0,
            partitions: 1,
            standby: false,
            version: "0".into(),
            sources: vec![source],
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn since_when_an_analytic_is_active_outlives_all_but_its_edit() {
        let (first, later) = (at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
        let new = analytics(&web(4.0), &[], &[], first);
        assert_eq!(active_since(&new)["slow"], "2026-01-01T00:00:00Z");
        assert_eq!(new[0].state, AnalyticState::WarmingUp);
        let same = analytics(&web(4.0), &new, &[told(AnalyticState::Active, None)], later);
        assert_eq!(
            (same[0].active_since.as_deref(), same[0].state),
            (new[0].active_since.as_deref(), AnalyticState::Active)
        );
        assert_eq!(analytics(&web(4.0), &same, &[], later), same, "what nobody tells of stays");
        let edited = analytics(&web(3.0), &same, &[], later);
        assert_eq!(active_since(&edited)["slow"], "2026-01-02T00:00:00Z");
        let both = [told(AnalyticState::Unsatisfiable, None), told(AnalyticState::Active, None)];
        assert_eq!(analytics(&web(4.0), &[], &both, later)[0].state, AnalyticState::Active);
    }

    #[test]
    fn a_source_is_live_when_all_of_its_analyzers_read_it() {
        let now = at("2026-01-01T01:00:00Z");
        let reason =
            |told: &[AnalyzerFitness]| sources_live(&web(4.0), told, now).map(|verdict| verdict.reason);
        assert_eq!(reason(&[]), None);
        assert_eq!(reason(&[told(AnalyticState::Active, None)]), Some("Starting"));
        assert_eq!(reason(&[told(AnalyticState::Active, Some(at("2026-01-01T00:58:00Z")))]), Some("Lagging"));
        assert_eq!(reason(&[told(AnalyticState::Active, Some(at("2026-01-01T00:59:55Z")))]), Some("Live"));
        let waits = AnalyzerFitness { standby: true, ..told(AnalyticState::Active, None) };
        assert_eq!(reason(&[waits]), Some("Standby"));
    }
}
