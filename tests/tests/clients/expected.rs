//! What is expected of series, and what `kinetic series` shows of them.

use std::{cell::RefCell, collections::BTreeSet};

use jiff::Timestamp;
use kinetic_tests::{
    http,
    process::{self, eventually},
};
use serde_json::Value;

/// Statistics by name, as far as they are looked at.
pub(crate) type Statistics = Vec<(&'static str, f64)>;

/// A series, and all of its windows.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) source: &'static str,
    pub(crate) metric: String,
    pub(crate) tags: Vec<(&'static str, &'static str)>,
    pub(crate) origin: &'static str,
    pub(crate) kind: &'static str,
    /// When each begins, in seconds since 1970 (none: whenever, but there is only the one), and what its statistics are.
    pub(crate) windows: Vec<(Option<i64>, Statistics)>,
}

/// What `kinetic series` shows.
pub(crate) struct Seen {
    port: u16,
    page: RefCell<Value>,
}

impl Seen {
    pub(crate) fn new(admin: u16) -> Self {
        Self { port: admin, page: RefCell::default() }
    }

    fn look(&self) {
        let admin = format!("127.0.0.1:{}", self.port);
        let shown = process::kinetic(["series", "--json", "--limit", "10000", "--admin", &admin]);
        let page: Value = serde_json::from_str(&shown.expect_success().stdout).unwrap();
        assert_eq!(page["total"], page["series"].as_array().unwrap().len(), "more than could be shown");
        assert_eq!(page.get("unanswered"), None);
        self.page.replace(page);
    }

    /// The series of this name, as far as they were seen.
    fn find(&self, source: &str, metric: &str, origin: Option<&str>) -> Vec<Value> {
        let page = self.page.borrow();
        let all = page["series"].as_array().map_or(&[][..], Vec::as_slice);
        let is = |series: &&Value| {
            series["source"] == source
                && series["metric"] == metric
                && origin.is_none_or(|origin| series["origin"] == origin)
        };
        all.iter().filter(is).cloned().collect()
    }

    /// Waits until a series has come, and looks at it closely.
    #[track_caller]
    pub(crate) fn check(&self, expected: &Expected) {
        let Expected { source, metric, tags, origin, kind, windows } = expected;
        let mut found = Vec::new();
        eventually(&format!("{source}: {metric}@{origin} in {} windows", windows.len()), || {
            found = self.find(source, metric, Some(origin));
            let enough = |series: &Value| series["windows"].as_array().unwrap().len() >= windows.len();
            let there = found.iter().any(enough);
            if !there {
                self.look();
            }
            there
        });
        assert_eq!(found.len(), 1, "{source}: {metric}: {found:#?}");
        let series = &found[0];
        let tags: Vec<_> = tags.iter().map(|(key, value)| serde_json::json!([key, value])).collect();
        assert_eq!(series["tags"], Value::Array(tags), "{source}: {series:#}");
        assert_eq!(series["type"], *kind, "{source}: {series:#}");
        let shown = series["windows"].as_array().unwrap();
        assert_eq!(shown.len(), windows.len(), "{source}: {series:#}");
        for (shown, (start, statistics)) in shown.iter().zip(windows) {
            if let Some(start) = start {
                let shown_start: Timestamp = shown["start"].as_str().unwrap().parse().unwrap();
                assert_eq!(shown_start, Timestamp::from_second(*start).unwrap(), "{source}: {series:#}");
            }
            for (name, value) in statistics {
                assert_eq!(
                    shown["statistics"][name].as_f64(),
                    Some(*value),
                    "{source}: {name} of {metric}: {series:#}"
                );
            }
        }
    }

    /// Waits until a series' samples have a sum, over all windows.
    #[track_caller]
    pub(crate) fn check_total(&self, source: &str, metric: &str, total: f64) {
        eventually(&format!("{source}: {metric} to add up to {total}"), || {
            self.look();
            let found = self.find(source, metric, None);
            let windows = found.iter().flat_map(|series| series["windows"].as_array().unwrap());
            let sum: f64 = windows.map(|window| window["statistics"]["sum"].as_f64().unwrap()).sum();
            assert!(sum <= total, "{source}: {metric}: {found:#?}");
            (sum - total).abs() < f64::EPSILON
        });
    }

    /// No source has made up a series; but for those whose clients tell of themselves.
    pub(crate) fn check_nothing_else(&self, expected: &[Expected], talkative: &[&str]) {
        self.look();
        let known: BTreeSet<_> =
            expected.iter().map(|e| (e.source.to_owned(), e.metric.clone(), e.origin.to_owned())).collect();
        let page = self.page.borrow();
        let text = |series: &Value, key: &str| series[key].as_str().unwrap().to_owned();
        let unexpected: Vec<_> = page["series"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|series| !talkative.contains(&series["source"].as_str().unwrap()))
            .filter(|series| {
                !known.contains(&(text(series, "source"), text(series, "metric"), text(series, "origin")))
            })
            .collect();
        assert!(unexpected.is_empty(), "{unexpected:#?}");
    }

    /// So many values, by source and reason, are no samples: those that are none, and first readings and resets of counters. But for these
    /// (and what the sources in `but` drop) every line was understood, nothing came late, no packet was refused.
    pub(crate) fn check_dropped(&self, expected: &[(&str, &str, u32)], but: &str) {
        let counts: Vec<_> = expected.iter().map(|(_, _, count)| count.to_string()).collect();
        let wanted = expected.iter().zip(&counts);
        let mut wanted: Vec<_> =
            wanted.map(|((source, reason, _), count)| (*source, *reason, count.as_str())).collect();
        wanted.sort_unstable();
        // Counters are told with each tick.
        eventually(&format!("{wanted:?} to be dropped"), || {
            let metrics = self.metrics();
            let mut dropped: Vec<_> = metrics.lines().filter_map(dropped).collect();
            dropped.retain(|(source, _, count)| *source != but && *count != "0");
            dropped.sort_unstable();
            assert!(
                dropped.iter().all(|(source, reason, _)| {
                    wanted.iter().any(|wanted| (wanted.0, wanted.1) == (*source, *reason))
                }),
                "{dropped:?}"
            );
            dropped == wanted
        });
    }

    fn metrics(&self) -> String {
        let (_, metrics) = http::get(self.port, "/metrics").unwrap();
        assert!(metrics.contains("kinetic_analyzer_samples_total"), "{metrics}");
        metrics
    }
}

/// Source (or, for an intake, its counter), reason and number of what was dropped, if that is what the line of `/metrics` tells.
fn dropped(line: &str) -> Option<(&str, &str, &str)> {
    let (name, count) = line.rsplit_once(' ')?;
    let label = |key: &str| name.split_once(key)?.1.split('"').nth(1);
    if name.starts_with("kinetic_analyzer_dropped_total{") {
        return Some((label("source=")?, label("reason=")?, count));
    }
    let refused =
        ["kinetic_intake_collectd_refused", "kinetic_intake_collectd_dropped", "kinetic_intake_dropped"];
    refused
        .iter()
        .any(|begin| name.starts_with(begin))
        .then(|| (name, label("reason=").unwrap_or_default(), count))
}
