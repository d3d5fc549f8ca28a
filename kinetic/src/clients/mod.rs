//! `kinetic clients`: who is connected, by the registries of the front doors; and holding customers up.

mod hold;
mod list;
mod place;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::{hold::HoldArgs, list::ListArgs};
use kinetic_api::registry::Hold;

pub(crate) use self::place::{FrontDoor, PlaceArgs};

/// Who is connected now, since when, from where, how fast it sends, and when its certificate ends; and who was.
///
/// It acts by --data (the front door of a `kinetic run` on this machine, as its operator) or by --server (any front doors, with your certificate),
/// and says which.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  kinetic clients --data kinetic-data            who is connected to this machine's `kinetic run --amqps`\n  \
                  kinetic clients disconnect acme --data kinetic-data\n  \
                  kinetic clients --server https://redirector-0.example:5680 --server https://redirector-1.example:5680 \\\n      \
                  --cert ann.crt --key ann.key --ca trust.crt --customer acme\n\n\
                  Front doors in a cluster are asked through a port of this machine:\n  \
                  kubectl port-forward -n kinetic-system deployment/kinetic-redirector-us-west-aws 5680 &\n  \
                  kinetic clients --server https://127.0.0.1:5680 --cert ann.crt --key ann.key --ca trust.crt"
)]
pub(crate) struct ClientsArgs {
    #[command(subcommand)]
    command: Option<ClientsCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum ClientsCommand {
    /// Read nothing more from a customer's clients: their connections stay, what they publish waits with them, nothing is lost.
    Pause(HoldArgs),
    /// End all of a customer's connections, and take no new ones: clients are told 320 and why.
    Disconnect(HoldArgs),
    /// Let a customer go on that was paused or disconnected.
    Resume(HoldArgs),
}

/// Asks, and prints.
pub(crate) async fn run(args: &ClientsArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        None => list::run(&args.list).await,
        Some(ClientsCommand::Pause(args)) => hold::run(args, Hold::Paused).await,
        Some(ClientsCommand::Disconnect(args)) => hold::run(args, Hold::Disconnected).await,
        Some(ClientsCommand::Resume(args)) => hold::run(args, Hold::No).await,
    }
}
