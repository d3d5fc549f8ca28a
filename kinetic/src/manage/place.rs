//! Which home of resources is meant: a folder, or a cluster.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

/// Which cluster.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ClusterArgs {
    /// The cluster's kubeconfig.  [default: that of KUBECONFIG, ~/.kube/config, or the pod's own]
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Which of its contexts.  [default: the current one]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub(crate) context: Option<String>,
}

/// Which namespace.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct NamespaceArgs {
    /// The namespace.  [default: the context's, or `default`]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

/// A cluster that can be asked.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// The context's.
    pub(crate) namespace: String,
    /// Where it is.
    pub(crate) url: String,
}

impl ClusterArgs {
    /// Whether one is named, rather than found.
    pub(crate) fn names_one(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }

    pub(crate) async fn open(&self) -> anyhow::Result<Cluster> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let config = match &self.kubeconfig {
            Some(path) => {
                let read = Kubeconfig::read_from(path).with_context(|| format!("--kubeconfig {}", path.display()))?;
                Config::from_custom_kubeconfig(read, &options)
                    .await
                    .with_context(|| format!("--kubeconfig {}", path.display()))?
            }
            None if self.context.is_some() => Config::from_kubeconfig(&options).await.context("--context")?,
            None => Config::infer().await.context(
                "there is no cluster to ask: give --kubeconfig FILE, set KUBECONFIG, or name a folder of YAML files",
            )?,
        };
        let (namespace, url) = (config.default_namespace.clone(), config.cluster_url.to_string());
        let client = Client::try_from(config).context("the cluster cannot be asked")?;
        Ok(Cluster { client, namespace, url })
    }
}
