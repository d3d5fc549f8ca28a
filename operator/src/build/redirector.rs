//! A placement's front door: Deployment, Service, configuration, certificate.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            ConfigMap, ConfigMapVolumeSource, PodSpec, PodTemplateSpec, SecretVolumeSource, Service,
            ServicePort, ServiceSpec, Volume,
        },
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use kinetic_enroll::wire::PORT;
use serde_json::json;

use super::{
    api_keys,
    config_map::yaml,
    labels,
    pod::{TRUSTED_USER, container, mounted, needs, pod_security, port, probe},
    settings::{furnish, settle},
};
use crate::{
    config::{AMQPS, Config, Placement},
    vault::MASTER,
};

/// The component that a front door's objects are labelled with.
pub const COMPONENT: &str = "redirector";
/// As whom it asks the API server; the chart makes it, with the right to read Customers and Topologies.
const SERVICE_ACCOUNT: &str = "kinetic-redirector";
/// Where its connections are told of.
const REGISTRY: u16 = 5680;
/// Where it tells how it fares.
pub const ADMIN: u16 = 8184;

/// The volumes of its pods.
pub const VOLUMES: [&str; 4] = [CONFIG, TLS, MASTER_KEY, API_KEYS];
const CONFIG: &str = "config";
const TLS: &str = "tls";
const MASTER_KEY: &str = "master";
const API_KEYS: &str = "keys";

/// Every name that the front door is reached by.
#[must_use]
pub fn names(placement: &Placement, namespace: &str) -> Vec<String> {
    let service = placement.redirector_name();
    let inside = [
        service.clone(),
        format!("{service}.{namespace}"),
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
    ];
    inside.into_iter().chain(placement.host.clone()).collect()
}

/// The metadata of its objects.
#[must_use]
pub fn metadata(config: &Config, placement: &Placement) -> ObjectMeta {
    let name = placement.redirector_name();
    labels::unowned(name.clone(), &config.namespace, COMPONENT, &name)
}

/// Whether machines may ask for certificates: where somebody else issues, nobody would sign them.
const fn enrolls(config: &Config) -> bool {
    config.issuer.is_none()
}

/// What it runs by.
#[must_use]
pub fn config_map(config: &Config, placement: &Placement) -> ConfigMap {
    let brokers: Vec<_> =
        placement.brokers.iter().map(|broker| json!({"name": broker.name, "nodes": broker.nodes})).collect();
    let mut settings = json!({
        "listen": format!("0.0.0.0:{AMQPS}"),
        "admin": format!("0.0.0.0:{ADMIN}"),
        "registry": format!("0.0.0.0:{REGISTRY}"),
        "tls": {
            "certificate": "/etc/kinetic/tls/tls.crt",
            "key": "/etc/kinetic/tls/tls.key",
            "trust": "/etc/kinetic/tls/ca.crt",
        },
        "masterKey": {"file": "/etc/kinetic/master/master.key", "version": config.master_key_version},
        "apiKeys": "/etc/kinetic/keys",
        "kubernetes": {"namespaces": config.watch_namespaces},
        "placements": [{"region": placement.region, "provider": placement.provider, "brokers": brokers}],
    });
    if enrolls(config) {
        settings["enroll"] = json!({"listen": format!("0.0.0.0:{PORT}")});
    }
    ConfigMap {
        metadata: metadata(config, placement),
        data: Some([("redirector.yaml".to_owned(), yaml(&settings))].into()),
        ..ConfigMap::default()
    }
}

/// How it is reached.
#[must_use]
pub fn service(config: &Config, placement: &Placement) -> Service {
    let wanted = &placement.redirector.service;
    let name = placement.redirector_name();
    let mut metadata = metadata(config, placement);
    metadata.annotations = Some(wanted.annotations.clone()).filter(|annotations| !annotations.is_empty());
    let port = |name: &str, port: u16| ServicePort {
        name: Some(name.to_owned()),
        port: port.into(),
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    let mut ports = vec![port("amqps", AMQPS), port("registry", REGISTRY)];
    ports.extend(enrolls(config).then(|| port("enroll", PORT)));
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(wanted.kind.clone().unwrap_or_else(|| "ClusterIP".to_owned())),
            load_balancer_class: wanted.load_balancer_class.clone(),
            selector: Some(labels::selected(COMPONENT, &name)),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// Its pods. `settings` is a hash of its configuration, which it reads at its start only: another one rolls the pods.
#[must_use]
pub fn deployment(config: &Config, placement: &Placement, settings: &str) -> Deployment {
    let name = placement.redirector_name();
    let mut redirector = container(
        "redirector",
        &config.image,
        config.image_pull_policy.as_ref(),
        &["redirector", "--config", "/etc/kinetic/config/redirector.yaml"],
        TRUSTED_USER,
    );
    let mut ports = vec![port("amqps", AMQPS), port("registry", REGISTRY), port("admin", ADMIN)];
    ports.extend(enrolls(config).then(|| port("enroll", PORT)));
    redirector.ports = Some(ports);
    redirector.readiness_probe = Some(probe("/readyz", ADMIN, 5, 3));
    redirector.liveness_probe = Some(probe("/healthz", ADMIN, 10, 6));
    redirector.volume_mounts = Some(vec![
        mounted(CONFIG, "/etc/kinetic/config"),
        mounted(TLS, "/etc/kinetic/tls"),
        mounted(MASTER_KEY, "/etc/kinetic/master"),
        mounted(API_KEYS, "/etc/kinetic/keys"),
    ]);
    redirector.resources = Some(needs("100m", "64Mi", "512Mi"));
    furnish(&mut redirector, &placement.redirector.container);

    let volume = |name: &str| Volume { name: name.to_owned(), ..Volume::default() };
    let secret = |volume_name: &str, secret: &str| Volume {
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..volume(volume_name)
    };
    let pod = PodSpec {
        // It follows Customers and Topologies.
        service_account_name: Some(SERVICE_ACCOUNT.to_owned()),
        automount_service_account_token: Some(true),
        enable_service_links: Some(false),
        security_context: Some(pod_security(TRUSTED_USER)),
        // Connections are ended at a bounded rate.
        termination_grace_period_seconds: Some(120),
        containers: vec![redirector],
        volumes: Some(vec![
            Volume {
                config_map: Some(ConfigMapVolumeSource {
                    name: name.clone(),
                    ..ConfigMapVolumeSource::default()
                }),
                ..volume(CONFIG)
            },
            secret(TLS, &name),
            secret(MASTER_KEY, MASTER),
            secret(API_KEYS, &api_keys::name(placement)),
        ]),
        ..PodSpec::default()
    };
    let mut template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels::of(COMPONENT, &name)),
            annotations: Some([("kinetic.dev/settings".to_owned(), settings.to_owned())].into()),
            ..ObjectMeta::default()
        }),
        spec: Some(pod),
    };
    let selector = labels::selector(COMPONENT, &name);
    settle(&mut template, &placement.redirector.pod, &selector);
    Deployment {
        metadata: metadata(config, placement),
        spec: Some(DeploymentSpec {
            replicas: Some(placement.redirector.replicas),
            selector,
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            template,
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}
