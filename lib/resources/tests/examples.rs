//! The examples are whole, and say what their comments say.

use std::path::{Path, PathBuf};

use kinetic_api::plan::{AnalyticKind, OriginRule};
use kinetic_resources::{Position, load};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

#[test]
fn web_shop() {
    let snapshot = load(&[example("web-shop")]).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let [customer] = snapshot.customers.as_slice() else { panic!("one customer") };
    assert_eq!(customer.plan.vhost, "local.demo.shop");
    assert!(customer.place.file.ends_with("web-shop/customer.yaml"));
    assert_eq!(customer.place.position, Some(Position { line: 2, column: 1 }));
    let [topology] = snapshot.topologies.as_slice() else { panic!("one topology") };
    assert_eq!(topology.plan.sources[0].origin, OriginRule::Tag("host".into()));
    let kinds: Vec<_> =
        topology.plan.analytics.iter().map(|analytic| (analytic.name.as_str(), &analytic.kind)).collect();
    assert!(
        matches!(
            kinds.as_slice(),
            [
                ("slow-host", AnalyticKind::Cluster(_)),
                ("odd-latency", AnalyticKind::Stddev(_)),
                ("errors", AnalyticKind::Threshold(_)),
                ("silent", AnalyticKind::Absence { after_ms: 60_000, .. }),
            ]
        ),
        "{kinds:?}"
    );
    let [alert] = snapshot.alerts.as_slice() else { panic!("one alert") };
    assert_eq!((alert.name(), alert.plan.group_wait_ms), ("checkout", 5000));
    assert_eq!(alert.plan.receivers[0].email.to, ["oncall@shop.example"]);
}

#[test]
fn every_example_is_whole() {
    let folders = std::fs::read_dir(example("")).unwrap().map(|entry| entry.unwrap().path());
    // `clients` holds what sends, not resources.
    let folders: Vec<_> = folders.filter(|path| path.is_dir() && !path.ends_with("clients")).collect();
    assert!(folders.len() >= 2, "{folders:?}");
    for folder in folders {
        let snapshot = load(&[folder]).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert!(!snapshot.is_empty());
    }
}

#[test]
fn paths_may_overlap() {
    let snapshot = load(&[example("web-shop"), example("web-shop/topology.yaml"), example("minimal")]);
    let snapshot = snapshot.unwrap_or_else(|problems| panic!("{problems:#?}"));
    let names: Vec<_> = snapshot.ids().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "Customer me",
            "Customer shop",
            "Topology everything",
            "Topology web",
            "Alert checkout",
            "Alert everything"
        ]
    );
}
