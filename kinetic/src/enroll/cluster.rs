//! Enrolment in a cluster: which one.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Args;
use kinetic_enroll::ClusterStore;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::time::timeout;

/// Whoever may list and watch is answered long before.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which cluster, and where in it.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ClusterArgs {
    /// A cluster, by its kubeconfig: its Enrollments, and the tokens of its Customers.
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The namespace of the Customers.  [default: the kubeconfig's]
    #[arg(long, short, value_name = "NAME", requires = "kubeconfig")]
    namespace: Option<String>,
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

impl ClusterArgs {
    /// None where no cluster is meant.
    pub(super) async fn open(&self) -> anyhow::Result<Option<Namespace>> {
        let Some(path) = &self.kubeconfig else { return Ok(None) };
        let at = || format!("--kubeconfig {}", path.display());
        let read = Kubeconfig::read_from(path).with_context(at)?;
        let config =
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.with_context(at)?;
        let name = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        Ok(Some(Namespace { client: Client::try_from(config).with_context(at)?, name }))
    }
}
