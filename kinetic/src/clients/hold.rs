//! `kinetic clients pause`, `disconnect`, `resume`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use kinetic_api::{registry::Hold, resources::Name};

use super::place::PlaceArgs;
use crate::enroll::client::Refused;

/// It counts at the front doors that are asked, at once, and until `kinetic clients resume` or until they start anew: to put a customer out for good,
/// change its resource.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kinetic clients pause acme --data kinetic-data\n  \
                  kinetic clients disconnect acme --server https://redirector-0.example:5680 --server https://redirector-1.example:5680 \\\n      \
                  --cert operator.crt --key operator.key --ca trust.crt\n  \
                  kinetic clients resume acme --data kinetic-data")]
pub(super) struct HoldArgs {
    /// The Customer.
    #[arg(value_name = "CUSTOMER")]
    customer: Name,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Tells every front door, also when one of them fails.
pub(super) async fn run(args: &HoldArgs, hold: Hold) -> anyhow::Result<ExitCode> {
    let (customer, place) = (&args.customer, args.place.open()?);
    let (mut done, mut unknown, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for server in &place.servers {
        match server.put(&format!("/v1/customers/{customer}/hold"), &hold).await {
            Ok(()) => done.push(server.url().to_string()),
            Err(error) => match error.downcast_ref::<Refused>() {
                Some(refused) if refused.is_not_found() => unknown.push(server.url().to_string()),
                Some(_) => failed.push(format!("{}: {error:#}", server.url())),
                None => failed.push(format!("{}: {error:#}", place.hint(server))),
            },
        }
    }
    if !done.is_empty() {
        println!("{customer} {} ({}): {}", hold.as_str(), place.name(), consequence(hold, customer));
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    if done.is_empty() {
        bail!("customer {customer} is served by none of them ({}): is it registered there?", place.name());
    }
    if !unknown.is_empty() {
        println!("not served at {}", unknown.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn consequence(hold: Hold, customer: &Name) -> String {
    let again = format!("`kinetic clients resume {customer}` lets it go on");
    match hold {
        Hold::No => "its clients are read, and may connect".to_owned(),
        Hold::Paused => format!("its connections stay, and nothing is read from them; {again}"),
        Hold::Disconnected => format!("its connections end, and none is taken; {again}"),
    }
}
