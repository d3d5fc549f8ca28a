//! The wire form: DESIGN.md's examples, defaults, and the CEL rules.

#![allow(clippy::unwrap_used, reason = "a test that fails there says so")]

use kinetic_api::{
    duration::Duration,
    quantity::Bytes,
    resources::{
        Alert, Customer, Topology,
        customer::{DeletionPolicy, EnrollmentPolicy},
    },
};
use kube::core::cel::ValidationErrors;

const CUSTOMER: &str = r#"
apiVersion: kinetic.dev/v1alpha1
kind: Customer
metadata: {name: acme}
spec:
  displayName: Acme Corp
  region: us-west
  provider: aws
  contacts: [ops@acme.example]
  limits: {connections: 200, series: 100000, messagesPerSecond: 20000, topologies: 20, retention: 20Gi}
  clients:
    - name: web
      profile: web
      certificate: {lifetime: 720h, renewBefore: 240h}
      apiKey: {secretRef: {name: keys, key: web}}
  enrollment:
    policy: AllowList
    allow: [{client: web, names: ["web-*.acme.example", "re:db[0-9]{1,4}\\.acme\\.example"]}]
  revoked: [{serial: "0a1b", reason: lost}]
  deletionPolicy: Delete
status:
  vhost: us-west.aws.acme
  broker: aws-1
  endpoint: amqps://aws.example:5671/us-west.aws.acme
  clients: [{name: web, secretName: acme-client-web, serial: 0a1c, notAfter: 2030-01-01T00:00:00Z}]
"#;

const TOPOLOGY: &str = r#"
apiVersion: kinetic.dev/v1alpha1
kind: Topology
metadata: {name: web}
spec:
  customer: acme
  sources:
    - name: pages
      type: statsd
      profiles: [web]
      interval: 10s
      lateness: 10s
      retention: {age: 24h, size: 1Gi}
      origin: {header: origin}
    - {name: hosts, type: collectd, origin: {pattern: "servers.{origin}.*"}}
  analytics:
    - name: slow-host
      source: pages
      match: {metric: "page.checkout.time", tags: {env: prod}}
      statistic: mean
      persistence: {windows: 1, of: 1}
      cluster:
        deviation: 1
        direction: Both
        center: Median
        groupBy: [env]
        minFeeds: 3
        minStddev: {absolute: 0.001, relative: 0.01}
    - name: odd-latency
      source: pages
      match: {metric: "page.*.time"}
      statistic: p95
      stddev: {deviation: 3, direction: Both, baseline: 1h, warmup: 30, minStddev: {absolute: 0.001, relative: 0.01}}
    - {name: full, source: hosts, match: {metric: "df.*.percent"}, statistic: last, threshold: {above: 90, clearBelow: 85}}
    - {name: silent, source: pages, match: {metric: "**"}, absence: {after: 2m}}
  analyzer:
    partitions: 1
    resources: {limits: {memory: 1Gi}}
    image: registry.example/analyzer:1
status:
  analyzers: {ready: 1, wanted: 1}
  analytics: [{name: slow-host, state: WarmingUp, reason: too young}]
"#;

const ALERT: &str = r#"
apiVersion: kinetic.dev/v1alpha1
kind: Alert
metadata: {name: checkout}
spec:
  topology: web
  match: {analytics: [slow-host], sources: [pages], profiles: [web], origins: ["*"], minScore: 1.0}
  active: true
  groupBy: [analytic, metric]
  groupWait: 30s
  groupInterval: 5m
  repeatInterval: 4h
  sendResolved: true
  mute: [{timeZone: Europe/Berlin, weekdays: [Sat, Sun], times: ["00:00-24:00"]}]
  receivers:
    - name: oncall
      email: {to: [oncall@acme.example], subjectTemplate: "{{ summary }}", bodyTemplate: "{{ text }}"}
    - name: hook
      webhook: {url: "https://hook.example", livenessUrl: "https://hook.example/alive", signingSecretRef: {name: keys, key: hook},
                onFailure: SetAside, retention: 168h}
    - name: am
      alertmanager: {url: "https://am.example"}
status: {state: Quiet}
"#;

fn edited(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "`{from}` must be there once");
    text.replace(from, to)
}

fn customer(text: &str) -> Customer {
    serde_saphyr::from_str(text).unwrap()
}

fn topology(text: &str) -> Topology {
    serde_saphyr::from_str(text).unwrap()
}

fn alert(text: &str) -> Alert {
    serde_saphyr::from_str(text).unwrap()
}

/// The places and messages of failed rules.
fn failures(result: Result<(), ValidationErrors>) -> Vec<String> {
    result.err().into_iter().flat_map(ValidationErrors::into_vec).map(|failure| failure.to_string()).collect()
}

#[test]
fn the_designs_examples_are_understood_and_written_back() {
    fn round_trip<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(
        resource: &T,
    ) {
        let json = serde_json::to_value(resource).unwrap();
        assert_eq!(serde_json::from_value::<T>(json).unwrap(), *resource);
    }
    let customer = customer(CUSTOMER);
    assert_eq!(customer.vhost(), "us-west.aws.acme");
    assert_eq!(customer.spec.limits.retention, Bytes::new(20 << 30));
    assert_eq!(customer.spec.enrollment.as_ref().unwrap().policy, EnrollmentPolicy::AllowList);
    assert_eq!(customer.spec.deletion_policy, DeletionPolicy::Delete);
    round_trip(&customer);
    let topology = topology(TOPOLOGY);
    assert_eq!(topology.spec.analytics.len(), 4);
    round_trip(&topology);
    let alert = alert(ALERT);
    assert_eq!(alert.spec.receivers.len(), 3);
    round_trip(&alert);
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let spec = customer("{apiVersion: kinetic.dev/v1alpha1, kind: Customer, metadata: {name: a}, spec: {region: r, provider: p}}").spec;
    assert_eq!((spec.limits.connections, spec.limits.series, spec.limits.topologies), (200, 100_000, 20));
    assert_eq!(spec.deletion_policy, DeletionPolicy::Retain);
    let text = "{apiVersion: kinetic.dev/v1alpha1, kind: Topology, metadata: {name: a}, spec: {customer: c,
        sources: [{name: s, type: statsd}], analytics: [{name: x, source: s, match: {metric: '**'}, cluster: {}}]}}";
    let spec = topology(text).spec;
    assert_eq!(
        (spec.sources[0].interval, spec.sources[0].lateness),
        (Duration::from_secs(10), Duration::from_secs(10))
    );
    let analytic = &spec.analytics[0];
    assert_eq!((analytic.persistence.windows, analytic.persistence.of), (2, 3));
    assert!((analytic.cluster.as_ref().unwrap().deviation - 4.0).abs() < f64::EPSILON);
    let text = "{apiVersion: kinetic.dev/v1alpha1, kind: Alert, metadata: {name: a}, spec: {topology: t, receivers: [{name: r, email: {to: [a@b]}}]}}";
    let spec = alert(text).spec;
    assert!(spec.active && spec.send_resolved);
    assert_eq!(spec.group_by, ["analytic", "metric"]);
    assert_eq!(
        (spec.group_wait, spec.repeat_interval),
        (Duration::from_secs(30), Duration::from_secs(14_400))
    );
}

#[test]
fn the_rules_accept_the_designs_examples() {
    assert_eq!(failures(customer(CUSTOMER).validate_cel()), [""; 0]);
    assert_eq!(failures(topology(TOPOLOGY).validate_cel()), [""; 0]);
    assert_eq!(failures(alert(ALERT).validate_cel()), [""; 0]);
}

#[test]
fn the_rules_refuse_what_fields_alone_cannot() {
    let long = "x".repeat(41);
    let name = "metadata.name must be a DNS label of at most 40 characters";
    for bad in ["Acme", "-a", long.as_str()] {
        let text = edited(CUSTOMER, "metadata: {name: acme}", &format!("metadata: {{name: '{bad}'}}"));
        assert!(failures(customer(&text).validate_cel())[0].starts_with(name), "{bad}");
    }
    let cases = [
        (
            "threshold: {above: 90, clearBelow: 85}",
            "",
            "spec.analytics[2]: exactly one of cluster, stddev, threshold, absence must be set",
        ),
        (
            "absence: {after: 2m}",
            "absence: {after: 2m}, cluster: {}",
            "spec.analytics[3]: exactly one of cluster, stddev, threshold, absence must be set",
        ),
        (
            "absence: {after: 2m}",
            "absence: {after: 2m}, change: PerSecond",
            "spec.analytics[3]: absence looks at whether samples come, not at numbers: ratio and change do not go with it",
        ),
        (
            "{windows: 1, of: 1}",
            "{windows: 2, of: 1}",
            "spec.analytics[0].persistence: windows must not be more than of",
        ),
        (
            "{above: 90, clearBelow: 85}",
            "{above: 90, below: 5}",
            "spec.analytics[2].threshold: exactly one of above, below must be set",
        ),
        (
            "clearBelow: 85",
            "clearBelow: 95",
            "spec.analytics[2].threshold: clearBelow goes with above, and must not be more than it",
        ),
        (
            "above: 90, clearBelow: 85",
            "below: 90, clearAbove: 85",
            "spec.analytics[2].threshold: clearAbove goes with below, and must not be less than it",
        ),
        (
            "{header: origin}",
            "{header: origin, tag: host}",
            "spec.sources[0].origin: exactly one of header, tag, pattern must be set",
        ),
        (
            "{name: full, source: hosts",
            "{name: full, source: host",
            "spec: every analytic's source must be the name of one of spec.sources",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(failures(topology(&edited(TOPOLOGY, from, to)).validate_cel()), [expected], "{to}");
    }
    let text = edited(ALERT, "      alertmanager: {url: \"https://am.example\"}\n", "");
    assert_eq!(
        failures(alert(&text).validate_cel()),
        ["spec.receivers[2]: exactly one of email, webhook, alertmanager must be set"]
    );
}

#[test]
fn what_is_immutable_does_not_change() {
    let old = customer(CUSTOMER);
    let new = customer(&edited(CUSTOMER, "region: us-west", "region: us-east"));
    assert_eq!(
        failures(new.validate_cel_update(&old)),
        ["spec.region: region is immutable: create another Customer instead"]
    );
    let new = customer(&edited(CUSTOMER, "provider: aws", "provider: gcp"));
    assert_eq!(
        failures(new.validate_cel_update(&old)),
        ["spec.provider: provider is immutable: create another Customer instead"]
    );
    let new = customer(&edited(CUSTOMER, "displayName: Acme Corp", "displayName: Acme"));
    assert_eq!(failures(new.validate_cel_update(&old)), [""; 0]);
    let new = topology(&edited(TOPOLOGY, "customer: acme", "customer: other"));
    assert_eq!(
        failures(new.validate_cel_update(&topology(TOPOLOGY))),
        ["spec.customer: customer is immutable: create another Topology instead"]
    );
    let new = alert(&edited(ALERT, "topology: web", "topology: other"));
    assert_eq!(
        failures(new.validate_cel_update(&alert(ALERT))),
        ["spec.topology: topology is immutable: create another Alert instead"]
    );
}
