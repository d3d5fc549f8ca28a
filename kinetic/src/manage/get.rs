//! `kinetic get`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use kinetic_resources::{ResourceId, cluster::store};
use serde_json::{Value as Json, json};

use super::{
    columns::{columns, table},
    kind::{Kinds, Shown, definition},
    place::{ClusterArgs, NamespaceArgs},
    print, tell,
};

/// Shows resources: those of a cluster, or of a folder of YAML files.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kinetic get customers -A\n  kinetic get topology web -n shops -o yaml\n  kinetic get all -f examples/web-shop"
)]
pub(crate) struct GetArgs {
    /// customers, topologies, alerts (also in the singular, or kcust, ktopo, kalert), all of these, or, of a cluster, enrollments.
    #[arg(value_name = "KIND")]
    kinds: Kinds,
    /// One of them.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// A folder (or file) of YAML files, in place of a cluster.
    #[arg(long = "folder", short = 'f', value_name = "DIR", conflicts_with_all = ["kubeconfig", "context"])]
    folder: Option<PathBuf>,
    #[command(flatten)]
    namespace: NamespaceArgs,
    /// Of all namespaces.
    #[arg(long, short = 'A', conflicts_with_all = ["namespace", "name"])]
    all_namespaces: bool,
    /// How they are written.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Yaml,
    Json,
}

pub(crate) async fn run(args: &GetArgs) -> anyhow::Result<ExitCode> {
    let Some(found) = find(args).await? else { return Ok(ExitCode::FAILURE) };
    let all: Vec<&Json> = found.iter().flat_map(|(_, resources)| resources).collect();
    if let (Some(name), []) = (&args.name, &all[..]) {
        bail!("there is no {} {name}{}", args.kinds.0[0].as_str(), within(args));
    }
    if args.output == Output::Table {
        if all.is_empty() {
            eprintln!("there are none{}", within(args));
            return Ok(ExitCode::SUCCESS);
        }
        let now = Timestamp::now();
        let tables: Vec<_> = found
            .iter()
            .filter(|(_, resources)| !resources.is_empty())
            .map(|(kind, resources)| table(&rows(*kind, resources, args, now)))
            .collect();
        print(&tables.join("\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let whole = match &all[..] {
        [one] if args.name.is_some() => (*one).clone(),
        all => json!({"apiVersion": "v1", "kind": "List", "items": all}),
    };
    print(&match args.output {
        Output::Json => serde_json::to_string_pretty(&whole)? + "\n",
        Output::Yaml | Output::Table => serde_saphyr::to_string(&whole).context("a resource is no YAML")?,
    })?;
    Ok(ExitCode::SUCCESS)
}

fn within(args: &GetArgs) -> String {
    match (&args.folder, &args.namespace.namespace) {
        (Some(folder), _) => format!(" in {}", folder.display()),
        (None, Some(namespace)) => format!(" in the namespace {namespace}"),
        (None, None) if args.all_namespaces => String::new(),
        (None, None) => " in this namespace: -A looks into all".to_owned(),
    }
}

type Found = Vec<(Shown, Vec<Json>)>;

/// What is asked for; none where a folder is broken, which has been told.
async fn find(args: &GetArgs) -> anyhow::Result<Option<Found>> {
    let mut found = Found::new();
    if let Some(folder) = &args.folder {
        let snapshot = match kinetic_resources::load(std::slice::from_ref(folder)) {
            Ok(snapshot) => snapshot,
            Err(problems) => {
                tell(&problems);
                return Ok(None);
            }
        };
        let wanted = |id: &ResourceId| {
            args.name.as_ref().is_none_or(|name| *name == id.name)
                && args.namespace.namespace.as_ref().is_none_or(|namespace| *namespace == id.namespace)
        };
        for kind in &args.kinds.0 {
            let Shown::Resource(of) = kind else {
                bail!(
                    "a folder of resources has no Enrollments: `kinetic enrollments --dir DIR` lists those of a `kinetic run`"
                );
            };
            let ids = snapshot.ids().filter(|id| id.kind == *of && wanted(id));
            found.push((*kind, ids.filter_map(|id| snapshot.json(id)).collect()));
        }
        return Ok(Some(found));
    }
    let cluster = args.cluster.open().await?;
    let namespace = args.namespace.namespace.as_ref().unwrap_or(&cluster.namespace);
    let asking = || {
        format!(
            "{}: are Kinetic's definitions installed there (kinetic crd | kubectl apply --server-side -f -), and may you read them?",
            cluster.url
        )
    };
    for kind in &args.kinds.0 {
        let resources = if let Some(name) = &args.name {
            let found = store::get(&cluster.client, kind.as_str(), namespace, name).await;
            found.with_context(asking)?.into_iter().collect()
        } else {
            let namespace = Some(namespace.as_str()).filter(|_| !args.all_namespaces);
            store::list(&cluster.client, kind.as_str(), namespace).await.with_context(asking)?
        };
        found.push((*kind, resources));
    }
    Ok(Some(found))
}

fn rows(kind: Shown, resources: &[Json], args: &GetArgs, now: Timestamp) -> Vec<Vec<String>> {
    let columns = columns(&definition(kind));
    let several = args.all_namespaces || args.folder.is_some() && args.namespace.namespace.is_none();
    let text = |value: &Json| value.as_str().unwrap_or("default").to_owned();
    let mut heads = vec!["NAME".to_owned()];
    heads.extend(columns.iter().map(|column| column.name().to_owned()));
    let mut rows = vec![heads];
    for resource in resources {
        let name = text(&resource["metadata"]["name"]);
        let name =
            if args.kinds.0.len() > 1 { format!("{}/{name}", kind.as_str().to_lowercase()) } else { name };
        let mut row = vec![name];
        row.extend(columns.iter().map(|column| column.of(resource, now)));
        rows.push(row);
    }
    if several {
        for (row, resource) in rows.iter_mut().zip(std::iter::once(&Json::Null).chain(resources)) {
            let namespace = if resource.is_null() {
                "NAMESPACE".to_owned()
            } else {
                text(&resource["metadata"]["namespace"])
            };
            row.insert(0, namespace);
        }
    }
    rows
}
