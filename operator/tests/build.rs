//! Builders: resources in YAML in, objects out.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use k8s_openapi::{ByteString, api::apps::v1::StatefulSet};
use kinetic_api::resources::{Customer, Topology, topology::Checkpoint};
use kinetic_operator::{
    build::{
        alert_keys::{alert_keys, entry},
        api_keys::api_keys,
        certificate::certificate,
        claim::claim,
        client_files::{self, ClientOf, client_files},
        config_map::{COMPONENT, config_map, name},
        disruption_budget::disruption_budget,
        labels::{Owned, owned},
        leaf_secret::leaf_secret,
        network_policy::network_policy,
        pod::TopologyOf,
        redirector,
        stateful_set::stateful_set,
    },
    config::{Analyzer, Config, pods::ContainerSettings},
    leaf::{Pair, Wanted},
    reconcile::topology::{Referred, validate},
};
use kinetic_pki::Subject;

const CONFIG: &str = "
namespace: kinetic-system
image: kinetic:0.1.0
imagePullPolicy: IfNotPresent
placements:
  - region: us-west
    provider: aws
    host: kinetic.us-west.example
    brokers: [{name: aws-1, nodes: ['rabbit-0:5672', 'rabbit-1:5672'], admin: {url: 'http://rabbit:15672', credentials: /etc/kinetic/brokers/aws-1}}]
    redirector: {replicas: 3, service: {type: LoadBalancer, annotations: {example.com/internal: 'true'}}}
";

const CUSTOMER: &str = "
apiVersion: kinetic.dev/v1alpha1
kind: Customer
metadata: {name: acme, namespace: shops, uid: uid-acme}
spec:
  region: us-west
  provider: aws
  contacts: [ops@acme.example]
  clients:
    - {name: web, profile: web}
    - {name: old, profile: old, apiKey: {secretRef: {name: keys, key: old}}}
  revoked: [{serial: 4f0a91}]
status: {broker: aws-1}
";

const TOPOLOGY: &str = "
apiVersion: kinetic.dev/v1alpha1
kind: Topology
metadata: {name: web, namespace: shops, uid: uid-web}
spec:
  customer: acme
  sources: [{name: pages, type: statsd, profiles: [web]}]
  analytics:
    - {name: slow, source: pages, match: {metric: page.*.time}, statistic: mean, cluster: {deviation: 3}}
  analyzer: {partitions: 2, resources: {limits: {memory: 1Gi}}}
";

/// What the platform says of pods; each field another than it would be.
const PODS: &str = "
podLabels: {example.com/team: platform}
podAnnotations: {example.com/note: pod}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: dedicated, operator: Exists, effect: NoExecute, tolerationSeconds: 60}]
affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: disk, operator: Exists}]}}]}}
topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}
  - {maxSkew: 2, topologyKey: rack, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {example.com/team: platform}}}
priorityClassName: high
runtimeClassName: gvisor
imagePullSecrets: [{name: pull}]
podSecurityContext: {runAsGroup: null, fsGroup: 1000}
extraVolumes: [{name: ca, configMap: {name: ca}}]
";
const CONTAINER: &str = "
resources: {requests: {cpu: 1}, limits: {memory: 1Gi, ephemeral-storage: 2Gi}}
securityContext: {readOnlyRootFilesystem: false, capabilities: {add: [NET_BIND_SERVICE]}}
extraEnv: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
extraVolumeMounts: [{name: ca, mountPath: /etc/ssl/own, readOnly: true}]
";

/// A configuration in which the platform has a say in everything.
fn settled() -> Config {
    let (pod, container) =
        (|| serde_saphyr::from_str(PODS).unwrap(), || serde_saphyr::from_str(CONTAINER).unwrap());
    let mut config = config();
    config.placements[0].redirector.pod = pod();
    config.placements[0].redirector.container = container();
    config.analyzer = Analyzer {
        pod: pod(),
        container: container(),
        sidecar: ContainerSettings { resources: None, ..container() },
    };
    config
}

fn config() -> Config {
    serde_saphyr::from_str(CONFIG).unwrap()
}

fn customer() -> Customer {
    serde_saphyr::from_str(CUSTOMER).unwrap()
}

fn topology() -> Topology {
    serde_saphyr::from_str(TOPOLOGY).unwrap()
}

fn validated() -> TopologyOf {
    accepted(&topology(), &config())
}

fn accepted(topology: &Topology, config: &Config) -> TopologyOf {
    let referred = Referred { customer: Some(customer()), siblings: vec![topology.clone()] };
    validate(topology, &referred, config).unwrap().0
}

fn pair() -> Pair {
    let time = "2026-12-22T00:00:00Z".parse().unwrap();
    Pair {
        certificate: "certificate".into(),
        key: "key".into(),
        serial: "4f0a91".parse().unwrap(),
        not_after: time,
        renewed_at: time,
        former: false,
    }
}

#[test]
fn a_customers_client() {
    let client = ClientOf {
        customer: "acme".into(),
        vhost: "us-west.aws.acme".into(),
        client: "web".into(),
        profile: "web".into(),
        host: "kinetic.us-west.example".into(),
    };
    let owner = Owned::by(&customer()).unwrap();
    let metadata = owned(client_files::name("acme", "web"), client_files::COMPONENT, "acme", &owner);
    let secret = leaf_secret(metadata, &pair(), "trust", client_files(&client));
    let text = |key: &str| String::from_utf8(secret.data.as_ref().unwrap()[key].0.clone()).unwrap();
    insta::assert_yaml_snapshot!("client_secret_metadata", secret.metadata);
    for file in ["sidecar.yaml", "collectd.conf", "statsd.js"] {
        insta::assert_snapshot!(format!("client_secret_{file}"), text(file));
    }
}

#[test]
fn the_alert_services_keys() {
    let keys = [(entry("shops", "hook-secret", "key"), ByteString(b"secret".to_vec()))];
    insta::assert_yaml_snapshot!("alert_keys", alert_keys("kinetic-system", keys.into()));
}

#[test]
fn what_cert_manager_is_asked_for() {
    let issuer = serde_saphyr::from_str("{name: ours}").unwrap();
    let domain = "kinetic.local".parse().unwrap();
    let owner = Owned::by(&customer()).unwrap();
    let client = Subject::Client { customer: "acme".parse().unwrap(), client: "web".parse().unwrap() };
    let metadata = owned(client_files::name("acme", "web"), client_files::COMPONENT, "acme", &owner);
    insta::assert_yaml_snapshot!(
        "certificate_client",
        certificate(metadata, &Wanted::new(client), &domain, &issuer)
    );
    let (config, placement) = (config(), &config().placements[0]);
    let door =
        Wanted { dns: redirector::names(placement, "kinetic-system"), ..Wanted::new(Subject::Redirector) };
    insta::assert_yaml_snapshot!(
        "certificate_redirector",
        certificate(redirector::metadata(&config, placement), &door, &domain, &issuer)
    );
}

#[test]
fn a_topologys_objects() {
    let of = validated();
    insta::assert_yaml_snapshot!("topology_config_map", config_map(&of));
    insta::assert_yaml_snapshot!("topology_stateful_set", stateful_set(&of, 1));
    insta::assert_yaml_snapshot!("topology_network_policy", network_policy(&of));
    let metadata = owned(name(&of.name), COMPONENT, &of.name, &of.owner);
    insta::assert_yaml_snapshot!(
        "topology_disruption_budget",
        disruption_budget(metadata, COMPONENT, &of.name)
    );
}

/// Of all that the platform may say of pods.
#[test]
fn pods_as_the_platform_wants_them() {
    let config = settled();
    let door = redirector::deployment(&config, &config.placements[0], "hash");
    insta::assert_yaml_snapshot!("settled_redirector_deployment", door);
    let mut frugal = topology();
    frugal.spec.analyzer.resources = None;
    insta::assert_yaml_snapshot!("settled_stateful_set", stateful_set(&accepted(&frugal, &config), 0));
    // A Topology's own resources win, whole.
    let set = stateful_set(&accepted(&topology(), &config), 0);
    let resources = set.spec.unwrap().template.spec.unwrap().containers[0].resources.clone().unwrap();
    assert_eq!((resources.requests, resources.limits.unwrap().len()), (None, 1));
}

/// Whatever labels the platform gives them, what selects pods finds them.
#[test]
fn selectors_find_their_pods() {
    let config = settled();
    let door = redirector::deployment(&config, &config.placements[0], "hash").spec.unwrap();
    let set = stateful_set(&accepted(&topology(), &config), 1).spec.unwrap();
    for (selector, template) in [(door.selector, door.template), (set.selector, set.template)] {
        let labels = template.metadata.unwrap().labels.unwrap();
        let wanted = selector.match_labels.unwrap();
        assert!(wanted.len() >= 3 && wanted.iter().all(|(key, value)| labels.get(key) == Some(value)));
        assert_eq!(labels["example.com/team"], "platform");
    }
}

#[test]
fn a_checkpoint_on_a_claim() {
    let mut topology = topology();
    let plain = stateful_set(&accepted(&topology, &config()), 1);
    let files = config_map(&accepted(&topology, &config()));
    let checkpoint =
        Checkpoint { size: "10Gi".parse().unwrap(), storage_class_name: Some("fast".to_owned()) };
    topology.spec.analyzer.checkpoint = Some(checkpoint.clone());
    let of = accepted(&topology, &config());
    insta::assert_yaml_snapshot!("topology_claim", claim(&of, &checkpoint, 1));
    let set = stateful_set(&of, 1);
    assert_eq!(set.spec.as_ref().unwrap().selector, plain.spec.as_ref().unwrap().selector);
    let volume = |set: StatefulSet| set.spec.unwrap().template.spec.unwrap().volumes.unwrap()[2].clone();
    let (with, without) = (volume(set), volume(plain));
    assert_eq!(with.persistent_volume_claim.unwrap().claim_name, "web-analyzer-1");
    assert!(with.empty_dir.is_none() && without.empty_dir.is_some());
    assert_eq!(config_map(&of), files, "an analyzer need not know on what it keeps its checkpoint");
}

#[test]
fn a_front_doors_objects() {
    let config = config();
    let placement = &config.placements[0];
    insta::assert_yaml_snapshot!("redirector_config_map", redirector::config_map(&config, placement));
    insta::assert_yaml_snapshot!("redirector_service", redirector::service(&config, placement));
    insta::assert_yaml_snapshot!("redirector_deployment", redirector::deployment(&config, placement, "hash"));
    let hashes = [("acme.old".to_owned(), "sha256:00".to_owned())].into();
    insta::assert_yaml_snapshot!("redirector_keys", api_keys(&config, placement, hashes));
    insta::assert_yaml_snapshot!("redirector_names", redirector::names(placement, &config.namespace));
}

#[test]
fn an_analyzer_can_read_what_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let files = config_map(&validated()).data.unwrap();
    let resources: Vec<_> = ["customer.yaml", "topology.yaml"].map(|file| folder.path().join(file)).into();
    for path in &resources {
        std::fs::write(path, &files[path.file_name().unwrap().to_str().unwrap()]).unwrap();
    }
    let snapshot = kinetic_resources::load(&resources).unwrap();
    let mut spec = topology().spec;
    spec.analyzer.resources = None;
    assert_eq!(snapshot.topologies[0].resource.spec, spec);
    assert_eq!(snapshot.customers[0].plan.vhost, "us-west.aws.acme");
    assert!(snapshot.customers[0].resource.spec.contacts.is_empty(), "it need not know whom to write to");
}
