//! What the pods that the operator makes are given besides what they are: where they run, as whom, with what else. Kubernetes' own types, in the words of the
//! chart's values.

use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
};

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, LocalObjectReference, PodSecurityContext, ResourceRequirements, SecurityContext,
    Toleration, TopologySpreadConstraint, Volume, VolumeMount,
};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned, de::Error};
use serde_json::{Map, Value};

/// A pod's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PodSettings {
    /// Labels besides ours.
    #[serde(deserialize_with = "not_ours")]
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations besides ours.
    #[serde(deserialize_with = "not_ours")]
    pub pod_annotations: BTreeMap<String, String>,
    /// The nodes that it may run on, by their labels.
    pub node_selector: BTreeMap<String, String>,
    /// The taints that it bears.
    #[serde(deserialize_with = "exact")]
    pub tolerations: Vec<Toleration>,
    /// Nodes and pods that it is drawn to, or kept from.
    #[serde(deserialize_with = "exact")]
    pub affinity: Option<Affinity>,
    /// How its like are spread; without a `labelSelector`, its like are the pods of its Deployment, or of its Topology.
    #[serde(deserialize_with = "exact")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// How important it is.
    pub priority_class_name: Option<String>,
    /// What runs it.
    pub runtime_class_name: Option<String>,
    /// By which Secrets its images are pulled.
    #[serde(deserialize_with = "exact")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Put over what the restricted Pod Security Standard asks for.
    pub pod_security_context: Overlay<PodSecurityContext>,
    /// Volumes besides ours.
    #[serde(deserialize_with = "exact")]
    pub extra_volumes: Vec<Volume>,
}

/// A container's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerSettings {
    /// What it may use.
    #[serde(deserialize_with = "some_resources")]
    pub resources: Option<ResourceRequirements>,
    /// Put over what the restricted Pod Security Standard asks for.
    pub security_context: Overlay<SecurityContext>,
    /// Variables.
    #[serde(deserialize_with = "exact")]
    pub extra_env: Vec<EnvVar>,
    /// Where it sees the pod's `extraVolumes`.
    #[serde(deserialize_with = "exact")]
    pub extra_volume_mounts: Vec<VolumeMount>,
}

/// Some fields of a type, put over another value of it: maps field by field, null takes out (RFC 7396).
#[derive(Clone, Debug)]
pub struct Overlay<T>(Value, PhantomData<T>);

impl<T> Default for Overlay<T> {
    fn default() -> Self {
        Self(Value::Object(Map::new()), PhantomData)
    }
}

impl<T: Serialize + DeserializeOwned> Overlay<T> {
    /// The value with the fields put over it.
    ///
    /// # Panics
    /// Never: the fields were read as such a value's.
    #[must_use]
    pub fn over(&self, value: &T) -> T {
        let mut whole = serde_json::to_value(value).expect("an API's type is written as JSON");
        merge(&mut whole, &self.0);
        serde_json::from_value(whole).expect("both are of the type, and each of its fields may be absent")
    }
}

impl<'de, T: Serialize + DeserializeOwned> Deserialize<'de> for Overlay<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Value::Object(Map::deserialize(deserializer)?);
        read::<T>(&fields).map_err(D::Error::custom)?;
        Ok(Self(fields, PhantomData))
    }
}

fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(into) = into else { return };
    for (key, value) in patch {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// A container's `resources`, as people write them: an amount may be a number.
///
/// # Errors
/// The field, and what is wrong with it.
pub fn resources(mut written: Value) -> Result<ResourceRequirements, String> {
    for amounts in ["requests", "limits"] {
        for amount in written.get_mut(amounts).and_then(Value::as_object_mut).into_iter().flatten() {
            if let Value::Number(number) = &*amount.1 {
                *amount.1 = Value::String(number.to_string());
            }
        }
    }
    read(&written)
}

fn some_resources<'de, D>(deserializer: D) -> Result<Option<ResourceRequirements>, D::Error>
where
    D: Deserializer<'de>,
{
    let written = Option::<Value>::deserialize(deserializer)?;
    written.map(resources).transpose().map_err(D::Error::custom)
}

/// Kubernetes' own types take no notice of a field that they do not know: here it is an error.
fn exact<'de, D: Deserializer<'de>, T: Serialize + DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    read(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn read<T: Serialize + DeserializeOwned>(written: &Value) -> Result<T, String> {
    let value: T =
        serde_path_to_error::deserialize(written).map_err(|error| match error.path().to_string() {
            root if root == "." => error.inner().to_string(),
            path => format!("{path}: {}", error.inner()),
        })?;
    let kept = serde_json::to_value(&value).map_err(|error| error.to_string())?;
    match lost(written, &kept, "") {
        Some(field) => Err(format!("{field}: there is no such field")),
        None => Ok(value),
    }
}

/// The first field that was written and not kept.
fn lost(written: &Value, kept: &Value, at: &str) -> Option<String> {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => written.iter().find_map(|(key, value)| {
            let below = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            match kept.get(key) {
                Some(kept) => lost(value, kept, &below),
                None => (!value.is_null()).then_some(below),
            }
        }),
        (Value::Array(written), Value::Array(kept)) => {
            written.iter().zip(kept).enumerate().find_map(|(n, (w, k))| lost(w, k, &format!("{at}[{n}]")))
        }
        _ => None,
    }
}

/// How labels and annotations begin by which the operator, or Kubernetes for it, tells pods apart.
const OURS: [&str; 2] = ["app.kubernetes.io/", "kinetic.dev/"];

fn not_ours<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let written = BTreeMap::<String, String>::deserialize(deserializer)?;
    match written.keys().find(|key| OURS.iter().any(|ours| key.starts_with(ours))) {
        Some(key) => Err(D::Error::custom(format!(
            "{key}: what begins with {} is the operator's, which finds its pods by it: use a prefix of your own",
            OURS.join(" or ")
        ))),
        None => Ok(written),
    }
}

/// The folders that hold what the operator mounts.
const FOLDERS: [&str; 2] = ["/etc/kinetic", "/var/lib/kinetic"];

/// What is wrong with these settings together, by field. `volumes` are the pod's own.
pub(super) fn fault(
    pod: &PodSettings,
    containers: &[(&str, &ContainerSettings)],
    volumes: &[&str],
) -> Option<(String, String)> {
    let mut names = BTreeSet::new();
    for (n, volume) in pod.extra_volumes.iter().enumerate() {
        let field = || format!("pod.extraVolumes[{n}].name");
        if volumes.contains(&volume.name.as_str()) {
            return Some((
                field(),
                format!("the pod has a volume {} of its own: use another name", volume.name),
            ));
        }
        if !names.insert(volume.name.as_str()) {
            return Some((field(), format!("there is another volume {}", volume.name)));
        }
    }
    for (container, settings) in containers {
        let mut variables = BTreeSet::new();
        for (n, variable) in settings.extra_env.iter().enumerate() {
            if !variables.insert(variable.name.as_str()) {
                let field = format!("{container}.extraEnv[{n}].name");
                return Some((field, format!("there is another variable {}", variable.name)));
            }
        }
        for (n, mount) in settings.extra_volume_mounts.iter().enumerate() {
            let field = |name: &str| format!("{container}.extraVolumeMounts[{n}].{name}");
            if !names.contains(mount.name.as_str()) {
                let problem =
                    format!("there is no volume {} among extraVolumes: name one of them", mount.name);
                return Some((field("name"), problem));
            }
            let path = mount.mount_path.trim_end_matches('/');
            let within = |folder: &&&str| {
                path.strip_prefix(**folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if let Some(folder) = FOLDERS.iter().find(within) {
                let problem = format!("{folder} is the operator's: mount it elsewhere");
                return Some((field("mountPath"), problem));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
