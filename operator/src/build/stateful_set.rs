//! An analyzer's pod: one partition of a Topology, behind a sidecar that alone holds the certificate.

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec},
        core::v1::{
            ConfigMapVolumeSource, EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, PodSpec,
            PodTemplateSpec, SecretVolumeSource, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

use super::{
    config_map::{ANALYZER_ADMIN, COMPONENT, SIDECAR_ADMIN, name as config_name},
    labels,
    pod::{ANALYZER_USER, TRUSTED_USER, TopologyOf, container, mounted, needs, pod_security, port, probe},
    settings::{furnish, settle},
};

/// The volumes of its pod.
pub const VOLUMES: [&str; 3] = [CONFIG, TLS, DATA];
const CONFIG: &str = "config";
const TLS: &str = "tls";
const DATA: &str = "data";

/// The label that tells partitions apart.
const PARTITION: &str = "kinetic.dev/partition";

/// What a partition's StatefulSet, certificate and claim are called.
#[must_use]
pub fn name(topology: &str, partition: u8) -> String {
    format!("{topology}-analyzer-{partition}")
}

/// The StatefulSet of a partition: of one replica, so that no two ever run at once.
#[must_use]
pub fn stateful_set(of: &TopologyOf, partition: u8) -> StatefulSet {
    let name = name(&of.name, partition);
    let mut selector = labels::selector(COMPONENT, &of.name);
    selector.match_labels.get_or_insert_default().insert(PARTITION.to_owned(), partition.to_string());
    let mut pod_labels = labels::of(COMPONENT, &of.name);
    pod_labels.insert(PARTITION.to_owned(), partition.to_string());
    let mut template = PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(pod_labels), ..ObjectMeta::default() }),
        spec: Some(pod(of, partition, &name)),
    };
    // Each is alone in its set: its like are the Topology's other partitions.
    settle(&mut template, &of.settings.pod, &labels::selector(COMPONENT, &of.name));
    StatefulSet {
        metadata: labels::owned(name.clone(), COMPONENT, &of.name, &of.owner),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            // In order, a pod that never became ready (no such image, no node that fits) would outlive the edit that mends it.
            pod_management_policy: Some("Parallel".to_owned()),
            service_name: Some(name.clone()),
            selector,
            template,
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn pod(of: &TopologyOf, partition: u8, name: &str) -> PodSpec {
    let mut sidecar = container(
        "sidecar",
        &of.image,
        of.pull_policy.as_ref(),
        &["sidecar", "--config", "/etc/kinetic/config/sidecar.yaml"],
        TRUSTED_USER,
    );
    // A native sidecar: started before the analyzer, stopped after it.
    sidecar.restart_policy = Some("Always".to_owned());
    sidecar.ports = Some(vec![port("sidecar-admin", SIDECAR_ADMIN)]);
    // It listens: whether the front door answers is no reason to hold the analyzer up.
    sidecar.startup_probe = Some(probe("/healthz", SIDECAR_ADMIN, 1, 60));
    sidecar.liveness_probe = Some(probe("/healthz", SIDECAR_ADMIN, 10, 3));
    sidecar.volume_mounts =
        Some(vec![mounted(CONFIG, "/etc/kinetic/config"), mounted(TLS, "/etc/kinetic/tls")]);
    sidecar.resources = Some(needs("10m", "16Mi", "64Mi"));
    furnish(&mut sidecar, &of.settings.sidecar);

    let share = partition.to_string();
    let mut analyzer = container(
        "analyzer",
        &of.analyzer_image,
        of.pull_policy.as_ref(),
        &["analyzer", "--config", "/etc/kinetic/config/analyzer.yaml", "--partition", &share],
        ANALYZER_USER,
    );
    analyzer.ports = Some(vec![port("admin", ANALYZER_ADMIN)]);
    analyzer.readiness_probe = Some(probe("/readyz", ANALYZER_ADMIN, 5, 3));
    analyzer.liveness_probe = Some(probe("/healthz", ANALYZER_ADMIN, 10, 6));
    analyzer.volume_mounts = Some(vec![
        mounted(CONFIG, "/etc/kinetic/config"),
        VolumeMount {
            name: DATA.to_owned(),
            mount_path: "/var/lib/kinetic".to_owned(),
            ..VolumeMount::default()
        },
    ]);
    analyzer.resources = Some(needs("50m", "64Mi", "512Mi"));
    furnish(&mut analyzer, &of.settings.container);
    if let Some(own) = &of.resources {
        analyzer.resources = Some(own.clone());
    }

    let volume = |name: &str| Volume { name: name.to_owned(), ..Volume::default() };
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        share_process_namespace: Some(false),
        security_context: Some(pod_security(TRUSTED_USER)),
        termination_grace_period_seconds: Some(60),
        init_containers: Some(vec![sidecar]),
        containers: vec![analyzer],
        volumes: Some(vec![
            Volume {
                config_map: Some(ConfigMapVolumeSource {
                    name: config_name(&of.name),
                    ..ConfigMapVolumeSource::default()
                }),
                ..volume(CONFIG)
            },
            Volume {
                secret: Some(SecretVolumeSource {
                    secret_name: Some(name.to_owned()),
                    default_mode: Some(0o440),
                    ..SecretVolumeSource::default()
                }),
                ..volume(TLS)
            },
            match of.topology.spec.analyzer.checkpoint {
                Some(_) => Volume {
                    persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                        claim_name: name.to_owned(),
                        ..PersistentVolumeClaimVolumeSource::default()
                    }),
                    ..volume(DATA)
                },
                None => Volume {
                    empty_dir: Some(EmptyDirVolumeSource {
                        size_limit: Some(Quantity("1Gi".to_owned())),
                        ..EmptyDirVolumeSource::default()
                    }),
                    ..volume(DATA)
                },
            },
        ]),
        ..PodSpec::default()
    }
}
