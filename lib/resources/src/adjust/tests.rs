use serde_json::json;

use super::*;

fn topology(kind: &str) -> Topology {
    let settings = if kind == "absence" { json!({"after": "5m"}) } else { json!({}) };
    let value = json!({
        "apiVersion": "kinetic.dev/v1alpha1",
        "kind": "Topology",
        "metadata": {"name": "web"},
        "spec": {
            "customer": "acme",
            "sources": [{"name": "other", "type": "statsd"}, {"name": "pages", "type": "statsd"}],
            "analytics": [
                {"name": "first", "source": "other", "match": {"metric": "**"}, "stddev": {}},
                {"name": "odd", "source": "pages", "match": {"metric": "**"}, kind: settings},
            ],
        },
    });
    serde_json::from_value(value).unwrap()
}

fn adjusted(kind: &str, settings: &[(&str, Json)]) -> Result<Json, Vec<(String, String)>> {
    let settings: Vec<_> = settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    match adjust(&topology(kind), "odd", &settings) {
        Ok((topology, _)) => Ok(serde_json::to_value(topology.spec).unwrap()),
        Err(problems) => {
            Err(problems.into_iter().map(|p| (p.field, format!("{}: {}", p.message, p.fix))).collect())
        }
    }
}

#[test]
fn a_key_is_a_parameter_of_the_kind_or_of_the_analytic_or_of_its_source() {
    let spec = adjusted(
        "stddev",
        &[
            ("deviation", json!(3)),
            ("minStddev.relative", json!(0.5)),
            ("stddev.baseline", json!("2h")),
            ("statistic", json!("p95")),
            ("persistence.windows", json!(1)),
            ("match.tags.kubernetes.io/name", json!("web*")),
            ("interval", json!("5m")),
            ("origin.tag", json!("host")),
        ],
    )
    .unwrap();
    let analytic = &spec["analytics"][1];
    assert_eq!(analytic["stddev"]["deviation"], json!(3.0));
    assert_eq!(analytic["stddev"]["minStddev"], json!({"absolute": 0.001, "relative": 0.5}));
    assert_eq!(analytic["stddev"]["baseline"], json!("2h"));
    assert_eq!(analytic["statistic"], json!("p95"));
    assert_eq!(analytic["persistence"], json!({"windows": 1, "of": 3}));
    assert_eq!(analytic["match"]["tags"], json!({"kubernetes.io/name": "web*"}));
    assert_eq!(spec["sources"][1]["interval"], json!("5m"));
    assert_eq!(
        spec["sources"][1]["origin"],
        json!({"tag": "host"}),
        "one of several: the header is no longer it"
    );
    assert_eq!(spec["analytics"][0]["stddev"]["deviation"], json!(4.0), "the other one is as it was");
    assert_eq!(spec["sources"][0]["interval"], json!("10s"));
}

#[test]
fn what_was_set_can_be_taken_out() {
    let spec =
        adjusted("threshold", &[("above", json!(3)), ("clearBelow", json!(2)), ("clearBelow", Json::Null)]);
    assert_eq!(spec.unwrap()["analytics"][1]["threshold"], json!({"above": 3.0}));
}

#[test]
fn a_misspelt_key_is_refused_with_what_was_meant() {
    let meant = |kind, key| adjusted(kind, &[(key, json!(1))]).unwrap_err().remove(0).1;
    assert!(meant("stddev", "deviaton").ends_with("did you mean deviation?"));
    assert!(meant("stddev", "windows").ends_with("did you mean persistence.windows?"));
    assert!(meant("absence", "inteval").ends_with("did you mean interval?"));
    // What another kind has, or what says which analytic it is, is no parameter of this one.
    for (kind, key) in
        [("cluster", "xyzzy"), ("cluster", "above"), ("threshold", "deviation"), ("cluster", "name")]
    {
        assert!(meant(kind, key).contains("there are: "), "{kind} {key}: {}", meant(kind, key));
    }
}

#[test]
fn a_wrong_value_is_refused_as_in_a_file() {
    for (kind, key, value, said) in [
        ("stddev", "deviation", json!("many"), "not a number"),
        ("stddev", "deviation", json!(1000), "more than 100"),
        ("stddev", "direction", json!("above"), "did you mean Above?"),
        ("stddev", "baseline", json!("5s"), "fewer than three windows"),
        ("cluster", "minFeeds", json!(1), "less than 3"),
        ("stddev", "interval", json!("five"), "not allowed"),
    ] {
        let problems = adjusted(kind, &[(key, value)]).unwrap_err();
        assert_eq!(problems[0].0, key, "{problems:?}");
        assert!(problems[0].1.contains(said), "{problems:?}");
    }
    let both = adjusted("threshold", &[("above", json!(1)), ("below", json!(0))]).unwrap_err();
    assert!(both[0].1.contains("exactly one of above, below"), "{both:?}");
}

#[test]
fn an_analytic_that_is_not_there_is_told() {
    let problems = adjust(&topology("stddev"), "od", &[]).unwrap_err();
    assert_eq!(problems[0].fix, "did you mean odd?");
}
