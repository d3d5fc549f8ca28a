//! `kinetic enrollments`, `kinetic approve`, `kinetic deny`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use kinetic_api::resources::Enrollment;
use kinetic_enroll::{
    ClusterStore, EnrollmentId, FolderStore, Requests,
    cluster::tokens::whoami,
    person,
    wire::{ENROLLMENTS, Say, Verdict},
};
use kinetic_pki::ClientIdentity;
use url::Url;

use super::{
    client::Server,
    cluster::{InCluster, Namespace},
};

/// Where the requests lie.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// The data folder of a `kinetic run` on this machine; it is meant where nothing names a server or a cluster.  [default: `KINETIC_DATA`, or kinetic-data]
    #[arg(long, alias = "data", value_name = "DIR", conflicts_with_all = ["server", "kubeconfig", "context", "namespace"])]
    dir: Option<PathBuf>,
    /// A server that takes requests and signs, such as `https://kinetic.example:8443`: needs --cert, --key and --ca.
    #[arg(long, value_name = "URL", requires_all = ["cert", "key", "ca"], conflicts_with_all = ["kubeconfig", "context", "namespace"])]
    server: Option<Url>,
    /// A certificate of the customer's control (…/control/NAME), of the operator or the console.
    #[arg(long, value_name = "FILE", requires = "server")]
    cert: Option<PathBuf>,
    /// The certificate's key.
    #[arg(long, value_name = "FILE", requires = "server")]
    key: Option<PathBuf>,
    /// The authority that vouches for the server.
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
    #[command(flatten)]
    cluster: InCluster,
}

/// What machines ask for, newest last.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// One JSON array of Enrollment resources for programs.
    #[arg(long)]
    json: bool,
}

/// Compare the key's fingerprint with what `kinetic enroll` shows on the machine: a name is no proof.
#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// The enrolment's id as `kinetic enrollments` lists it, or how it begins.
    #[arg(value_name = "ID")]
    id: String,
    /// Why: kept with the request, and told to the machine.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

enum Place {
    Folder(PathBuf, FolderStore),
    Server(Server),
    Cluster(Namespace, ClusterStore),
}

pub(crate) async fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let place = args.place.open().await?;
    let mut all = place.list().await?;
    all.sort_by(|a, b| a.spec.requested_at.cmp(&b.spec.requested_at));
    let mut text = if args.json { serde_json::to_string_pretty(&all)? } else { blocks(&place, &all) };
    text.push('\n');
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn approve(args: &DecideArgs) -> anyhow::Result<ExitCode> {
    decide(args, Verdict::Approve, "approved").await
}

pub(crate) async fn deny(args: &DecideArgs) -> anyhow::Result<ExitCode> {
    decide(args, Verdict::Deny, "denied").await
}

async fn decide(args: &DecideArgs, verdict: Verdict, done: &str) -> anyhow::Result<ExitCode> {
    let place = args.place.open().await?;
    let id = place.id(&args.id).await?;
    let say = Say { verdict, reason: args.reason.clone() };
    let decided = place.decide(&id, &say).await?;
    let spec = &decided.spec;
    println!(
        "{done}: {}/{} {}, key {} ({})",
        spec.customer,
        spec.client,
        spec.name,
        spec.key_fingerprint,
        place.name()
    );
    Ok(ExitCode::SUCCESS)
}

impl PlaceArgs {
    async fn open(&self) -> anyhow::Result<Place> {
        if let Some(namespace) = self.cluster.open().await? {
            let store = namespace.requests().await?;
            return Ok(Place::Cluster(namespace, store));
        }
        if let (Some(url), Some(cert), Some(key), Some(ca)) = (&self.server, &self.cert, &self.key, &self.ca)
        {
            let identity = ClientIdentity { certificate: cert.clone(), key: key.clone() };
            return Ok(Place::Server(Server::new(url.clone(), ca, Some(identity))?));
        }
        let dir = self.dir.clone().or_else(|| std::env::var_os("KINETIC_DATA").map(PathBuf::from));
        let Some(dir) = dir.or_else(|| Some(PathBuf::from("kinetic-data")).filter(|dir| has_enrolments(dir)))
        else {
            bail!(
                "where are the enrolments? Give --dir DIR, the data folder of `kinetic run`, --server URL, or a cluster by --namespace or --kubeconfig"
            );
        };
        if !has_enrolments(&dir) {
            bail!("--dir {}: no machine has enrolled here: there is no folder enrollments", dir.display());
        }
        let store = FolderStore::open(&dir).with_context(|| format!("--dir {}", dir.display()))?;
        Ok(Place::Folder(dir, store))
    }
}

fn has_enrolments(dir: &Path) -> bool {
    dir.join("enrollments").is_dir()
}

impl Place {
    fn name(&self) -> String {
        match self {
            Self::Folder(dir, _) => format!("in the folder {}", dir.display()),
            Self::Server(server) => format!("at {}", server.url()),
            Self::Cluster(namespace, _) => format!("in the namespace {}", namespace.name),
        }
    }

    async fn list(&self) -> anyhow::Result<Vec<Enrollment>> {
        match self {
            Self::Folder(_, store) => Ok(store.list().await?.iter().map(|one| (**one).clone()).collect()),
            Self::Server(server) => server.get(ENROLLMENTS, Duration::ZERO).await,
            Self::Cluster(_, store) => Ok(store.list().await?.iter().map(|one| (**one).clone()).collect()),
        }
    }

    /// The request whose id begins so.
    async fn id(&self, text: &str) -> anyhow::Result<EnrollmentId> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let all = self.list().await?;
        let ids = all.iter().filter_map(|one| one.metadata.name.as_deref());
        match ids.filter(|id| !text.is_empty() && id.starts_with(text)).collect::<Vec<_>>()[..] {
            [id] => Ok(id.parse()?),
            [] => bail!("no enrolment's id begins with `{text}` ({})", self.name()),
            _ => bail!("several enrolments' ids begin with `{text}` ({}): write more of it", self.name()),
        }
    }

    async fn decide(&self, id: &EnrollmentId, say: &Say) -> anyhow::Result<Enrollment> {
        match self {
            Self::Folder(_, store) => {
                let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
                let by = user.unwrap_or_else(|_| "somebody with access to the data folder".to_owned());
                Ok(person::decide(store, id, say, &by, Timestamp::now()).await?)
            }
            Self::Server(server) => server.post(&format!("{ENROLLMENTS}/{id}"), None, say).await,
            Self::Cluster(namespace, store) => {
                let by = whoami(&namespace.client).await.context("who you are")?;
                Ok(person::decide(store, id, say, &by, Timestamp::now()).await?)
            }
        }
    }
}

fn blocks(place: &Place, all: &[Enrollment]) -> String {
    let mut lines = vec![format!("{} enrolments {}", all.len(), place.name())];
    for enrollment in all {
        let (spec, status) = (&enrollment.spec, enrollment.status.clone().unwrap_or_default());
        lines.push(format!(
            "\n{}  {}  {}/{}  {}",
            enrollment.metadata.name.as_deref().unwrap_or_default(),
            enrollment.state().as_str(),
            spec.customer,
            spec.client,
            spec.name
        ));
        let what = if spec.renewal.is_some() { "renewal" } else { "asked" };
        lines.push(format!("  {what} {} from {}", spec.requested_at, spec.address));
        lines.push(format!("  key {}", spec.key_fingerprint));
        if let Some(by) = &status.decided_by {
            lines.push(format!("  decided by {by} at {}", status.decided_at.as_deref().unwrap_or_default()));
        }
        if let (Some(serial), Some(until)) = (&status.serial, &status.not_after) {
            lines.push(format!("  serial {serial}, until {until}"));
        }
        if let Some(reason) = &status.reason {
            lines.push(format!("  {reason}"));
        }
    }
    lines.join("\n")
}
