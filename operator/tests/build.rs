//! Builders: resources in YAML in, objects out.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use k8s_openapi::ByteString;
use kinetic_api::resources::{Customer, Topology};
use kinetic_operator::{
    build::{
        alert_keys::{alert_keys, entry},
        api_keys::api_keys,
        certificate::certificate,
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
    config::Config,
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
    let referred = Referred { customer: Some(customer()), siblings: vec![topology()] };
    validate(&topology(), &referred, &config()).unwrap().0
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
    assert_eq!(snapshot.topologies[0].resource.spec, topology().spec);
    assert_eq!(snapshot.customers[0].plan.vhost, "us-west.aws.acme");
    assert!(snapshot.customers[0].resource.spec.contacts.is_empty(), "it need not know whom to write to");
}
