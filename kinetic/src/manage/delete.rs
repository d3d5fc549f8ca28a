//! `kinetic delete`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use kinetic_resources::{
    DEFAULT_NAMESPACE, ResourceId,
    cluster::store::{self, Deleted},
    folder,
};

use super::{
    apply::read,
    kind::One,
    place::{ClusterArgs, NamespaceArgs},
    tell,
};

/// What is deleted, and from where.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kinetic delete alert checkout -n shops\n  kinetic delete -f examples/web-shop -n shops\n  kinetic delete topology web --folder resources"
)]
pub(crate) struct DeleteArgs {
    /// customer, topology or alert.
    #[arg(value_name = "KIND", required_unless_present = "files", requires = "names")]
    kind: Option<One>,
    /// Its name; several may be given.
    #[arg(value_name = "NAME", num_args = 1..)]
    names: Vec<String>,
    /// The resources of these files, folders, or of standard input (-).
    #[arg(long = "filename", short = 'f', value_name = "FILE", num_args = 1.., conflicts_with = "kind")]
    files: Vec<PathBuf>,
    /// A folder (or file) of YAML files to delete from, in place of a cluster.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["kubeconfig", "context"])]
    folder: Option<PathBuf>,
    /// Say what would be done; change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    namespace: NamespaceArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(crate) async fn run(args: &DeleteArgs) -> anyhow::Result<ExitCode> {
    let cluster = match args.folder {
        Some(_) => None,
        None => Some(args.cluster.open().await?),
    };
    let default = cluster.as_ref().map_or(DEFAULT_NAMESPACE, |cluster| cluster.namespace.as_str());
    let namespace = args.namespace.namespace.as_deref().unwrap_or(default);
    let Some(ids) = named(args, namespace)? else { return Ok(ExitCode::FAILURE) };
    let said = if args.dry_run { " (dry run)" } else { "" };
    let mut missing = 0;
    let mut tell_one = |id: &ResourceId, deleted: Deleted| match deleted {
        Deleted::Gone => println!("{id} deleted{said}"),
        Deleted::Going => println!(
            "{id} is being deleted{said}: it is gone once what was made for it is (kinetic get {} -o yaml tells why not)",
            id.kind.as_str().to_lowercase()
        ),
        Deleted::Missing => {
            missing += 1;
            eprintln!("there is no {id}");
        }
    };
    if let Some(home) = &args.folder {
        match folder::delete(home, &ids, args.dry_run) {
            Ok(deleted) => {
                for (id, deleted) in ids.iter().zip(deleted) {
                    tell_one(id, if deleted { Deleted::Gone } else { Deleted::Missing });
                }
            }
            Err(problems) => {
                tell(&problems);
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    if let Some(cluster) = &cluster {
        for id in &ids {
            let deleted = store::delete(&cluster.client, id, args.dry_run).await;
            tell_one(id, deleted.with_context(|| format!("{id} at {}", cluster.url))?);
        }
    }
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Who is meant: who refers to others first, so that nobody is left without what it refers to.
fn named(args: &DeleteArgs, namespace: &str) -> anyhow::Result<Option<Vec<ResourceId>>> {
    if let Some(One(kind)) = args.kind {
        let id = |name: &String| ResourceId { kind, namespace: namespace.to_owned(), name: name.clone() };
        return Ok(Some(args.names.iter().map(id).collect()));
    }
    let Some(resources) = read(&args.files)? else { return Ok(None) };
    let ids = resources.into_iter().rev().map(|resource| {
        // As `apply` does: a namespace of its own, or the one that is asked for.
        resource.within(namespace).id
    });
    Ok(Some(ids.collect()))
}
