//! What the definitions' schemas and rules refuse.

use kinetic_api::resources::{Alert, Customer, Topology};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::cluster::{Cluster, acme, analytic, checkout, web};

/// Each is refused, with the field that the message must name.
pub async fn invalid_resources_are_refused(cluster: &Cluster) {
    for (kind, spec) in [("Customer", acme()), ("Topology", web()), ("Alert", checkout())] {
        cluster.apply(kind, "good", spec).await.unwrap();
    }
    let with = |mut spec: Value, field: &str, value: Value| {
        *spec.pointer_mut(field).unwrap_or_else(|| panic!("{field}")) = value;
        spec
    };
    let more = |mut spec: Value, field: &str, value: Value| {
        spec[field] = value;
        spec
    };
    let in_analytic = |field: &str, value: Value| with(web(), "/analytics/0", more(analytic(), field, value));
    let in_source = |field: &str, value: Value| {
        with(web(), "/sources/0", more(json!({"name": "pages", "type": "statsd"}), field, value))
    };
    let hook = |webhook: Value| with(checkout(), "/receivers/0", json!({"name": "hook", "webhook": webhook}));
    let cases = [
        ("Customer", "good", with(acme(), "/region", json!("elsewhere")), "region"),
        ("Customer", "good", with(acme(), "/provider", json!("gcp")), "provider"),
        ("Customer", "new", with(acme(), "/region", json!("US West")), "region"),
        ("Customer", "new", more(acme(), "limits", json!({"connections": 0})), "connections"),
        ("Customer", "new", more(acme(), "limits", json!({"retention": "much"})), "retention"),
        ("Customer", "new", more(acme(), "deletionPolicy", json!("Keep")), "deletionPolicy"),
        ("Customer", "new", more(acme(), "contact", json!([])), "contact"),
        ("Customer", "new", with(acme(), "/clients/0/name", json!("-web")), "name"),
        ("Customer", "new", with(acme(), "/clients/0", json!({"name": "web"})), "profile"),
        (
            "Customer",
            "new",
            with(acme(), "/clients", json!([{"name": "a", "profile": "a"}, {"name": "a", "profile": "b"}])),
            "clients",
        ),
        ("Customer", "dotted.name", acme(), "metadata.name"),
        ("Customer", "a-name-of-more-than-forty-characters-is-too-long", acme(), "metadata.name"),
        ("Topology", "good", with(web(), "/customer", json!("other")), "customer"),
        ("Topology", "new", with(web(), "/sources", json!([])), "sources"),
        ("Topology", "new", in_source("type", json!("syslog")), "type"),
        ("Topology", "new", in_source("interval", json!("10 seconds")), "interval"),
        ("Topology", "new", in_source("origin", json!({"header": "a", "tag": "b"})), "origin"),
        ("Topology", "new", in_analytic("source", json!("hosts")), "source"),
        ("Topology", "new", in_analytic("statistic", json!("median")), "statistic"),
        ("Topology", "new", in_analytic("threshold", json!({"above": 1})), "analytics"),
        ("Topology", "new", in_analytic("cluster", Value::Null), "analytics"),
        ("Topology", "new", in_analytic("cluster", json!({"deviation": 0})), "deviation"),
        ("Topology", "new", in_analytic("cluster", json!({"minFeeds": 2})), "minFeeds"),
        ("Topology", "new", in_analytic("persistence", json!({"windows": 3, "of": 2})), "windows"),
        ("Topology", "new", more(web(), "analyzer", json!({"partitions": 65})), "partitions"),
        ("Alert", "good", with(checkout(), "/topology", json!("other")), "topology"),
        ("Alert", "new", with(checkout(), "/receivers", json!([])), "receivers"),
        ("Alert", "new", with(checkout(), "/receivers/0", json!({"name": "none"})), "receivers"),
        ("Alert", "new", hook(json!({"onFailure": "Retry"})), "url"),
        ("Alert", "new", hook(json!({"url": "https://x.example", "onFailure": "Drop"})), "onFailure"),
        ("Alert", "new", more(checkout(), "groupBy", json!(["colour"])), "groupBy"),
        ("Alert", "new", more(checkout(), "mute", json!([{"timeZone": "UTC", "times": ["8-9"]}])), "times"),
        ("Alert", "new", more(checkout(), "match", json!({"minScore": -1})), "minScore"),
    ];
    for (kind, name, spec, field) in cases {
        let error = cluster
            .apply(kind, name, spec.clone())
            .await
            .map(|()| panic!("taken: {kind} {name} {spec}"))
            .unwrap_err();
        let kube::Error::Api(status) = error else { panic!("{error}") };
        assert!(
            status.message.contains(field),
            "{kind} {spec}: the message does not name {field}: {}",
            status.message
        );
    }
    cluster.api::<Customer>().delete("good", &DeleteParams::default()).await.unwrap();
    cluster.api::<Topology>().delete("good", &DeleteParams::default()).await.unwrap();
    cluster.api::<Alert>().delete("good", &DeleteParams::default()).await.unwrap();
}
