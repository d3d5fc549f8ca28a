//! Alerts and dashboard: every metric exists, every alert has its runbook.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;
use serde_json::Value;

use super::file;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names that the sources register, without the suffixes that `OpenMetrics` gives to counters and units.
fn registered() -> BTreeSet<String> {
    let call = Regex::new(
        r#"sub_registry_with_prefix\("(?<prefix>kinetic_[a-z_]+)"\)|register(?:_with_unit)?\(\s*"(?<name>[a-z_]+)""#,
    )
    .unwrap();
    let mut names = BTreeSet::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let ours = !["target", "tests", ".git", "fuzz", "rootfs"]
                .iter()
                .any(|other| entry.file_name() == *other);
            if path.is_dir() && ours {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                // What is registered follows the prefix that it gets.
                let text = fs::read_to_string(&path).unwrap();
                let mut prefix = "";
                for found in call.captures_iter(&text) {
                    match (found.name("prefix"), found.name("name")) {
                        (Some(now), _) => prefix = now.as_str(),
                        (_, Some(name)) if name.as_str().starts_with("kinetic_") => {
                            names.insert(name.as_str().to_owned());
                        }
                        (_, Some(name)) => _ = names.insert(format!("{prefix}_{}", name.as_str())),
                        (None, None) => {}
                    }
                }
            }
        }
    }
    names
}

fn alerts() -> Vec<Value> {
    let all: Value = serde_saphyr::from_str(&file("files/alerts.yaml")).unwrap();
    all["alerts"].as_array().unwrap().clone()
}

#[test]
fn every_metric_that_is_named_exists() {
    let known = registered();
    let exists = |name: &str| {
        ["", "_total", "_seconds", "_bytes_total"]
            .iter()
            .any(|suffix| name.strip_suffix(suffix).is_some_and(|bare| known.contains(bare)))
    };
    assert!(exists("kinetic_operator_leads") && exists("kinetic_door_received_bytes_total"));
    assert!(!exists("kinetic_operator_leader") && !exists("kinetic_leads"));
    let dashboard = file("files/dashboard.json");
    let rules: Vec<_> = alerts().iter().map(|alert| alert["expr"].as_str().unwrap().to_owned()).collect();
    let metric = Regex::new(r"kinetic_[a-z_]+").unwrap();
    let mut count = 0;
    for text in rules.iter().chain([&dashboard]) {
        for found in metric.find_iter(text) {
            assert!(exists(found.as_str()), "{} is no metric: {text}", found.as_str());
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let text = fs::read_to_string(root().join("docs/runbooks.md")).unwrap();
    let chapters: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    let names: Vec<_> = alerts().iter().map(|alert| alert["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(chapters, names);
}

#[test]
fn the_dashboard_is_one() {
    let dashboard: Value = serde_json::from_str(&file("files/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert!(
            panel["targets"][0]["expr"].as_str().is_some_and(|expr| expr.contains("kinetic_")),
            "{panel}"
        );
    }
}
