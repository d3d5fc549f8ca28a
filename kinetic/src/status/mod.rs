//! `kinetic status`: the chain from a client to an inbox, and where it is broken.

mod cluster;
mod link;
mod look;
mod process;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use kinetic_api::resources::{Alert, Customer, Topology};
use kinetic_resources::{Kind, cluster::store};
use serde::de::DeserializeOwned;

use self::link::{Chain, State};
use crate::{
    clients::PlaceArgs,
    listen::Listen,
    manage::place::{ClusterArgs, NamespaceArgs},
    validate,
};

/// Asks, and prints a chain a customer.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kinetic status -f examples/web-shop\n  kinetic status acme -n shops\n  \
                  kinetic status -A --json | jq '.[] | select(.brokenAt)'\n  \
                  kinetic status acme -n shops --server https://127.0.0.1:5680 --cert ann.crt --key ann.key --ca trust.crt"
)]
pub(crate) struct StatusArgs {
    /// One customer.  [default: all]
    #[arg(value_name = "CUSTOMER")]
    customer: Option<String>,
    /// The files that a `kinetic run` on this machine was started with, in place of a cluster.
    #[arg(long = "folder", short = 'f', value_name = "DIR", conflicts_with_all = ["kubeconfig", "context", "namespace", "all_namespaces"])]
    folder: Option<PathBuf>,
    /// Where that `kinetic run` serves its --admin address.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8181", env = "KINETIC_ADMIN")]
    admin: Listen,
    #[command(flatten)]
    namespace: NamespaceArgs,
    /// Customers of all namespaces.
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    all_namespaces: bool,
    /// One JSON array for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) async fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let chains = match &args.folder {
        Some(folder) => {
            let Some(snapshot) = validate::load_or_report(std::slice::from_ref(folder)) else {
                return Ok(ExitCode::FAILURE);
            };
            look::chains(args, &snapshot).await
        }
        None => of_cluster(args).await?,
    };
    if let (Some(name), []) = (&args.customer, &chains[..]) {
        bail!("there is no Customer {name} there; kinetic get customers lists them");
    }
    if chains.is_empty() {
        bail!("there is no Customer there; -A looks into all namespaces");
    }
    let text = if args.json {
        serde_json::to_string_pretty(&chains)? + "\n"
    } else {
        chains.iter().map(Chain::text).collect::<Vec<_>>().join("\n")
    };
    crate::manage::print(&text)?;
    let broken = chains.iter().flat_map(|chain| &chain.links).any(|link| link.state == State::Broken);
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn of_cluster(args: &StatusArgs) -> anyhow::Result<Vec<Chain>> {
    let cluster = args.cluster.open().await?;
    let namespace = args.namespace.namespace.as_deref().unwrap_or(&cluster.namespace);
    let within = Some(namespace).filter(|_| !args.all_namespaces);
    let client = &cluster.client;
    let asking = || format!("{}: the resources cannot be listed", cluster.url);
    let customers: Vec<Customer> =
        read(store::list(client, Kind::Customer.as_str(), within).await.with_context(asking)?);
    let topologies: Vec<Topology> =
        read(store::list(client, Kind::Topology.as_str(), within).await.with_context(asking)?);
    let alerts: Vec<Alert> =
        read(store::list(client, Kind::Alert.as_str(), within).await.with_context(asking)?);
    let registries = if args.place.names_servers() {
        Some(look::registries(&args.place, args.customer.as_deref()).await)
    } else {
        None
    };
    let now = Timestamp::now();
    let wanted = |customer: &&Customer| args.customer.is_none() || customer.metadata.name == args.customer;
    let chains = customers.iter().filter(wanted).map(|customer| {
        let (namespace, name) =
            (&customer.metadata.namespace, customer.metadata.name.as_deref().unwrap_or_default());
        let topologies: Vec<_> = topologies
            .iter()
            .filter(|topology| topology.metadata.namespace == *namespace && &*topology.spec.customer == name)
            .collect();
        let own = |alert: &&Alert| {
            alert.metadata.namespace == *namespace
                && topologies
                    .iter()
                    .any(|topology| topology.metadata.name.as_deref() == Some(&*alert.spec.topology))
        };
        let alerts = alerts.iter().filter(own).collect();
        cluster::chain(&cluster::Seen { customer, topologies, alerts, registries: registries.as_ref() }, now)
    });
    Ok(chains.collect())
}

/// What can be read of them; the rest is told of, and stops nothing.
fn read<K: DeserializeOwned>(objects: Vec<serde_json::Value>) -> Vec<K> {
    let one = |object: serde_json::Value| {
        let metadata = object["metadata"].clone();
        serde_json::from_value(object)
            .inspect_err(|error| {
                eprintln!(
                    "{}/{} cannot be read: {error}",
                    metadata["namespace"].as_str().unwrap_or_default(),
                    metadata["name"].as_str().unwrap_or_default()
                );
            })
            .ok()
    };
    objects.into_iter().filter_map(one).collect()
}
