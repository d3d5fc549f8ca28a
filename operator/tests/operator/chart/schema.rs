//! Wrong values are refused, and the field is named.

use kinetic_tests::helm;
use serde_json::{Value, json};

use super::{file, template};

/// Path of the value, a wrong one, and what the message must name.
#[allow(clippy::too_many_lines, reason = "it is a table")]
fn wrong() -> Vec<(&'static str, Value, &'static str)> {
    let placement = |more: Value| {
        let mut whole =
            json!({"region": "r", "provider": "p", "brokers": [{"name": "b", "cluster": "rabbit"}]});
        whole.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        json!([whole])
    };
    let broker = |broker: Value| placement(json!({"brokers": [broker]}));
    vec![
        ("imagee", json!({}), "imagee"),
        ("image.repository", json!(""), "/image/repository"),
        ("image.tag", json!("a b"), "/image/tag"),
        ("image.digest", json!("sha256:1"), "/image/digest"),
        ("image.pullPolicy", json!("Sometimes"), "/image/pullPolicy"),
        ("image.registry", json!("x"), "registry"),
        ("imagePullSecrets", json!(["pull"]), "/imagePullSecrets/0"),
        ("watchNamespaces", json!(["Shops"]), "/watchNamespaces/0"),
        ("watchNamespaces", json!(["a", "a"]), "/watchNamespaces"),
        ("watchAllNamespaces", json!("yes"), "/watchAllNamespaces"),
        ("trustDomain", json!("Kinetic"), "/trustDomain"),
        ("masterKeyVersion", json!(0), "/masterKeyVersion"),
        ("log", json!(""), "/log"),
        ("issuer.kind", json!("issuer"), "/issuer/kind"),
        ("issuer.namespace", json!("x"), "namespace"),
        ("rotation.settle", json!("a day"), "/rotation/settle"),
        ("rotation.reissuesPerSecond", json!(0), "/rotation/reissuesPerSecond"),
        ("commonLabels", json!({"a": 1}), "/commonLabels/a"),
        ("commonAnnotations", json!({"a": true}), "/commonAnnotations/a"),
        ("placements", placement(json!({"region": "US West"})), "/placements/0/region"),
        ("placements", placement(json!({"host": "https://x"})), "/placements/0/host"),
        ("placements", placement(json!({"brokers": []})), "/placements/0/brokers"),
        ("placements", json!([{"region": "r"}]), "/placements/0"),
        ("placements", placement(json!({"redirectors": {}})), "redirectors"),
        (
            "placements",
            placement(json!({"redirector": {"replicas": -1}})),
            "/placements/0/redirector/replicas",
        ),
        (
            "placements",
            placement(json!({"redirector": {"service": {"type": "Public"}}})),
            "/placements/0/redirector/service/type",
        ),
        ("placements", broker(json!({"name": "b"})), "/placements/0/brokers/0"),
        (
            "placements",
            broker(json!({"name": "b", "cluster": "c", "maxCustomers": 0})),
            "/placements/0/brokers/0/maxCustomers",
        ),
        (
            "placements",
            broker(json!({"name": "b", "cluster": "c", "nodes": ["rabbit"]})),
            "/placements/0/brokers/0/nodes/0",
        ),
        (
            "placements",
            broker(json!({"name": "b", "cluster": "c", "admin": {"url": "rabbit:15672"}})),
            "/placements/0/brokers/0/admin/url",
        ),
        ("operator.replicas", json!(0), "/operator/replicas"),
        ("operator.replica", json!(1), "replica"),
        ("operator.resources", json!({"limits": {"memory": "much"}}), "/operator/resources/limits/memory"),
        ("operator.resources", json!({"limit": {}}), "limit"),
        ("operator.tolerations", json!([{"operator": "Maybe"}]), "/operator/tolerations/0/operator"),
        ("operator.affinity", json!({"node": {}}), "/operator/affinity"),
        (
            "operator.topologySpreadConstraints",
            json!([{"maxSkew": 0, "topologyKey": "k", "whenUnsatisfiable": "ScheduleAnyway"}]),
            "/operator/topologySpreadConstraints/0/maxSkew",
        ),
        ("operator.extraEnv", json!([{"value": "x"}]), "/operator/extraEnv/0"),
        (
            "operator.extraEnv",
            json!([{"name": "X", "valueFrom": {"secret": {}}}]),
            "/operator/extraEnv/0/valueFrom",
        ),
        ("operator.extraVolumeMounts", json!([{"name": "x"}]), "/operator/extraVolumeMounts/0"),
        ("operator.podSecurityContext", json!({"runAsUser": 0}), "/operator/podSecurityContext/runAsUser"),
        (
            "operator.podSecurityContext",
            json!({"runAsNonRoot": false}),
            "/operator/podSecurityContext/runAsNonRoot",
        ),
        ("operator.securityContext", json!({"privileged": true}), "privileged"),
        ("operator.extraVolumes", json!([{"name": "x", "hostPath": {"path": "/"}}]), "hostPath"),
        ("analyzer.extraVolumes", json!([{"name": "x"}]), "/analyzer/extraVolumes/0"),
        (
            "redirector.podSecurityContext",
            json!({"seccompProfile": {"type": "Unconfined"}}),
            "/redirector/podSecurityContext/seccompProfile/type",
        ),
        (
            "operator.securityContext",
            json!({"allowPrivilegeEscalation": true}),
            "/operator/securityContext/allowPrivilegeEscalation",
        ),
        (
            "operator.securityContext",
            json!({"capabilities": {"add": ["NET_ADMIN"]}}),
            "/operator/securityContext/capabilities/add/0",
        ),
        ("operator.serviceAccount.name", json!("A"), "/operator/serviceAccount/name"),
        ("operator.podLabels", json!({"a b": "c"}), "/operator/podLabels"),
        ("operator.priorityClassName", json!("High"), "/operator/priorityClassName"),
        ("alert.enabled", json!(1), "/alert/enabled"),
        ("alert.replicas", json!(2), "replicas"),
        ("alert.mail.smtp", json!("smtp://x"), "smtp"),
        ("alert.mail.smtpSecret.key", json!("a b"), "/alert/mail/smtpSecret/key"),
        ("alert.persistence.size", json!("big"), "/alert/persistence/size"),
        ("alert.persistence.whenDeleted", json!("Keep"), "/alert/persistence/whenDeleted"),
        ("alert.persistence.accessModes", json!([]), "/alert/persistence/accessModes"),
        ("alert.egressPorts", json!([70000]), "/alert/egressPorts/0"),
        ("operator.podLabels", json!({"app.kubernetes.io/name": "x"}), "/operator/podLabels"),
        ("operator.podAnnotations", json!({"kinetic.dev/config": "x"}), "/operator/podAnnotations"),
        ("operator.runtimeClassName", json!("gVisor"), "/operator/runtimeClassName"),
        ("redirector.replicas", json!(-1), "/redirector/replicas"),
        ("redirector.replica", json!(2), "replica"),
        ("redirector.service", json!({"type": "Public"}), "/redirector/service/type"),
        (
            "redirector.resources",
            json!({"limits": {"ephemeral-storage": "much"}}),
            "limits/ephemeral-storage",
        ),
        ("redirector.podLabels", json!({"app.kubernetes.io/component": "x"}), "/redirector/podLabels"),
        (
            "placements",
            placement(json!({"redirector": {"tolerations": [{"operater": "Exists"}]}})),
            "/placements/0/redirector/tolerations/0",
        ),
        (
            "placements",
            placement(json!({"redirector": {"podLabels": {"kinetic.dev/x": "y"}}})),
            "/placements/0/redirector/podLabels",
        ),
        ("placements", placement(json!({"redirector": {"serviceAccount": {}}})), "serviceAccount"),
        ("analyzer.replicas", json!(2), "replicas"),
        ("analyzer.image", json!("x"), "image"),
        ("analyzer.imagePullSecrets", json!(["pull"]), "/analyzer/imagePullSecrets/0"),
        ("analyzer.podSecurityContext", json!({"runAsUser": 0}), "/analyzer/podSecurityContext/runAsUser"),
        (
            "analyzer.sidecar.securityContext",
            json!({"allowPrivilegeEscalation": true}),
            "/analyzer/sidecar/securityContext/allowPrivilegeEscalation",
        ),
        ("analyzer.sidecar.extraVolumes", json!([]), "extraVolumes"),
        ("rabbitmq.plugins", json!(["rabbitmq_stream"]), "/rabbitmq/plugins"),
        ("rabbitmq.auth.password", json!("a b"), "/rabbitmq/auth/password"),
        ("rabbitmq.memoryHighWatermark", json!("half"), "/rabbitmq/memoryHighWatermark"),
        ("rabbitmq.placement.region", json!("R"), "/rabbitmq/placement/region"),
        ("rbac.clusterRoles", json!("no"), "/rbac/clusterRoles"),
        ("networkPolicy.apiServerPorts", json!([]), "/networkPolicy/apiServerPorts"),
        ("networkPolicy.metricsFrom", json!([{"namespace": "x"}]), "/networkPolicy/metricsFrom/0"),
        ("metrics.serviceMonitor.interval", json!("often"), "/metrics/serviceMonitor/interval"),
        ("metrics.prometheusRule.runbooks", json!("docs"), "/metrics/prometheusRule/runbooks"),
        ("metrics.prometheusRule.disabled", json!(["Other"]), "/metrics/prometheusRule/disabled/0"),
        ("metrics.dashboard.enabled", json!("x"), "/metrics/dashboard/enabled"),
        ("uninstall.patience", json!("2 minutes"), "/uninstall/patience"),
        ("test.patience", json!(2), "/test/patience"),
    ]
}

#[test]
fn a_wrong_value_is_refused_with_its_field() {
    if let Some(reason) = helm::missing() {
        return kinetic_tests::skip(reason);
    }
    for (path, value, named) in wrong() {
        let set = format!("{path}={value}");
        let error = template(&["--set-json", &set]).err().unwrap_or_else(|| panic!("taken: {set}"));
        assert!(error.contains("schema") && error.contains(named), "{set}: {named} is not named: {error}");
    }
}

/// A value that the schema does not know would be refused; one that it knows and values.yaml does not shows nobody that it is there.
#[test]
fn schema_and_values_know_the_same_fields() {
    let schema: Value = serde_json::from_str(&file("values.schema.json")).unwrap();
    let values: Value = serde_saphyr::from_str(&file("values.yaml")).unwrap();
    let mut unknown = Vec::new();
    compare(&schema, &schema, &values, "", &mut unknown);
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Every object of the schema is closed, unless it is a table of the user's or Kubernetes' own.
fn compare(root: &Value, schema: &Value, values: &Value, path: &str, unknown: &mut Vec<String>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let (Some(fields), Some(given)) = (schema["properties"].as_object(), values.as_object()) else { return };
    // What a table of Kubernetes' own may hold need not be in values.yaml; whether it is closed is the next test's.
    let listed = given.keys().any(|field| fields.contains_key(field));
    if schema["additionalProperties"] != json!(false) {
        unknown.push(format!("{path} is open"));
    }
    for (field, of) in fields {
        let below = format!("{path}/{field}");
        match given.get(field) {
            Some(value) => compare(root, of, value, &below, unknown),
            None if listed && !OPTIONAL.contains(&below.as_str()) => unknown.push(below),
            None => {}
        }
    }
}

/// Known, and in no default.
const OPTIONAL: [&str; 17] = [
    "/global",
    "/operator/resources/claims",
    "/alert/resources/claims",
    "/redirector/resources/claims",
    "/analyzer/resources/claims",
    "/analyzer/sidecar/resources/claims",
    "/rabbitmq/resources/claims",
    "/uninstall/resources/claims",
    "/rabbitmq/placement/host",
    "/rabbitmq/placement/brokers",
    "/rabbitmq/placement/redirector",
    "/rabbitmq/podSecurityContext/fsGroupChangePolicy",
    "/rabbitmq/podSecurityContext/supplementalGroups",
    "/rabbitmq/podSecurityContext/runAsNonRoot",
    "/rabbitmq/podSecurityContext/seccompProfile",
    "/rabbitmq/podSecurityContext/seLinuxOptions",
    "/rabbitmq/podSecurityContext/sysctls",
];
