use jiff::Timestamp;
use kinetic_api::{
    control::{Command, Refusal, Values},
    plan::{AnalyticKind, ThresholdRule, TopologyPlan},
    resources::Topology,
};
use proptest::{collection, prelude::*};
use serde_json::{Value as Json, json};

use super::*;

/// A Topology with an analytic of every kind.
fn topology() -> Json {
    json!({
        "apiVersion": "kinetic.dev/v1alpha1", "kind": "Topology", "metadata": { "name": "web" },
        "spec": {
            "customer": "acme",
            "sources": [{ "name": "pages", "type": "statsd", "interval": "10s", "lateness": "5s" }],
            "analytics": [
                { "name": "slow-host", "source": "pages", "match": { "metric": "page.*.time" },
                  "cluster": { "deviation": 3.5, "groupBy": ["env"] } },
                { "name": "odd", "source": "pages", "match": { "metric": "**" }, "stddev": {} },
                { "name": "full", "source": "pages", "match": { "metric": "df.*" }, "persistence": { "windows": 1, "of": 1 },
                  "threshold": { "above": 90 } },
                { "name": "low", "source": "pages", "match": { "metric": "df.*" }, "threshold": { "below": 5, "clearAbove": 10 } },
                { "name": "silent", "source": "pages", "match": { "metric": "**" }, "absence": { "after": "2m", "of": "Source" } },
            ],
        },
    })
}

fn plan_of(topology: Json) -> TopologyPlan {
    TopologyPlan::new(&serde_json::from_value::<Topology>(topology).unwrap()).unwrap()
}

fn plan() -> TopologyPlan {
    plan_of(topology())
}

fn values(json: Json) -> Values {
    serde_json::from_value(json).unwrap()
}

fn update(overrides: &Overrides, plan: &TopologyPlan, json: Json) -> Result<Decided, Vec<Refusal>> {
    overrides.command(plan, &Command::Update(values(json)), Some("ada"), Timestamp::UNIX_EPOCH)
}

fn refused(json: Json) -> String {
    let refused = update(&Overrides::default(), &plan(), json).unwrap_err();
    let line = |r: &Refusal| format!("{}: {}", r.key.as_deref().unwrap_or_default(), r.reason);
    refused.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_parameter_that_fits_is_a_key_by_its_field() {
    let configuration = Configuration::of(&plan());
    let listed: Vec<_> =
        configuration.values().into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
    assert_eq!(
        listed,
        [
            "full.above: 90.0",
            "full.clearBelow: 90.0",
            "full.persistence.of: 1",
            "full.persistence.windows: 1",
            "low.below: 5.0",
            "low.clearAbove: 10.0",
            "low.persistence.of: 3",
            "low.persistence.windows: 2",
            "odd.baseline: \"1h\"",
            "odd.deviation: 4.0",
            "odd.direction: \"Both\"",
            "odd.minStddev.absolute: 0.001",
            "odd.minStddev.relative: 0.01",
            "odd.persistence.of: 3",
            "odd.persistence.windows: 2",
            "odd.warmup: 30",
            "pages.lateness: \"5s\"",
            "silent.after: \"2m\"",
            "silent.persistence.of: 3",
            "silent.persistence.windows: 2",
            "slow-host.center: \"Mean\"",
            "slow-host.deviation: 3.5",
            "slow-host.direction: \"Both\"",
            "slow-host.minFeeds: 3",
            "slow-host.minStddev.absolute: 0.001",
            "slow-host.minStddev.relative: 0.01",
            "slow-host.persistence.of: 3",
            "slow-host.persistence.windows: 2",
        ]
    );
}

#[test]
fn an_update_changes_the_plan_as_an_edit_of_the_topology_would() {
    let asked = json!({ "slow-host.deviation": 1, "slow-host.minStddev.relative": 0.5, "slow-host.direction": "Above",
        "odd.baseline": "90m", "silent.after": "180s", "pages.lateness": "1m", "low.clearAbove": 7, "full.persistence.of": 4 });
    let decided = update(&Overrides::default(), &plan(), asked).unwrap();
    let mut edited = topology();
    let analytics = edited.pointer_mut("/spec/analytics").unwrap();
    analytics[0]["cluster"]["deviation"] = json!(1.0);
    analytics[0]["cluster"]["minStddev"] = json!({ "relative": 0.5 });
    analytics[0]["cluster"]["direction"] = json!("Above");
    analytics[1]["stddev"]["baseline"] = json!("90m");
    analytics[2]["persistence"]["of"] = json!(4);
    analytics[3]["threshold"]["clearAbove"] = json!(7.0);
    analytics[4]["absence"]["after"] = json!("3m");
    edited["spec"]["sources"][0]["lateness"] = json!("1m");
    assert_eq!(decided.plan, plan_of(edited));
    assert_eq!(decided.overrides.len(), 8);
    assert_eq!(decided.overrides.values()["silent.after"], "3m", "as resources spell it");
    let change = decided.changes.iter().find(|change| change.key == "slow-host.deviation").unwrap();
    assert_eq!((&change.old, &change.new, change.overridden), (&Some(json!(3.5)), &Some(json!(1.0)), true));
    assert_eq!(decided.changes.len(), 8);
}

#[test]
fn a_clear_that_was_not_set_apart_follows_its_line() {
    let decided = update(&Overrides::default(), &plan(), json!({ "full.above": 120 })).unwrap();
    assert_eq!(
        decided.plan.analytics[2].kind,
        AnalyticKind::Threshold(ThresholdRule::Above { line: 120.0, clear: 120.0 })
    );
    let decided =
        update(&Overrides::default(), &plan(), json!({ "full.above": 120, "full.clearBelow": 90 })).unwrap();
    assert_eq!(
        decided.plan.analytics[2].kind,
        AnalyticKind::Threshold(ThresholdRule::Above { line: 120.0, clear: 90.0 })
    );
    assert_eq!(decided.overrides.len(), 2);
}

#[test]
fn what_is_refused_says_why_and_changes_nothing() {
    let said = refused(json!({
        "slow-host.deviaton": 1, "slow-hots.deviation": 1, "nobody.at-all": 1, "slow-host.deviation": 0, "odd.warmup": 2.5,
        "odd.direction": "Abov", "pages.lateness": 10, "odd.statistic": "p99", "slow-host.groupBy": [], "silent.of": "Series",
        "pages.interval": "1m", "slow-host.match.metric": "**", "full.below": 3, "silent.after": null, "odd.minStddev": {},
    }));
    for line in [
        "slow-host.deviaton: there is no such key; did you mean slow-host.deviation?",
        "slow-hots.deviation: there is no such key; did you mean slow-host.deviation?",
        "nobody.at-all: there is no analytic or source `nobody`; there are: pages, slow-host, odd, full, low, silent",
        "slow-host.deviation: 0 is less than 0.1; use 0.1 or more",
        "odd.warmup: 2.5 is not a whole number; write a whole number from 3 to 10000",
        "odd.direction: there is no `Abov`; did you mean Above?",
        "pages.lateness: 10 is not a text; write numbers with the units h, m, s or ms",
        "odd.statistic: it decides what is read, and changing it means to read the stream again: edit the Topology",
        "slow-host.groupBy: it decides",
        "silent.of: it decides",
        "pages.interval: it decides",
        "slow-host.match.metric: it decides",
        "full.below: there is no such key; full has: above, clearBelow, persistence.of, persistence.windows",
        "silent.after: there is nothing behind the colon",
        "odd.minStddev: there is no such key",
    ] {
        assert!(said.contains(line), "{line}\n--\n{said}");
    }
}

#[test]
fn of_a_ratio_only_the_least_denominator_can_change_in_place() {
    let mut topology = topology();
    topology["spec"]["analytics"][2]["match"] = json!({ "metric": "page.*.errors" });
    topology["spec"]["analytics"][2]["ratio"] =
        json!({ "denominator": "page.*.requests", "minDenominator": 20 });
    let plan = plan_of(topology);
    let decided = update(&Overrides::default(), &plan, json!({ "full.ratio.minDenominator": 50 })).unwrap();
    let mut expected = plan.analytics[2].clone();
    expected.ratio.as_mut().unwrap().min_denominator = 50.0;
    assert_eq!(decided.plan.analytics[2], expected);
    assert_eq!(decided.overrides.topology(), values(json!({ "full.ratio.minDenominator": 20.0 })));
    for key in ["full.ratio.denominator", "full.change", "full.ratio.statistic"] {
        let refused = update(&Overrides::default(), &plan, json!({ key: "x" })).unwrap_err();
        assert!(refused[0].reason.starts_with("it decides what is read"), "{refused:?}");
    }
    assert!(Configuration::of(&plan).get("full.ratio.denominator").is_none());
}

#[test]
fn values_that_do_not_go_together_are_refused_together() {
    let said = refused(json!({ "odd.persistence.windows": 5, "odd.deviation": 2 }));
    assert!(said.contains("odd.persistence.windows: 5 of 3 windows can never be odd"), "{said}");
    let said = refused(json!({ "full.clearBelow": 95 }));
    assert!(
        said.contains("full.clearBelow: exactly one of above, below must be set, clearBelow (≤ above)"),
        "{said}"
    );
    assert!(refused(json!({ "odd.baseline": "20s" })).contains("fewer than three windows"));
    assert!(refused(json!({ "silent.after": "1s" })).contains("shorter than a window"));
    assert!(refused(json!({ "pages.lateness": "48h" })).contains("over a day"));
}

#[test]
fn a_flood_of_wrong_keys_is_answered_in_bounds() {
    let many: Values = (0..1000).map(|n| (format!("{}{n}", "k".repeat(60)), json!(1))).collect();
    let refused = Overrides::default()
        .command(&plan(), &Command::Update(many), None, Timestamp::UNIX_EPOCH)
        .unwrap_err();
    assert_eq!(refused.len(), 101);
    assert_eq!(refused[100].reason, "900 more keys were refused");
    let long = Values::from([("k".repeat(60_000), json!(1))]);
    let refused = Overrides::default()
        .command(&plan(), &Command::Update(long), None, Timestamp::UNIX_EPOCH)
        .unwrap_err();
    assert!(refused[0].key.as_ref().unwrap().len() < 100);
    assert!(refused[0].reason.len() < 1000);
}

#[test]
fn an_override_is_taken_back() {
    let plan = plan();
    let made =
        update(&Overrides::default(), &plan, json!({ "odd.deviation": 2, "pages.lateness": "1s" })).unwrap();
    let delete = |overrides: &Overrides, keys: &[&str]| {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        overrides.command(&plan, &Command::Delete(keys), None, Timestamp::UNIX_EPOCH)
    };
    let one = delete(&made.overrides, &["odd.deviation"]).unwrap();
    assert_eq!(one.overrides.topology(), values(json!({ "pages.lateness": "5s" })));
    assert_eq!(one.changes.len(), 1);
    let all = delete(&made.overrides, &[]).unwrap();
    assert_eq!((all.overrides, all.plan, all.changes.len()), (Overrides::default(), plan.clone(), 2));
    let again = delete(&one.overrides, &["odd.deviation"]).unwrap();
    assert_eq!(again.changes, []);
    let refused = delete(&made.overrides, &["odd.deviaton"]).unwrap_err();
    assert!(refused[0].reason.contains("did you mean odd.deviation?"), "{refused:?}");
}

#[test]
fn an_override_holds_until_the_topology_changes_its_key() {
    let made = update(
        &Overrides::default(),
        &plan(),
        json!({ "odd.deviation": 2, "full.above": 120, "silent.after": "5m" }),
    )
    .unwrap();
    let mut edited = topology();
    edited["spec"]["analytics"][0]["cluster"]["deviation"] = json!(9);
    edited["spec"]["analytics"][1]["stddev"]["deviation"] = json!(5);
    let followed = made.overrides.follow(&plan_of(edited.clone()));
    assert_eq!(followed.overrides.values(), values(json!({ "full.above": 120.0, "silent.after": "5m" })));
    assert_eq!(followed.ended[0].key, "odd.deviation");
    assert_eq!(Configuration::of(&followed.plan).get("odd.deviation"), Some(&json!(5.0)));
    assert_eq!(Configuration::of(&followed.plan).get("full.above"), Some(&json!(120.0)));
    assert_eq!(Configuration::of(&followed.plan).get("slow-host.deviation"), Some(&json!(9.0)));

    edited["spec"]["analytics"][2]["threshold"]["clearBelow"] = json!(80);
    edited["spec"]["analytics"].as_array_mut().unwrap().pop();
    let followed = made.overrides.follow(&plan_of(edited));
    assert_eq!(followed.overrides.values(), values(json!({ "full.above": 120.0 })));
    assert_eq!(followed.ended.len(), 2);
}

#[test]
fn an_override_that_no_longer_goes_with_the_topology_ends() {
    let made =
        update(&Overrides::default(), &plan(), json!({ "full.above": 80, "odd.deviation": 2 })).unwrap();
    let mut edited = topology();
    edited["spec"]["analytics"][2]["threshold"] = json!({ "above": 90, "clearBelow": 85 });
    let followed = made.overrides.follow(&plan_of(edited.clone()));
    assert_eq!(followed.overrides.values(), values(json!({ "odd.deviation": 2.0 })));
    assert!(followed.ended[0].reason.contains("clearBelow"), "{followed:?}");
}

#[test]
fn overrides_survive_their_file() {
    let made = update(&Overrides::default(), &plan(), json!({ "odd.minStddev.relative": 0.1 })).unwrap();
    let text = serde_json::to_string(&made.overrides).unwrap();
    let read: Overrides = serde_json::from_str(&text).unwrap();
    assert_eq!(read, made.overrides);
    assert_eq!(read.follow(&plan()).plan, made.plan);
}

/// A key of the plan with a value that its resource would take.
fn any_update() -> impl Strategy<Value = (String, Json)> {
    let number = (0.2..50.0_f64).prop_map(Json::from);
    let duration = (1_u32..1440).prop_map(|minutes| Json::from(format!("{minutes}m")));
    prop_oneof![
        (prop_oneof![Just("slow-host.deviation"), Just("odd.deviation"), Just("full.above")], number),
        (prop_oneof![Just("silent.after"), Just("odd.baseline"), Just("pages.lateness")], duration),
        (Just("odd.warmup"), (3..10_000).prop_map(Json::from)),
        (Just("slow-host.center"), prop_oneof![Just(json!("Mean")), Just(json!("Median"))]),
    ]
    .prop_map(|(key, value)| (key.to_owned(), value))
}

fn any_updates() -> impl Strategy<Value = Values> {
    collection::vec(any_update(), 0..6).prop_map(|updates| updates.into_iter().collect())
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        ".{0,20}".prop_map(Json::from)
    ];
    leaf.prop_recursive(3, 20, 4, |inner| collection::vec(inner, 0..4).prop_map(Json::from))
}

#[test]
fn nothing_is_overridden_by_nothing() {
    assert_eq!(apply(&plan(), &Values::new()).unwrap(), plan());
    let read = Overrides::default().command(&plan(), &Command::Read, None, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!((read.plan, read.changes), (plan(), vec![]));
}

proptest! {
    #[test]
    fn what_was_read_and_is_written_back_changes_nothing(updates in any_updates()) {
        let plan = plan();
        let made = update(&Overrides::default(), &plan, json!(updates)).unwrap();
        prop_assert_eq!(&apply(&plan, &made.overrides.values()).unwrap(), &made.plan);
        let read = Configuration::of(&made.plan).values();
        let again = update(&made.overrides, &plan, json!(read)).unwrap();
        prop_assert_eq!(again.changes, vec![]);
        prop_assert_eq!(again.overrides, made.overrides.clone());
        prop_assert_eq!(again.plan, made.plan.clone());
        for (key, value) in &read {
            let one = apply(&made.plan, &Values::from([(key.clone(), value.clone())]));
            prop_assert_eq!(one, Ok(made.plan.clone()), "{} goes round", key);
        }
        let none = made.overrides.command(&plan, &Command::Delete(vec![]), None, Timestamp::UNIX_EPOCH).unwrap();
        prop_assert_eq!(none.plan, plan);
    }

    #[test]
    fn whatever_is_asked_is_done_or_refused(key in 0_usize..28, unknown in ".{0,30}", value in any_json()) {
        let plan = plan();
        let known = Configuration::of(&plan);
        let key = known.keys().nth(key).map_or(unknown, str::to_owned);
        if let Ok(decided) = update(&Overrides::default(), &plan, json!({ key.as_str(): value })) {
            prop_assert_eq!(decided.overrides.follow(&plan).plan, decided.plan);
        }
    }
}
