//! What a mail's templates see, Kinetic's own and a receiver's `subjectTemplate` and `bodyTemplate` alike.

use std::collections::BTreeMap;

use kinetic_chart::figures::{number, span, utc};
use serde::Serialize;

use super::phrase;
use crate::notification::{Entry, Notification};

/// What a template sees. All names are as written here in camelCase: `{{ incidents[0].valueText }}`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Context<'a> {
    /// Kinetic's own subject.
    pub(crate) subject: String,
    pub(crate) customer: &'a str,
    pub(crate) topology: &'a str,
    pub(crate) alert: &'a str,
    pub(crate) receiver: &'a str,
    /// `FirstNotification`, `NewIncidents`, `Resolved` or `Repeat`.
    pub(crate) reason: &'static str,
    /// The message's number within its group, from 1.
    pub(crate) sequence: u32,
    /// When it was decided, such as `2026-11-21 10:33:20 UTC`.
    pub(crate) at: String,
    /// What makes the incidents one group, such as `{{ group.metric }}`.
    pub(crate) group: BTreeMap<&'a str, &'a str>,
    /// How many incidents fire.
    pub(crate) firing: usize,
    /// How many are over.
    pub(crate) resolved: usize,
    /// How many of both `incidents` leaves out.
    pub(crate) omitted: usize,
    /// What is new first, the farthest off first.
    pub(crate) incidents: Vec<IncidentContext<'a>>,
    /// What the receiver's own `bodyTemplate` made; for Kinetic's own templates.
    pub(crate) body: Option<String>,
    /// What is wrong with the receiver's own templates.
    pub(crate) problems: Vec<String>,
}

/// An incident, as a template sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IncidentContext<'a> {
    pub(crate) id: &'a str,
    /// `firing` or `resolved`.
    pub(crate) state: &'static str,
    /// `new`, `ongoing`, `resolved` or `passed` (began and was over since the last message).
    pub(crate) phase: crate::group::Phase,
    /// One line: what, where and how much.
    pub(crate) headline: String,
    /// The analytic's own sentence.
    pub(crate) explanation: &'a str,
    pub(crate) analytic: &'a str,
    pub(crate) source: &'a str,
    pub(crate) series: &'a str,
    pub(crate) metric: &'a str,
    pub(crate) origin: &'a str,
    pub(crate) tags: BTreeMap<&'a str, &'a str>,
    pub(crate) statistic: &'a str,
    /// Numbers as they are, none where there is none; the `…Text` below are rounded, for people.
    pub(crate) value: Option<f64>,
    pub(crate) expected: Option<f64>,
    pub(crate) deviation: Option<f64>,
    pub(crate) threshold: f64,
    pub(crate) score: f64,
    pub(crate) peers: Option<usize>,
    pub(crate) value_text: String,
    pub(crate) expected_text: String,
    pub(crate) deviation_text: String,
    pub(crate) starts_at: String,
    /// Empty while it fires.
    pub(crate) ends_at: String,
    /// How long it lasted; empty while it fires.
    pub(crate) lasted: String,
    /// The Content-ID of its chart; empty without one.
    pub(crate) chart: String,
}

impl<'a> Context<'a> {
    /// What templates see of a message; `charts` are the Content-IDs of its charts by incident.
    pub(crate) fn new(notification: &'a Notification, charts: &[(String, String)]) -> Self {
        Self {
            subject: phrase::subject(notification),
            customer: &notification.customer,
            topology: &notification.topology,
            alert: &notification.alert,
            receiver: &notification.receiver,
            reason: notification.reason.as_str(),
            sequence: notification.sequence,
            at: utc(notification.at),
            group: pairs(&notification.labels),
            firing: notification.counts.firing(),
            resolved: notification.counts.over(),
            omitted: notification.omitted(),
            incidents: notification.entries.iter().map(|entry| incident(entry, charts)).collect(),
            body: None,
            problems: vec![],
        }
    }
}

fn incident<'a>(entry: &'a Entry, charts: &[(String, String)]) -> IncidentContext<'a> {
    let facts = &entry.facts;
    let text = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
    let expected_text = match (facts.expected, facts.stddev) {
        (Some(expected), Some(stddev)) => format!("{} ± {}", number(expected), number(stddev)),
        (expected, _) => text(expected),
    };
    IncidentContext {
        id: &entry.incident,
        state: if entry.phase.fires() { "firing" } else { "resolved" },
        phase: entry.phase,
        headline: phrase::headline(entry),
        explanation: match &entry.resolution {
            Some(resolution) if entry.phase == crate::group::Phase::Resolved => &resolution.explanation,
            _ => &facts.explanation,
        },
        analytic: &entry.analytic,
        source: &facts.source,
        series: &entry.series,
        metric: &entry.metric,
        origin: &entry.origin,
        tags: pairs(&facts.tags),
        statistic: facts.measure.as_deref().unwrap_or(facts.statistic.as_str()),
        value: facts.value,
        expected: facts.expected,
        deviation: facts.deviation,
        threshold: facts.threshold,
        score: facts.score,
        peers: facts.peers,
        value_text: text(facts.value),
        expected_text,
        deviation_text: facts.deviation.map_or_else(|| "–".to_owned(), |sigma| format!("{sigma:+.1}σ")),
        starts_at: utc(entry.starts_at),
        ends_at: entry.ends_at.map(utc).unwrap_or_default(),
        lasted: entry.ends_at.map(|end| span(end.duration_since(entry.starts_at))).unwrap_or_default(),
        chart: charts
            .iter()
            .find(|(incident, _)| *incident == entry.incident)
            .map(|(_, cid)| cid.clone())
            .unwrap_or_default(),
    }
}

fn pairs(pairs: &[(String, String)]) -> BTreeMap<&str, &str> {
    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}
