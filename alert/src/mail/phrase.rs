//! What, where and how much, in one line.

use kinetic_api::{anomaly::AnalyticName, resources::topology::Direction, statistic::Statistic};
use kinetic_chart::figures::{number, span};

use crate::{
    group::{Phase, Reason},
    incident::Facts,
    notification::{Entry, Notification},
};

/// Origins that a subject names at most.
const NAMED: usize = 5;

/// An incident in one line: `web-3: page.checkout.time 912 is 5.3 sigma above its 7 peers`.
pub(crate) fn headline(entry: &Entry) -> String {
    let what = what(entry);
    match entry.phase {
        Phase::New | Phase::Ongoing => format!("{what}{}", found(&entry.facts, "is")),
        Phase::Passed => format!("{what}{}{}", found(&entry.facts, "was"), lasted(entry, "for")),
        Phase::Resolved => format!("{what}{}{}", back(entry), lasted(entry, "after")),
    }
}

/// The subject of a message: what is new in it comes first.
pub(crate) fn subject(notification: &Notification) -> String {
    let Notification { counts, entries, .. } = notification;
    let (leads, all): (&[Phase], usize) = match notification.reason {
        Reason::FirstNotification | Reason::NewIncidents => {
            (&[Phase::New, Phase::Passed], counts.new + counts.passed)
        }
        Reason::Resolved => (&[Phase::Resolved], counts.resolved),
        Reason::Repeat => (&[Phase::Ongoing], counts.ongoing),
    };
    let first: Vec<&Entry> = entries.iter().filter(|entry| leads.contains(&entry.phase)).collect();
    let prefix = match notification.reason {
        Reason::Resolved => "resolved: ",
        Reason::Repeat => "still: ",
        Reason::FirstNotification | Reason::NewIncidents if counts.new == 0 => "over already: ",
        Reason::FirstNotification | Reason::NewIncidents => "",
    };
    let body = match first.as_slice() {
        [only] => format!("{} ({})", headline(only), only.analytic),
        several => common(several, all),
    };
    let tail = match (notification.reason, counts.ongoing) {
        (Reason::Repeat, _) | (_, 0) => String::new(),
        (_, ongoing) => format!("; {ongoing} more firing"),
    };
    format!("[kinetic] {prefix}{body}{tail}")
}

/// `3 incidents: slow-host page.checkout.time (web-3, web-5, web-7)`: what they have in common, and where they are.
fn common(entries: &[&Entry], all: usize) -> String {
    let shared = |of: fn(&Entry) -> &str| {
        let first = entries.first().map(|entry| of(entry)).filter(|text| !text.is_empty())?;
        entries.iter().all(|entry| of(entry) == first).then_some(first)
    };
    let shared: Vec<&str> =
        [shared(|entry| &entry.analytic), shared(|entry| &entry.metric)].into_iter().flatten().collect();
    let mut origins: Vec<&str> = Vec::new();
    for entry in entries {
        let place = if entry.origin.is_empty() { &entry.series } else { &entry.origin };
        if !origins.contains(&place.as_str()) {
            origins.push(place);
        }
    }
    let more = origins.len().saturating_sub(NAMED);
    origins.truncate(NAMED);
    let more = if more > 0 { format!(", +{more}") } else { String::new() };
    let places = origins.join(", ");
    let shared = if shared.is_empty() { String::new() } else { format!("{} ", shared.join(" ")) };
    format!("{all} incidents: {shared}({places}{more})")
}

/// `web-3: page.checkout.time`; the statistic where it is not the usual one.
fn what(entry: &Entry) -> String {
    let metric = if entry.metric.is_empty() { &entry.facts.source } else { &entry.metric };
    let statistic = match (entry.facts.kind, entry.facts.statistic, &entry.facts.measure) {
        (_, _, Some(measure)) => format!(" ({measure})"),
        (AnalyticName::Absence, ..) | (_, Statistic::Mean | Statistic::Last, None) => String::new(),
        (_, other, None) => format!(" ({other})"),
    };
    let origin = if entry.origin.is_empty() { String::new() } else { format!("{}: ", entry.origin) };
    format!("{origin}{metric}{statistic}")
}

/// ` 912 is 5.3 sigma above its 7 peers`.
fn found(facts: &Facts, verb: &str) -> String {
    let value = facts.value.map(|value| format!(" {}", number(value))).unwrap_or_default();
    let side = side(facts);
    let far = match facts.deviation {
        Some(deviation) => format!("{:.1} sigma {side}", deviation.abs()),
        None => side.to_owned(),
    };
    match facts.kind {
        AnalyticName::Cluster => {
            let peers = facts.peers.map(|n| format!("{n} ")).unwrap_or_default();
            format!("{value} {verb} {far} its {peers}peers")
        }
        AnalyticName::Stddev => {
            let usual = facts.expected.map(|expected| format!(" {}", number(expected))).unwrap_or_default();
            format!("{value} {verb} {far} its usual{usual}")
        }
        AnalyticName::Threshold => format!("{value} {verb} {side} {}", number(facts.threshold)),
        AnalyticName::Absence => {
            #[expect(clippy::cast_possible_truncation, reason = "seconds of silence; a cast saturates")]
            let silence = jiff::SignedDuration::from_secs(facts.threshold as i64);
            format!(" {verb} silent for more than {}", span(silence))
        }
    }
}

fn back(entry: &Entry) -> String {
    let value = entry.resolution.as_ref().and_then(|facts| facts.value);
    match (entry.facts.kind, value) {
        (AnalyticName::Absence, _) => " is heard again".into(),
        (_, Some(value)) => format!(" is back at {}", number(value)),
        (_, None) => " is over".into(),
    }
}

fn lasted(entry: &Entry, word: &str) -> String {
    entry
        .ends_at
        .map(|end| format!(" {word} {}", span(end.duration_since(entry.starts_at))))
        .unwrap_or_default()
}

fn side(facts: &Facts) -> &'static str {
    let above = match facts.direction {
        Direction::Above => true,
        Direction::Below => false,
        Direction::Both => facts.deviation.unwrap_or_default() >= 0.0,
    };
    if above { "above" } else { "below" }
}

#[cfg(test)]
mod tests;
