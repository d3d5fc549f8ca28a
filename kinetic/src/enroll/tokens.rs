//! Where tokens lie: in a folder, or with the Customers of a cluster.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kinetic_api::resources::{Customer, Enrollment, Name};
use kinetic_enroll::{
    FolderStore, Requests, StoreError, TokenRecord, cluster::tokens::ClusterTokens, wire::PORT,
};
use kinetic_pki::{Fingerprint, Folder};
use kube::{Api, api::ListParams};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use url::Url;

use super::cluster::{InCluster, Namespace};

/// Where tokens lie, as the command line says.
#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// The data folder of the `kinetic run` that machines ask; it is meant where nothing names a cluster.  [default: `KINETIC_DATA`, or kinetic-data]
    #[arg(long, alias = "data", value_name = "DIR", conflicts_with_all = ["kubeconfig", "context", "namespace"])]
    dir: Option<PathBuf>,
    #[command(flatten)]
    cluster: InCluster,
}

fn of(Namespace { client, name }: &Namespace) -> ClusterTokens {
    ClusterTokens::new(client, name)
}

/// The customer's front door.
async fn front_door(Namespace { client, name }: &Namespace, customer: &Name) -> Option<String> {
    let customer = Api::<Customer>::namespaced(client.clone(), name).get_opt(customer).await.ok()??;
    let endpoint: Url = customer.status?.endpoint?.parse().ok()?;
    Some(format!("https://{}:{PORT}", endpoint.host_str()?))
}

/// The authority beside the customer's certificates, if it is one only: while it is replaced there are two, and only one vouches for the front door.
async fn authority(Namespace { client, name }: &Namespace, customer: &Name) -> Option<Fingerprint> {
    let its = format!("app.kubernetes.io/component=client,app.kubernetes.io/instance={customer}");
    let api = Api::<Secret>::namespaced(client.clone(), name);
    let secrets = api.list(&ListParams::default().labels(&its)).await.ok()?;
    let secret = secrets.items.into_iter().next()?;
    let bundle = secret.data?.remove("ca.crt")?.0;
    match CertificateDer::pem_slice_iter(&bundle).collect::<Result<Vec<_>, _>>().ok()?.as_slice() {
        [only] => Some(Fingerprint::of(only)),
        _ => None,
    }
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
        let dir = self.dir.clone().or_else(|| std::env::var_os("KINETIC_DATA").map(PathBuf::from));
        let dir = dir.unwrap_or_else(|| PathBuf::from("kinetic-data"));
        if !dir.is_dir() {
            bail!(
                "--dir {}: there is no such folder; name the one that `kinetic run --data` uses, or a cluster by --namespace or --kubeconfig",
                dir.display()
            );
        }
        let store = FolderStore::open(&dir).with_context(|| format!("--dir {}", dir.display()))?;
        Ok(Place::Folder(dir, store))
    }
}

impl Place {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Folder(dir, _) => format!("in the folder {}", dir.display()),
            Self::Cluster(namespace) => format!("in the namespace {}", namespace.name),
        }
    }

    /// Where a customer's machines ask, and how they recognise the server, as far as whoever asks here may know: flags of `kinetic enroll`.
    pub(super) async fn server(&self, customer: &Name) -> String {
        let known = match self {
            Self::Folder(dir, _) => {
                let authority = Folder::open(&dir.join("pki")).and_then(|folder| folder.authority());
                (None, authority.ok().map(|authority| authority.fingerprint()))
            }
            Self::Cluster(namespace) => {
                (front_door(namespace, customer).await, authority(namespace, customer).await)
            }
        };
        let (server, authority) = known;
        let server = server.unwrap_or_else(|| "https://HOST:PORT".to_owned());
        let recognised =
            authority.map_or_else(|| "--ca FILE".to_owned(), |authority| format!("--ca-hash {authority}"));
        format!("--server {server} {recognised}")
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
