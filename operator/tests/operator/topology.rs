//! Topologies, against an API server in memory and a real RabbitMQ.

use serde_json::json;

use crate::site::{Site, core, path};

/// All of it with one broker, whose start takes longer.
#[tokio::test(flavor = "multi_thread")]
async fn topologies_end_where_their_resources_say() {
    a_topology_gets_streams_and_a_pod_for_each_partition().await;
    pods_are_told_of_another_configuration_and_not_restarted().await;
    a_mistake_in_an_edit_stops_nothing().await;
    a_deleted_topology_takes_its_streams().await;
    a_topology_without_a_customer_waits_and_can_go().await;
}

fn apps(name: &str) -> String {
    format!("/apis/apps/v1/namespaces/shops/statefulsets/{name}")
}

async fn a_topology_gets_streams_and_a_pod_for_each_partition() {
    let site = Site::new("t-first");
    site.customer("shops", &json!({}));
    site.topology("shops", &json!({"analyzer": {"partitions": 2}}));
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "topologies"), "CustomerNotReady");
    assert!(site.api.get(&apps("web-analyzer-0")).is_none(), "no pod before there is a stream to read");
    site.reconcile_customer("shops").await.unwrap().unwrap();
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "topologies"), "Starting");
    assert_eq!(site.broker("queues"), ["kinetic.anomalies.alert", "kinetic.metrics.web.pages"]);
    for name in ["web-analyzer-0", "web-analyzer-1"] {
        assert!(
            site.api.get(&apps(name)).is_some() && site.api.get(&core("shops", "secrets", name)).is_some(),
            "{name}"
        );
    }
    site.api.writes();
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert_eq!(site.api.writes(), Vec::<String>::new());

    // Fewer partitions, another source: what is not wanted goes, the StatefulSet that stays is not touched.
    let source = json!({"name": "hosts", "type": "collectd"});
    site.topology("shops", &json!({"sources": [source]}));
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert!(
        site.api.get(&apps("web-analyzer-1")).is_none()
            && site.api.get(&core("shops", "secrets", "web-analyzer-1")).is_none()
    );
    assert_eq!(site.broker("queues"), ["kinetic.anomalies.alert", "kinetic.metrics.web.hosts"]);
    let writes = site.api.writes();
    assert!(
        !writes.iter().any(|write| write.starts_with("PATCH") && write.contains("statefulsets")),
        "{writes:?}"
    );
}

async fn pods_are_told_of_another_configuration_and_not_restarted() {
    let site = Site::new("t-wake");
    site.customer("shops", &json!({}));
    site.topology("shops", &json!({}));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    site.reconcile_topology("shops").await.unwrap().unwrap();
    let set = site.api.get(&apps("web-analyzer-0")).unwrap();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": set["spec"]["template"]["metadata"]["labels"]}, "spec": {}});
    site.api.put(&core("shops", "pods", "web-analyzer-0-0"), pod);
    let seen = || {
        site.api.get(&core("shops", "pods", "web-analyzer-0-0")).unwrap()["metadata"]["annotations"]["kinetic.dev/config"].clone()
    };
    assert!(seen().is_null());
    let source = json!({"name": "pages", "type": "statsd", "profiles": ["web"], "interval": "20s"});
    site.topology("shops", &json!({"sources": [source]}));
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert!(seen().is_string());
    assert_eq!(site.api.get(&apps("web-analyzer-0")).unwrap()["spec"], set["spec"]);
}

async fn a_mistake_in_an_edit_stops_nothing() {
    let site = Site::new("t-edit");
    site.customer("shops", &json!({}));
    site.topology("shops", &json!({}));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    site.reconcile_topology("shops").await.unwrap().unwrap();
    site.topology(
        "shops",
        &json!({"sources": [{"name": "pages", "type": "statsd", "profiles": ["nobody"]}]}),
    );
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "topologies"), "UnknownProfile");
    assert!(site.api.get(&apps("web-analyzer-0")).is_some());
    assert_eq!(site.broker("queues"), ["kinetic.anomalies.alert", "kinetic.metrics.web.pages"]);
}

async fn a_deleted_topology_takes_its_streams() {
    let site = Site::new("t-delete");
    site.customer("shops", &json!({}));
    site.topology("shops", &json!({}));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    site.reconcile_topology("shops").await.unwrap().unwrap();
    site.api.delete(&path("shops", "topologies", "web"));
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert!(site.api.get(&path("shops", "topologies", "web")).is_none());
    assert_eq!(site.broker("queues"), ["kinetic.anomalies.alert"]);
    assert_eq!(site.broker("policies"), Vec::<String>::new());
}

async fn a_topology_without_a_customer_waits_and_can_go() {
    let site = Site::new("t-alone");
    site.topology("shops", &json!({}));
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "topologies"), "CustomerMissing");
    site.api.delete(&path("shops", "topologies", "web"));
    site.reconcile_topology("shops").await.unwrap().unwrap();
    assert!(site.api.get(&path("shops", "topologies", "web")).is_none());
}
