//! Asking: the `kinetic run` on this machine, and front doors.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use kinetic_alert::History;
use kinetic_api::{observed::ObservedPage, registry::Registry, resources::Customer};
use kinetic_pki::{Folder, Peer, Subject, folder::file_name, material::Pem};
use kinetic_resources::Snapshot;
use reqwest::Client;

use super::{
    StatusArgs,
    link::{CERTIFICATES, Chain, Link, certificate},
    process::{self, Process},
};
use crate::{clients::PlaceArgs, listen::Listen, run::PKI};

/// So many series are looked at.
const SERIES: usize = 10_000;
/// A process that is well answers sooner.
const PATIENCE: Duration = Duration::from_secs(10);

/// The chains of the customers that are asked for.
pub(super) async fn chains(args: &StatusArgs, snapshot: &Snapshot) -> Vec<Chain> {
    let now = Timestamp::now();
    let data = args.place.data_folder();
    let process = ask(&args.admin, args.customer.as_deref()).await;
    let incidents = match History::open(&data).await {
        Ok(history) => history.incidents(None).await,
        Err(error) => Err(error),
    };
    let incidents = incidents.map_err(|error| error.to_string());
    let issued = Folder::open(&data.join(PKI)).ok().map(|folder| folder.issued());
    let registry = match issued {
        None => None,
        Some(_) => Some(registries(&args.place, None).await.map(|mut all| all.remove(0))),
    };
    let wanted = |name: &str| args.customer.as_deref().is_none_or(|only| only == name);
    let mut chains = Vec::new();
    for entry in snapshot.customers.iter().filter(|entry| wanted(entry.name())) {
        let seen = process::Seen {
            snapshot,
            certificates: issued.as_deref().map(|issued| certificates(&entry.resource, issued, now)),
            registry: registry.clone(),
            process: process.clone(),
            incidents: incidents.clone(),
        };
        chains.push(process::chain(entry.name(), entry.namespace(), entry.plan.vhost.clone(), seen, now));
    }
    chains
}

fn certificates(customer: &Customer, issued: &Path, now: Timestamp) -> Vec<Link> {
    let name = customer.metadata.name.as_deref().unwrap_or_default();
    let of = |client: &kinetic_api::resources::customer::Client| {
        let renewal = "start `kinetic run --amqps` again: it renews what has ended";
        let subject = Subject::Client { customer: name.parse().ok()?, client: client.name.clone() };
        let path = issued.join(file_name(&subject) + ".crt");
        let chain = Pem::read(&path).ok().and_then(|pem| pem.certificates().ok());
        Some(match chain.and_then(|chain| Peer::of_chain(&chain).ok()) {
            Some(peer) => certificate(&client.name, peer.not_after, now, renewal),
            None => Link::broken(
                CERTIFICATES,
                format!("{} has none at {}", &*client.name, path.display()),
                renewal,
            ),
        })
    };
    customer.spec.clients.iter().filter_map(of).collect()
}

/// What front doors tell.
pub(super) async fn registries(place: &PlaceArgs, customer: Option<&str>) -> Result<Vec<Registry>, String> {
    let place = place.open().map_err(|error| format!("{error:#}"))?;
    let path =
        customer.map_or_else(|| "/v1/registry".to_owned(), |name| format!("/v1/registry?customer={name}"));
    let mut all = Vec::new();
    for server in &place.servers {
        all.push(server.get(&path, Duration::ZERO).await.map_err(|error| format!("{error:#}"))?);
    }
    Ok(all)
}

/// What the process says of itself.
async fn ask(admin: &Listen, customer: Option<&str>) -> Result<Process, String> {
    let Listen::At(address) = admin else { return Err("--admin off cannot be asked".to_owned()) };
    let client = Client::builder().timeout(PATIENCE).build().map_err(|error| error.to_string())?;
    let nobody = |_: reqwest::Error| format!("nobody answers at {address}");
    let ready = client.get(format!("http://{address}/readyz")).send().await.map_err(nobody)?;
    let is_ready = ready.status().is_success();
    let reasons = ready.text().await.map_err(nobody)?;
    let mut url =
        reqwest::Url::parse(&format!("http://{address}/api/v1/series")).map_err(|error| error.to_string())?;
    url.query_pairs_mut().append_pair("limit", &SERIES.to_string());
    if let Some(customer) = customer {
        url.query_pairs_mut().append_pair("customer", customer);
    }
    let page = client.get(url).send().await.map_err(nobody)?.text().await.map_err(nobody)?;
    let page: ObservedPage = serde_json::from_str(&page)
        .map_err(|_| format!("{address} gave another answer than series: is it Kinetic's?"))?;
    Ok(Process {
        unready: if is_ready { Vec::new() } else { reasons.lines().map(str::to_owned).collect() },
        series: page.series,
        unanswered: page.unanswered,
    })
}
