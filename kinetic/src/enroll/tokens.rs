//! Where tokens lie: in a folder, or with the Customers of a cluster.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use kinetic_api::resources::Enrollment;
use kinetic_enroll::{FolderStore, Requests, StoreError, TokenRecord, cluster::tokens::ClusterTokens};
use kinetic_pki::Folder;

use super::cluster::{ClusterArgs, Namespace};

/// Where tokens lie, as the command line says.
#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// The data folder of the `kinetic run` that machines ask.
    #[arg(
        long,
        alias = "data",
        value_name = "DIR",
        default_value = "kinetic-data",
        env = "KINETIC_DATA",
        conflicts_with = "kubeconfig"
    )]
    dir: PathBuf,
    #[command(flatten)]
    cluster: ClusterArgs,
}

fn of(Namespace { client, name }: &Namespace) -> ClusterTokens {
    ClusterTokens::new(client, name)
}

/// Where tokens lie.
pub(super) enum Place {
    Folder(PathBuf, FolderStore),
    Cluster(Box<Namespace>),
}

impl PlaceArgs {
    pub(super) async fn open(&self) -> anyhow::Result<Place> {
        if let Some(namespace) = self.cluster.open().await? {
            return Ok(Place::Cluster(Box::new(namespace)));
        }
        let dir = &self.dir;
        if !dir.is_dir() {
            bail!(
                "--dir {}: there is no such folder; name the one that `kinetic run --data` uses, or a cluster by --kubeconfig",
                dir.display()
            );
        }
        let store = FolderStore::open(dir).with_context(|| format!("--dir {}", dir.display()))?;
        Ok(Place::Folder(dir.clone(), store))
    }
}

impl Place {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Folder(dir, _) => format!("in the folder {}", dir.display()),
            Self::Cluster(namespace) => format!("in the namespace {}", namespace.name),
        }
    }

    /// How a machine comes to know the server.
    pub(super) fn pin(&self) -> String {
        let unpinned = "--ca FILE".to_owned();
        match self {
            Self::Folder(dir, _) => {
                let authority = Folder::open(&dir.join("pki")).and_then(|folder| folder.authority());
                authority.map_or(unpinned, |authority| format!("--ca-hash {}", authority.fingerprint()))
            }
            Self::Cluster(_) => unpinned,
        }
    }

    pub(super) async fn keep(&self, record: &TokenRecord, now: Timestamp) -> anyhow::Result<()> {
        let kept = match self {
            Self::Folder(_, store) => store.keep_token(record),
            Self::Cluster(namespace) => of(namespace).keep(record, now).await,
        };
        kept.with_context(|| self.name())
    }

    pub(super) async fn all(&self) -> Result<Vec<TokenRecord>, StoreError> {
        match self {
            Self::Folder(_, store) => store.tokens(),
            Self::Cluster(namespace) => of(namespace).all().await,
        }
    }

    pub(super) async fn revoke(&self, record: &TokenRecord) -> Result<(), StoreError> {
        match self {
            Self::Folder(_, store) => store.revoke_token(&record.id).map(drop),
            Self::Cluster(namespace) => of(namespace).revoke(&record.customer, &record.id).await,
        }
    }

    /// The requests that are kept, whatever token they were made with.
    pub(super) async fn requests(&self) -> anyhow::Result<Vec<Arc<Enrollment>>> {
        Ok(match self {
            Self::Folder(_, store) => store.list().await?,
            Self::Cluster(namespace) => namespace.requests().await?.list().await?,
        })
    }
}
