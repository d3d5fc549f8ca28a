use super::*;
use crate::{
    fixture,
    notification::{Counts, Notification},
};

fn entry(origin: &str, phase: Phase) -> Entry {
    fixture::entry(origin, phase)
}

fn of(reason: Reason, entries: Vec<Entry>) -> Notification {
    let mut counts = Counts::default();
    for entry in &entries {
        counts.add(entry.phase);
    }
    Notification { reason, entries, counts, ..fixture::notification() }
}

#[test]
fn a_subject_says_what_where_and_how_much() {
    use Phase::{New, Ongoing, Passed, Resolved};
    use Reason::{FirstNotification, NewIncidents, Repeat, Resolved as Over};
    let cases = [
        (
            of(FirstNotification, vec![entry("web-3", New)]),
            "[kinetic] web-3: page.checkout.time 912 is 5.3 sigma above its 7 peers (slow-host)",
        ),
        (
            of(FirstNotification, vec![entry("web-3", New), entry("web-5", New), entry("web-7", New)]),
            "[kinetic] 3 incidents: slow-host page.checkout.time (web-3, web-5, web-7)",
        ),
        (
            of(NewIncidents, vec![entry("web-5", New), entry("web-3", Ongoing)]),
            "[kinetic] web-5: page.checkout.time 912 is 5.3 sigma above its 7 peers (slow-host); 1 more firing",
        ),
        (
            of(Over, vec![entry("web-3", Resolved)]),
            "[kinetic] resolved: web-3: page.checkout.time is back at 121 after 12m (slow-host)",
        ),
        (
            of(Over, vec![entry("web-3", Resolved), entry("web-5", Resolved), entry("web-7", Ongoing)]),
            "[kinetic] resolved: 2 incidents: slow-host page.checkout.time (web-3, web-5); 1 more firing",
        ),
        (
            of(FirstNotification, vec![entry("web-3", Passed)]),
            "[kinetic] over already: web-3: page.checkout.time 912 was 5.3 sigma above its 7 peers for 12m (slow-host)",
        ),
        (
            of(Repeat, vec![entry("web-3", Ongoing)]),
            "[kinetic] still: web-3: page.checkout.time 912 is 5.3 sigma above its 7 peers (slow-host)",
        ),
    ];
    for (notification, expected) in cases {
        assert_eq!(subject(&notification), expected);
    }
}

#[test]
fn many_are_counted_and_some_are_named() {
    let entries = (1..=8).map(|n| entry(&format!("web-{n}"), Phase::New)).collect();
    let mut notification = of(Reason::FirstNotification, entries);
    notification.counts.new = 120;
    assert_eq!(
        subject(&notification),
        "[kinetic] 120 incidents: slow-host page.checkout.time (web-1, web-2, web-3, web-4, web-5, +3)"
    );
}

#[test]
fn what_is_not_common_is_left_out() {
    let mut other = entry("web-5", Phase::New);
    other.metric = "page.cart.time".into();
    let notification = of(Reason::FirstNotification, vec![entry("web-3", Phase::New), other]);
    assert_eq!(subject(&notification), "[kinetic] 2 incidents: slow-host (web-3, web-5)");
}

#[test]
fn every_kind_has_its_words() {
    let headline_of = |change: fn(&mut Entry)| {
        let mut entry = entry("web-3", Phase::New);
        change(&mut entry);
        headline(&entry)
    };
    assert_eq!(
        headline_of(|e| {
            e.facts.kind = AnalyticName::Stddev;
            e.facts.statistic = Statistic::P95;
            e.facts.deviation = Some(-3.21);
            e.facts.direction = Direction::Both;
        }),
        "web-3: page.checkout.time (p95) 912 is 3.2 sigma below its usual 118"
    );
    assert_eq!(
        headline_of(|e| {
            e.facts.kind = AnalyticName::Threshold;
            e.facts.deviation = None;
            e.facts.value = Some(93.25);
            e.facts.threshold = 90.0;
            e.facts.statistic = Statistic::Last;
        }),
        "web-3: page.checkout.time 93.25 is above 90"
    );
    let silent: fn(&mut Entry) = |e| {
        e.facts.kind = AnalyticName::Absence;
        e.facts.value = None;
        e.facts.deviation = None;
        e.facts.threshold = 120.0;
    };
    assert_eq!(headline_of(silent), "web-3: page.checkout.time is silent for more than 2m");
    let mut source = entry("", Phase::New);
    silent(&mut source);
    source.metric = String::new();
    assert_eq!(headline(&source), "pages is silent for more than 2m");
    let mut heard = entry("", Phase::Resolved);
    silent(&mut heard);
    heard.metric = String::new();
    assert_eq!(headline(&heard), "pages is heard again after 12m");
}
