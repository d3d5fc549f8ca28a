//! What the platform wants of a pod, put to what the pod is.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, PodTemplateSpec, TopologySpreadConstraint},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use crate::config::pods::{ContainerSettings, PodSettings};

/// A pod's. `like` selects the pods that it is spread among.
pub fn settle(template: &mut PodTemplateSpec, settings: &PodSettings, like: &LabelSelector) {
    let metadata = template.metadata.get_or_insert_default();
    add(&mut metadata.labels, &settings.pod_labels);
    add(&mut metadata.annotations, &settings.pod_annotations);
    let pod = template.spec.get_or_insert_default();
    let spread =
        settings.topology_spread_constraints.iter().cloned().map(|constraint| TopologySpreadConstraint {
            label_selector: constraint.label_selector.or_else(|| Some(like.clone())),
            ..constraint
        });
    pod.topology_spread_constraints = listed(spread);
    pod.node_selector = Some(settings.node_selector.clone()).filter(|labels| !labels.is_empty());
    pod.tolerations = listed(settings.tolerations.iter().cloned());
    pod.affinity.clone_from(&settings.affinity);
    pod.priority_class_name.clone_from(&settings.priority_class_name);
    pod.runtime_class_name.clone_from(&settings.runtime_class_name);
    pod.image_pull_secrets = listed(settings.image_pull_secrets.iter().cloned());
    let security = pod.security_context.take().unwrap_or_default();
    pod.security_context = Some(settings.pod_security_context.over(&security));
    pod.volumes.get_or_insert_default().extend_from_slice(&settings.extra_volumes);
}

/// A container's.
pub fn furnish(container: &mut Container, settings: &ContainerSettings) {
    if let Some(resources) = &settings.resources {
        container.resources = Some(resources.clone());
    }
    let security = container.security_context.take().unwrap_or_default();
    container.security_context = Some(settings.security_context.over(&security));
    container.env = listed(settings.extra_env.iter().cloned());
    container.volume_mounts.get_or_insert_default().extend_from_slice(&settings.extra_volume_mounts);
}

/// What is there already stays.
fn add(own: &mut Option<BTreeMap<String, String>>, more: &BTreeMap<String, String>) {
    for (key, value) in more {
        own.get_or_insert_default().entry(key.clone()).or_insert_with(|| value.clone());
    }
}

fn listed<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    Some(items.collect::<Vec<_>>()).filter(|items| !items.is_empty())
}
