//! Plans and findings that the tests start from.

use jiff::{SignedDuration, Timestamp};
use kinetic_api::{
    anomaly::{AnalyticName, Anomaly, Finding, Found, HistoryWindow, PeerLine, Peers, State},
    plan::{AlertPlan, GroupKey, ReceiverPlan},
    resources::{alert::Email, topology::Direction},
    statistic::Statistic,
};

use crate::{
    group::{Phase, Reason},
    incident::Facts,
    notification::{Counts, Entry, Notification},
};

/// 2026-11-21T10:33:20Z.
pub fn time() -> Timestamp {
    Timestamp::from_second(1_795_257_200).unwrap()
}

pub fn plan() -> AlertPlan {
    AlertPlan {
        name: "checkout".into(),
        topology: "web".into(),
        analytics: vec![],
        sources: vec![],
        profiles: vec![],
        origins: vec![],
        min_score: 0.0,
        active: true,
        group_by: vec![GroupKey::Analytic, GroupKey::Metric],
        group_wait_ms: 30_000,
        group_interval_ms: 300_000,
        repeat_interval_ms: 14_400_000,
        send_resolved: true,
        receivers: vec![receiver("oncall", &["oncall@acme.example"])],
    }
}

pub fn receiver(name: &str, to: &[&str]) -> ReceiverPlan {
    let to = to.iter().map(ToString::to_string).collect();
    ReceiverPlan { name: name.into(), email: Email { to, subject_template: None, body_template: None } }
}

/// web-3's checkout takes 912 ms, its seven peers about 118.
pub fn finding() -> Finding {
    let window = |n: i64| {
        let noise = f64::from(i32::try_from(n * 37 % 11).unwrap());
        let value =
            if n >= 52 { 700.0 + 30.0 * f64::from(i32::try_from(n - 52).unwrap()) } else { 112.0 + noise };
        HistoryWindow {
            time: time() - SignedDuration::from_secs(10 * (59 - n)),
            value: Some(if n == 59 { 912.0 } else { value }),
            expected: Some(118.0),
            lower: Some(92.0),
            upper: Some(144.0),
        }
    };
    let line = |peer: i64| PeerLine {
        origin: format!("web-{}", if peer < 3 { peer } else { peer + 1 }),
        values: (0..60)
            .map(|n| Some(110.0 + f64::from(i32::try_from((n * 31 + peer * 17) % 19).unwrap())))
            .collect(),
    };
    Finding {
        customer: "acme".into(),
        topology: "web".into(),
        analytic: "slow-host".into(),
        analytic_kind: AnalyticName::Cluster,
        metrics_source: "pages".into(),
        profiles: vec!["web".into()],
        metric: "page.checkout.time".into(),
        origin: "web-3".into(),
        tags: vec![("env".into(), "prod".into())],
        statistic: Statistic::Mean,
        measure: None,
        interval_ms: 10_000,
        value: Some(912.0),
        expected: Some(118.0),
        stddev: Some(6.5),
        deviation: Some(5.3),
        threshold: 4.0,
        score: 1.325,
        direction: Direction::Above,
        state: State::Firing,
        since: time() - SignedDuration::from_secs(80),
        peers: Some(Peers {
            count: 7,
            origins: (1..=7).map(|n| format!("web-{}", if n < 3 { n } else { n + 1 })).collect(),
            lines: (1..=7).map(line).collect(),
        }),
        history: (0..60).map(window).collect(),
        found: Found::Live,
        explanation: "web-3's mean of page.checkout.time was 912, its 7 peers' 118 ± 6.5.".into(),
    }
}

/// A finding about an origin, at so many seconds after [`time`].
pub fn anomaly(origin: &str, state: State, at_s: i64) -> Anomaly {
    let time = time() + SignedDuration::from_secs(at_s);
    let mut finding = finding();
    finding.origin = origin.into();
    finding.state = state;
    finding.since = time - SignedDuration::from_secs(10);
    Anomaly::new(time, finding)
}

/// What a message says of an origin; one that is over was so after twelve minutes.
pub fn entry(origin: &str, phase: Phase) -> Entry {
    let anomaly = anomaly(origin, State::Firing, 0);
    let over = matches!(phase, Phase::Resolved | Phase::Passed);
    let facts = Facts::from(&anomaly.data);
    Entry {
        phase,
        incident: format!("incident-{origin}"),
        analytic: "slow-host".into(),
        series: anomaly.subject.clone(),
        metric: "page.checkout.time".into(),
        origin: origin.into(),
        starts_at: time(),
        ends_at: over.then(|| time() + SignedDuration::from_mins(12)),
        resolution: over.then(|| Facts { value: Some(121.0), ..facts.clone() }),
        facts,
        chart: anomaly.id,
    }
}

/// The first message about web-3.
pub fn notification() -> Notification {
    Notification {
        customer: "acme".into(),
        topology: "web".into(),
        alert: "checkout".into(),
        receiver: "oncall".into(),
        to: vec!["oncall@acme.example".into()],
        subject_template: None,
        body_template: None,
        group: "group".into(),
        labels: vec![("analytic".into(), "slow-host".into()), ("metric".into(), "page.checkout.time".into())],
        sequence: 1,
        reason: Reason::FirstNotification,
        at: time() + SignedDuration::from_secs(30),
        entries: vec![entry("web-3", Phase::New)],
        counts: Counts { new: 1, ..Counts::default() },
        overflow: 0,
    }
}
