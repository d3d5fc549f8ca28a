//! Where an analyzer keeps its checkpoint, if its Topology asks for more than the pod's own folder.

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use kinetic_api::resources::topology::Checkpoint;

use super::{config_map::COMPONENT, labels, pod::TopologyOf, stateful_set};

/// A partition's claim, which the StatefulSet of the same name mounts.
#[must_use]
pub fn claim(of: &TopologyOf, checkpoint: &Checkpoint, partition: u8) -> PersistentVolumeClaim {
    let name = stateful_set::name(&of.name, partition);
    let size = Quantity(checkpoint.size.to_string());
    PersistentVolumeClaim {
        metadata: labels::owned(name, COMPONENT, &of.name, &of.owner),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), size)].into()),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: checkpoint.storage_class_name.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}
