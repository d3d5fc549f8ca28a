use serde_json::{Value, json};

use super::*;

fn object<K: serde::de::DeserializeOwned + kube::Resource>(
    kind: &str,
    name: &str,
    metadata: &Value,
    spec: &Value,
) -> Guarded<K> {
    let mut whole = json!({"name": name, "namespace": "shops", "resourceVersion": "7", "labels": {"a": "b"}});
    whole.as_object_mut().unwrap().extend(metadata.as_object().cloned().unwrap());
    let object = json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": kind, "metadata": whole, "spec": spec,
        "status": {"broker": "aws-2", "vhost": "us-west.aws.x"}});
    Arc::new(serde_json::from_value(object).unwrap())
}

fn customer(name: &str, metadata: &Value) -> Guarded<Customer> {
    let spec =
        json!({"region": "us-west", "provider": "aws", "clients": [{"name": "web", "profile": "web"}]});
    object("Customer", name, metadata, &spec)
}

fn topology(name: &str, metadata: &Value) -> Guarded<Topology> {
    let spec = json!({"customer": "acme", "sources": [{"name": "pages", "type": "statsd", "profiles": ["web"]}], "analytics": []});
    object("Topology", name, metadata, &spec)
}

fn alert(name: &str, topology: &str) -> Guarded<Alert> {
    let spec =
        json!({"topology": topology, "receivers": [{"name": "ops", "email": {"to": ["ops@acme.example"]}}]});
    object("Alert", name, &json!({}), &spec)
}

/// The resource as it is, changed.
fn with<K: Clone>(guarded: &Guarded<K>, change: impl FnOnce(&mut K)) -> Guarded<K> {
    let mut changed = guarded.0.as_ref().unwrap_or_else(|_| panic!("it is readable")).clone();
    change(&mut changed);
    Arc::new(DeserializeGuard(Ok(changed)))
}

fn acme() -> Objects {
    Objects {
        customers: vec![customer("acme", &json!({}))],
        topologies: vec![topology("web", &json!({}))],
        alerts: vec![alert("checkout", "web")],
    }
}

fn told(sifted: &Sifted) -> Vec<String> {
    sifted.left_out.iter().map(|(id, why)| format!("{id}: {why}")).collect()
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    snapshot.ids().map(ToString::to_string).collect()
}

#[test]
fn what_fits_is_in_as_far_as_roles_need_it() {
    let sifted = sift(&acme());
    assert_eq!(told(&sifted), [""; 0]);
    assert_eq!(
        names(&sifted.snapshot),
        ["Customer shops/acme", "Topology shops/web", "Alert shops/checkout"]
    );
    let entry = &sifted.snapshot.customers[0];
    assert_eq!(entry.plan.vhost, "us-west.aws.acme");
    assert_eq!(entry.place.to_string(), "/apis/kinetic.dev/v1alpha1/namespaces/shops/customers/acme");
    let status = entry.resource.status.as_ref().unwrap();
    assert_eq!(
        (status.broker.as_deref(), &status.vhost),
        (Some("aws-2"), &None),
        "the front door goes by the broker"
    );
    // What the API server notes is no news.
    let mut again = acme();
    again.customers[0] = with(&again.customers[0], |customer| {
        customer.metadata.resource_version = Some("8".into());
        customer.status.as_mut().unwrap().endpoint = Some("amqps://x".into());
    });
    assert_eq!(sift(&again).snapshot, sifted.snapshot);
}

#[test]
fn what_waits_or_goes_takes_along_what_refers_to_it() {
    let mut objects = acme();
    objects.customers[0] = with(&objects.customers[0], |customer| customer.status = None);
    let sifted = sift(&objects);
    assert!(sifted.snapshot.is_empty());
    assert!(sifted.left_out.values().all(|why| !why.is_mistake()), "{:?}", told(&sifted));
    assert_eq!(told(&sifted)[1], "Topology shops/web: Customer shops/acme is left out");
    assert_eq!(told(&sifted)[2], "Alert shops/checkout: Topology shops/web is left out");
    assert!(told(&sifted)[0].contains("no vhost yet"), "{:?}", told(&sifted));

    let mut objects = acme();
    objects.topologies[0] = with(&objects.topologies[0], |topology| {
        topology.metadata.deletion_timestamp =
            Some(serde_json::from_value(json!("2026-11-22T00:00:00Z")).unwrap());
    });
    let sifted = sift(&objects);
    assert_eq!(names(&sifted.snapshot), ["Customer shops/acme"]);
    assert_eq!(told(&sifted)[0], "Topology shops/web: it is being deleted");
}

#[test]
fn one_that_is_unreadable_or_unfit_stops_no_other() {
    let mut objects = acme();
    let spec = json!({"region": 5});
    objects.customers.push(object("Customer", "later", &json!({}), &spec));
    objects.topologies.push(with(&topology("stray", &json!({})), |topology| {
        topology.spec.sources[0].profiles = vec!["wen".parse().unwrap()];
    }));
    objects.topologies.push(with(&topology("lost", &json!({})), |topology| {
        topology.spec.customer = "akme".parse().unwrap();
    }));
    objects.alerts.push(with(&alert("none", "web"), |alert| alert.spec.receivers[0].email = None));
    objects.alerts.push(alert("nowhere", "elsewhere"));
    let sifted = sift(&objects);
    assert_eq!(names(&sifted.snapshot), names(&sift(&acme()).snapshot));
    assert!(sifted.left_out.values().all(Why::is_mistake));
    let told = told(&sifted);
    for (line, says) in told.iter().zip([
        "Customer shops/later: it cannot be read: ",
        "Topology shops/lost: spec.customer: there is no Customer shops/akme; did you mean acme?",
        "Topology shops/stray: spec.sources[0].profiles[0]: no client of Customer shops/acme has the profile `wen`; did you mean web?",
        "Alert shops/none: spec.receivers",
        "Alert shops/nowhere: spec.topology: there is no Topology shops/elsewhere",
    ]) {
        assert!(line.starts_with(says), "{line}");
    }
    assert_eq!(told.len(), 5);
}

#[test]
fn who_was_there_first_stays() {
    let at = |time: &str, namespace: &str| json!({"creationTimestamp": time, "namespace": namespace});
    let objects = Objects {
        customers: vec![
            customer("acme", &at("2026-11-22T02:00:00Z", "a")),
            with(&customer("acme", &at("2026-11-22T01:00:00Z", "shops")), |customer| {
                customer.spec.limits.topologies = 1;
            }),
        ],
        topologies: vec![
            topology("a", &at("2026-11-22T02:00:00Z", "shops")),
            topology("b", &at("2026-11-22T01:00:00Z", "shops")),
        ],
        alerts: vec![],
    };
    let sifted = sift(&objects);
    assert_eq!(names(&sifted.snapshot), ["Customer shops/acme", "Topology shops/b"]);
    let told = told(&sifted);
    assert!(
        told[0].starts_with(
            "Customer a/acme: metadata.name: the vhost us-west.aws.acme belongs to the Customer of /apis/"
        ),
        "{told:?}"
    );
    assert!(told[1].contains("Topology number 2") && told[1].contains("limits.topologies"), "{told:?}");
}
