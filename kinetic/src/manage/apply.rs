//! `kinetic apply`.

use std::{io::Read, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use kinetic_resources::{
    Written,
    cluster::store::{self, Applying},
    folder, written, written_in,
};

use super::{
    place::{ClusterArgs, NamespaceArgs},
    tell,
};

/// What is applied, and to where.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kinetic apply -f examples/web-shop -n shops\n  kinetic get topology web -f resources -o yaml | sed 's/10s/30s/' | kinetic apply -f - --folder resources\n  \
                  kinetic apply -f new.yaml --dry-run"
)]
pub(crate) struct ApplyArgs {
    /// Files, folders of *.yaml files, or - for standard input.
    #[arg(long = "filename", short = 'f', value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// A folder (or file) of YAML files to apply to, in place of a cluster.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["kubeconfig", "context", "force_conflicts"])]
    folder: Option<PathBuf>,
    /// Say what would be done, and what would be wrong; change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Take over fields that another field manager owns.
    #[arg(long)]
    force_conflicts: bool,
    #[command(flatten)]
    namespace: NamespaceArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// The resources of files and of standard input; none if something is wrong with them, which has been told.
pub(super) fn read(files: &[PathBuf]) -> anyhow::Result<Option<Vec<Written>>> {
    let (input, files): (Vec<_>, Vec<_>) = files.iter().cloned().partition(|path| path.as_os_str() == "-");
    let mut resources = Vec::new();
    let mut problems = Vec::new();
    let mut add = |read: Result<Vec<Written>, _>| match read {
        Ok(read) => resources.extend(read),
        Err(found) => problems.extend(found),
    };
    add(written(&files));
    if let Some(name) = input.first() {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input")?;
        add(written_in(name, &text));
    }
    if !problems.is_empty() {
        tell(&problems);
        return Ok(None);
    }
    anyhow::ensure!(!resources.is_empty(), "there are no resources in what -f names");
    resources.sort_by_key(|resource| resource.id.kind);
    Ok(Some(resources))
}

pub(crate) async fn run(args: &ApplyArgs) -> anyhow::Result<ExitCode> {
    let Some(resources) = read(&args.files)? else { return Ok(ExitCode::FAILURE) };
    let said = if args.dry_run { " (dry run)" } else { "" };
    let namespace = args.namespace.namespace.as_deref();
    let Some(home) = &args.folder else { return to_cluster(args, resources, said).await };
    let resources: Vec<_> = resources
        .into_iter()
        .map(|resource| {
            namespace.map_or_else(|| resource.clone(), |namespace| resource.clone().within(namespace))
        })
        .collect();
    match folder::apply(home, &resources, args.dry_run) {
        Ok(outcomes) => {
            for (resource, outcome) in resources.iter().zip(outcomes) {
                println!("{} {}{said}", resource.id, outcome.as_str());
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            tell(&problems);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// One after the other; one that is refused stops no other.
async fn to_cluster(args: &ApplyArgs, resources: Vec<Written>, said: &str) -> anyhow::Result<ExitCode> {
    let cluster = args.cluster.open().await?;
    let namespace = args.namespace.namespace.as_ref().unwrap_or(&cluster.namespace);
    let how = Applying { force: args.force_conflicts, dry_run: args.dry_run };
    let mut problems = Vec::new();
    for resource in resources {
        let resource = resource.within(namespace);
        match store::apply(&cluster.client, &resource, how).await {
            Ok(outcome) => println!("{} {}{said}", resource.id, outcome.as_str()),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    tell(&problems);
    Ok(ExitCode::FAILURE)
}
