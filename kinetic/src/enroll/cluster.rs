//! Enrolment in a cluster: which one.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use kinetic_enroll::ClusterStore;
use kube::Client;
use tokio::time::timeout;

use crate::manage::place::{Cluster, ClusterArgs, NamespaceArgs};

/// Whoever may list and watch is answered long before.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which cluster, and where in it. A folder is what is meant where none of this is given: KUBECONFIG alone says nothing, as it is set for other work.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct InCluster {
    #[command(flatten)]
    namespace: NamespaceArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// A namespace of a cluster.
#[derive(Clone)]
pub(super) struct Namespace {
    pub(super) client: Client,
    pub(super) name: String,
}

impl Namespace {
    /// Its requests.
    pub(super) async fn requests(&self) -> anyhow::Result<ClusterStore> {
        let store = ClusterStore::watch(&self.client, std::slice::from_ref(&self.name));
        timeout(PATIENCE, store).await.with_context(|| {
            format!(
                "the API server has not listed the Enrollments and Customers of the namespace {} within {} s: may you list and watch both?",
                self.name,
                PATIENCE.as_secs()
            )
        })
    }
}

impl InCluster {
    /// None where no cluster is meant.
    pub(super) async fn open(&self) -> anyhow::Result<Option<Namespace>> {
        let wanted = self.namespace.namespace.as_ref();
        if wanted.is_none() && !self.cluster.names_one() {
            return Ok(None);
        }
        let Cluster { client, namespace, .. } = self.cluster.open().await?;
        Ok(Some(Namespace { client, name: wanted.cloned().unwrap_or(namespace) }))
    }
}
