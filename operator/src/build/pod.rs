//! What a Topology's pods are made from, and what all of them have in common.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, HTTPGetAction, PodSecurityContext, Probe, ResourceRequirements,
    SeccompProfile, SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString};
use kinetic_api::resources::{Customer, Topology};

use super::labels::Owned;
use crate::config;

/// A Topology that was validated: all that its objects are built from.
#[derive(Clone, Debug)]
pub struct TopologyOf {
    /// Its name.
    pub name: String,
    /// Its Customer's vhost.
    pub vhost: String,
    /// Whose objects they are.
    pub owner: Owned,
    /// The Topology as it was written.
    pub topology: Topology,
    /// Its Customer.
    pub customer: Customer,
    /// How many analyzers share the work.
    pub partitions: u8,
    /// The front door's name within the cluster.
    pub upstream: String,
    /// The front door's objects' name and namespace.
    pub redirector: (String, String),
    /// Kinetic's own image.
    pub image: String,
    /// When it is pulled.
    pub pull_policy: Option<String>,
    /// The analyzer's image.
    pub analyzer_image: String,
    /// Since when each analytic's findings are news, by name.
    pub active_since: BTreeMap<String, String>,
    /// What the analyzer may use, if its Topology says so.
    pub resources: Option<ResourceRequirements>,
    /// What the platform says of all analyzers.
    pub settings: Box<config::Analyzer>,
}

/// The user of an analyzer's container. The sidecar has another: what one holds, the other cannot read.
pub const ANALYZER_USER: i64 = 65_532;
/// The user of a sidecar's, and of a redirector's.
pub const TRUSTED_USER: i64 = 65_533;

/// A pod's security context, as the restricted Pod Security Standard wants it. Containers have users of their own; the pod's is its sandbox's, which
/// containerd makes none without where there is a group.
#[must_use]
pub fn pod_security(user: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(user),
        fs_group: Some(user),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

/// A container's: no root, nothing to write to, no capability.
#[must_use]
pub fn container_security(user: i64) -> SecurityContext {
    SecurityContext {
        run_as_user: Some(user),
        run_as_non_root: Some(true),
        read_only_root_filesystem: Some(true),
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        ..SecurityContext::default()
    }
}

/// A container of Kinetic's: a subcommand, by a configuration file.
#[must_use]
pub fn container(
    name: &str,
    image: &str,
    pull_policy: Option<&String>,
    args: &[&str],
    user: i64,
) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: pull_policy.cloned(),
        args: Some(args.iter().map(|arg| (*arg).to_owned()).collect()),
        security_context: Some(container_security(user)),
        ..Container::default()
    }
}

/// A port by its name.
#[must_use]
pub fn port(name: &str, port: u16) -> ContainerPort {
    ContainerPort { name: Some(name.to_owned()), container_port: port.into(), ..ContainerPort::default() }
}

/// Asks the admin port.
#[must_use]
pub fn probe(path: &str, port: u16, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(port.into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// A folder to read from.
#[must_use]
pub fn mounted(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}

/// Asks for this much, and may use no more memory than `limit`.
#[must_use]
pub fn needs(cpu: &str, memory: &str, limit: &str) -> ResourceRequirements {
    let quantity = |pairs: &[(&str, &str)]| -> BTreeMap<String, Quantity> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), Quantity((*value).to_owned()))).collect()
    };
    ResourceRequirements {
        requests: Some(quantity(&[("cpu", cpu), ("memory", memory)])),
        limits: Some(quantity(&[("memory", limit)])),
        ..ResourceRequirements::default()
    }
}
