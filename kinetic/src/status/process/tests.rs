use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::status::link::State;

const NOW: &str = "2026-11-22T06:00:00Z";

const RESOURCES: &str = "
apiVersion: kinetic.dev/v1alpha1
kind: Customer
metadata: {name: shop}
spec: {region: test, provider: local, clients: [{name: web, profile: web}]}
---
apiVersion: kinetic.dev/v1alpha1
kind: Topology
metadata: {name: web}
spec:
  customer: shop
  sources: [{name: hosts, type: statsd, profiles: [web]}]
  analytics:
    - {name: loaded, source: hosts, match: {metric: host.load}, statistic: last, threshold: {above: 100}}
---
apiVersion: kinetic.dev/v1alpha1
kind: Alert
metadata: {name: everything}
spec: {topology: web, receivers: [{name: oncall, email: {to: [oncall@shop.example]}}]}
";

fn snapshot(text: &str) -> Snapshot {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("shop.yaml");
    std::fs::write(&file, text).unwrap();
    kinetic_resources::load(&[file]).unwrap()
}

fn series(analytics: &[&str], last_seen: &str) -> Observed {
    serde_json::from_value(
        json!({"customer": "shop", "topology": "web", "source": "hosts", "name": "host.load@a",
        "metric": "host.load", "tags": [], "origin": "a", "type": "gauge", "analytics": analytics,
        "lastSeen": last_seen, "windows": []}),
    )
    .unwrap()
}

fn incident(state: &str, error: Option<&str>) -> Incident {
    let sent = (state == "sent").then_some("2026-11-22T05:59:00Z");
    serde_json::from_value(json!({
        "id": "1", "customer": "shop", "topology": "web", "alert": "everything", "analytic": "loaded", "series": "host.load@a",
        "metric": "host.load", "origin": "a", "state": "firing", "startsAt": NOW, "endsAt": null, "silence": null,
        "facts": {"kind": "threshold", "source": "hosts", "tags": [], "statistic": "last", "value": 1.0, "expected": null,
            "stddev": null, "deviation": null, "threshold": 1.0, "score": 1.0, "direction": "Above", "peers": null, "explanation": "x"},
        "resolution": null,
        "notifications": [{"reason": "FirstNotification", "sequence": 1, "receiver": "oncall", "recipient": "oncall@shop.example",
            "state": state, "attempts": 1, "lastError": error, "decidedAt": NOW, "sentAt": sent}],
    }))
    .unwrap()
}

fn live() -> Process {
    Process { series: vec![series(&["loaded"], "2026-11-22T05:59:50Z")], ..Process::default() }
}

fn told(snapshot: &Snapshot, process: Result<Process, String>, incidents: Vec<Incident>) -> Chain {
    let seen = Seen { snapshot, certificates: None, registry: None, process, incidents: Ok(incidents) };
    chain("shop", "default", "test.local.shop".into(), seen, NOW.parse().unwrap())
}

#[test]
fn a_process_at_work_holds() {
    let chain = told(&snapshot(RESOURCES), Ok(live()), vec![incident("sent", None)]);
    assert!(chain.links.iter().all(|link| link.state == State::Ok), "{}", chain.text());
    let said: Vec<_> = chain.links[3..].iter().map(|link| link.says.as_str()).collect();
    assert_eq!(
        said,
        [
            "web/hosts is live with 1 series",
            "web: 1 at work",
            "web/loaded watches 1 series",
            "everything watches web",
            "last told oncall@shop.example at 2026-11-22 05:59:00Z",
        ]
    );
}

#[test]
fn each_break_is_found() {
    let whole = snapshot(RESOURCES);
    let without = |kind: &str| {
        let documents: Vec<_> =
            RESOURCES.split("---").filter(|text| !text.contains(&format!("kind: {kind}"))).collect();
        snapshot(&documents.join("---"))
    };
    let with = |change: &dyn Fn(&mut Process)| {
        let mut process = live();
        change(&mut process);
        Ok(process)
    };
    let away = "customer shop: no connection to the broker: refused".to_owned();
    let cases: Vec<(Chain, &str, &str)> = vec![
        (told(&whole, Err("nobody answers at x".into()), vec![]), BROKER, "nobody answers"),
        (told(&whole, with(&|p| p.unready = vec![away.clone()]), vec![]), BROKER, "refused"),
        (told(&whole, with(&|p| p.series.clear()), vec![]), STREAMS, "nothing has arrived at web/hosts"),
        (
            told(&whole, with(&|p| p.series = vec![series(&["loaded"], "2026-11-22T04:00:00Z")]), vec![]),
            STREAMS,
            "silent since",
        ),
        (
            told(&whole, with(&|p| p.unanswered = vec!["shop/web/hosts".into()]), vec![]),
            ANALYZERS,
            "does not answer",
        ),
        (
            told(&whole, with(&|p| p.series = vec![series(&[], "2026-11-22T05:59:50Z")]), vec![]),
            ANALYTICS,
            "looks at none of 1",
        ),
        (told(&without("Alert"), Ok(live()), vec![]), ALERTS, "nobody is told"),
        (
            told(
                &snapshot(&RESOURCES.replace("topology: web,", "topology: web, active: false,")),
                Ok(live()),
                vec![],
            ),
            ALERTS,
            "not active",
        ),
        (
            told(&whole, Ok(live()), vec![incident("refused", Some("550 no such user"))]),
            DELIVERIES,
            "550 no such user",
        ),
        (
            told(&whole, Ok(live()), vec![incident("waiting", Some("connection refused"))]),
            DELIVERIES,
            "waits after 1",
        ),
    ];
    for (chain, link, says) in cases {
        assert_eq!(chain.broken_at, Some(link), "{}", chain.text());
        let broken = chain.links.iter().find(|one| one.name == link).unwrap();
        assert!(broken.says.contains(says) && broken.fix.is_some(), "{broken:?}");
    }
    // What is not there yet is no break.
    let starting = with(&|p| p.unready = vec!["customer shop, topology web: starting hosts".into()]);
    let chain = told(&whole, starting, vec![]);
    assert_eq!((chain.broken_at, chain.links[4].state), (None, State::Unknown), "{}", chain.text());
}
