//! Where a role's resources live: files, or a Kubernetes API server; by its configuration.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use kinetic_resources::{
    Kind, Reload, Snapshot,
    cluster::{self, Scope},
};
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::validate;

/// What a configuration says of a cluster: `kubernetes: {namespaces: [shops]}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct KubernetesConfig {
    /// All namespaces where empty.
    namespaces: Vec<String>,
}

/// Where resources live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// Files, and folders of them.
    Files(Vec<PathBuf>),
    /// The API server of the pod, or that of KUBECONFIG.
    Cluster(Scope),
}

/// The resources, and what becomes of them.
pub(crate) struct Open {
    /// As they are now.
    pub(crate) snapshot: Arc<Snapshot>,
    /// As they are from now on.
    pub(crate) snapshots: watch::Receiver<Arc<Snapshot>>,
    /// What changes.
    pub(crate) reloads: mpsc::Receiver<Reload>,
}

impl Home {
    /// Of `files` and `kubernetes` in a configuration file there is exactly one. `kinds` are those that the role needs.
    pub(crate) fn of(
        config: &Path,
        files: &[PathBuf],
        kubernetes: Option<KubernetesConfig>,
        kinds: &[Kind],
    ) -> anyhow::Result<Self> {
        let folder = config.parent().map(PathBuf::from).unwrap_or_default();
        match (files, kubernetes) {
            ([], None) => bail!(
                "{}: files: name the files or folders that hold the resources; or say `kubernetes: {{}}` to follow an API server",
                config.display()
            ),
            ([], Some(KubernetesConfig { namespaces })) => {
                if let Some(empty) = namespaces.iter().position(String::is_empty) {
                    bail!("{}: kubernetes.namespaces[{empty}]: name a namespace", config.display());
                }
                Ok(Self::Cluster(Scope { namespaces, kinds: kinds.to_vec() }))
            }
            (files, None) => Ok(Self::Files(files.iter().map(|file| folder.join(file)).collect())),
            (_, Some(_)) => bail!(
                "{}: files and kubernetes: resources live in one place: leave out one of the two",
                config.display()
            ),
        }
    }

    /// Whether what is wrong with one resource is that one's alone, and everything else goes on.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Reads the resources. None if files are broken, which has been told then, or if stopped. An API server is waited for as long as it takes.
    pub(crate) async fn open(&self, stop: &CancellationToken) -> anyhow::Result<Option<Open>> {
        match self {
            Self::Files(files) => {
                let Some(snapshot) = validate::load_or_report(files) else { return Ok(None) };
                let (snapshots, reloads) = kinetic_resources::watch(files);
                Ok(Some(Open { snapshot: Arc::new(snapshot), snapshots, reloads }))
            }
            Self::Cluster(scope) => {
                let client = kube::Client::try_default().await.context(
                    "kubernetes: there is no API server to ask: run in a pod with a service account, or set KUBECONFIG",
                )?;
                let (mut snapshots, reloads) = cluster::watch(&client, scope);
                info!(
                    namespaces = scope.namespaces.join(","),
                    "waiting for the API server to list the resources"
                );
                let Some(listed) = stop.run_until_cancelled(snapshots.changed()).await else {
                    return Ok(None);
                };
                listed.context("the API server is not followed any more")?;
                let snapshot = Arc::clone(&snapshots.borrow_and_update());
                Ok(Some(Open { snapshot, snapshots, reloads }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_home() {
        let of = |files: &[&str], kubernetes: Option<&[&str]>| {
            let files: Vec<_> = files.iter().map(PathBuf::from).collect();
            let kubernetes = kubernetes.map(|namespaces| KubernetesConfig {
                namespaces: namespaces.iter().map(|&namespace| namespace.to_owned()).collect(),
            });
            Home::of(Path::new("etc/role.yaml"), &files, kubernetes, &[Kind::Customer])
                .map_err(|error| error.to_string())
        };
        assert_eq!(of(&["r"], None), Ok(Home::Files(vec!["etc/r".into()])));
        let scope = Scope { namespaces: vec!["shops".into()], kinds: vec![Kind::Customer] };
        assert_eq!(of(&[], Some(&["shops"])), Ok(Home::Cluster(scope)));
        for (refused, says) in [
            (of(&[], None), "files: name"),
            (of(&["r"], Some(&[])), "leave out one"),
            (of(&[], Some(&["a", ""])), "kubernetes.namespaces[1]"),
        ] {
            let error = refused.unwrap_err();
            assert!(error.starts_with("etc/role.yaml: ") && error.contains(says), "{error}");
        }
    }
}
