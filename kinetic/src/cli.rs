//! The command line: names and flags that others script against.

use clap::{Parser, Subcommand};

use crate::{
    arc::ArcArgs,
    backtest::BacktestArgs,
    clients::ClientsArgs,
    crd::CrdArgs,
    enroll,
    generate::GenerateArgs,
    incidents::IncidentsArgs,
    manage::{ApplyArgs, DeleteArgs, GetArgs},
    operator::OperatorArgs,
    pki::PkiArgs,
    probe::ProbeArgs,
    redirector::RedirectorArgs,
    role,
    run::RunArgs,
    series::SeriesArgs,
    sidecar::SidecarArgs,
    status::StatusArgs,
    validate::ValidateArgs,
};

/// Finds the one odd host in the metrics that your machines already send, and mails the right people once.
#[derive(Debug, Parser)]
#[command(name = "kinetic", version, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Start here:\n  kinetic run -f examples/web-shop      watch what statsd clients send to 127.0.0.1:8125\n  \
    kinetic generate slow-host            send it eight web hosts, one of which turns slow\n  \
    kinetic incidents                     see what was found"
)]
pub(crate) struct Cli {
    /// What to log: error, warn, info, debug, or a filter such as `info,kinetic_bus=debug`.
    #[arg(long, global = true, env = "KINETIC_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process: take metrics in, find the odd host, mail.
    Run(Box<RunArgs>),
    /// Check resource files: every error with file, line, field and fix.
    Validate(ValidateArgs),
    /// Show whether what a customer's clients send becomes mails, link by link, and where the chain is broken.
    ///
    /// Certificates, front door, broker, streams, analyzers, analytics, alerts, deliveries: a line each, where it is broken, and what to do. With --folder it asks the
    /// `kinetic run` on this machine; else a cluster, by the status of its resources, and the front doors that --server names. Exit code 1 if a link is broken.
    Status(Box<StatusArgs>),
    /// Show resources: of a cluster, or of a folder.
    Get(GetArgs),
    /// Apply resources to a cluster, or to a folder.
    ///
    /// Strictly: every problem is named with file, line and field. To a cluster by server-side apply, as the field manager `kinetic`. In a folder a resource takes the
    /// place of the document of its name, or gets a file of its own; nothing is written unless all of the folder is whole then.
    Apply(ApplyArgs),
    /// Delete resources from a cluster, or from a folder.
    ///
    /// From a folder only if what is left does not refer to them. On a cluster a Customer waits until its Topologies are gone; what becomes of its vhost says its
    /// spec.deletionPolicy.
    Delete(DeleteArgs),
    /// Make reproducible traffic with a known anomaly in it.
    Generate(GenerateArgs),
    /// Show what an analytic would have flagged in data of the past.
    Backtest(Box<BacktestArgs>),
    /// Show the history of incidents.
    Incidents(IncidentsArgs),
    /// Show the series that arrive: is my metric there, under which name?
    Series(SeriesArgs),
    /// Ask running analyzers, and change what they watch for without an edit or a restart.
    Arc(ArcArgs),
    /// Make and keep certificates without Kubernetes: an authority in a folder.
    ///
    /// Every part of Kinetic, and every client, proves who it is by a certificate. On Kubernetes the operator issues them; without it, this does.
    Pki(PkiArgs),
    /// Show who is connected (since when, from where, how fast); pause or disconnect a customer.
    Clients(ClientsArgs),
    /// Make, list and revoke the tokens that machines enrol with.
    Token(enroll::token::TokenArgs),
    /// Get a certificate for this machine: the key is made here and stays here.
    Enroll(enroll::machine::EnrollArgs),
    /// List the machines that ask for certificates.
    Enrollments(enroll::decide::ListArgs),
    /// Let a machine have its certificate.
    Approve(enroll::decide::DecideArgs),
    /// Refuse a machine its certificate.
    Deny(enroll::decide::DecideArgs),
    /// Run one Topology's analyzer alone, over AMQP.
    Analyzer(role::analyzer::AnalyzerArgs),
    /// Run the alert service alone, over AMQP.
    Alert(role::alert::AlertArgs),
    /// Give programs on this machine a plain way in, and carry what they send to the front door by mutual TLS.
    Sidecar(Box<SidecarArgs>),
    /// Run the front door alone: AMQP over mutual TLS, each customer to its own vhost.
    Redirector(RedirectorArgs),
    /// Run the operator: Customers, Topologies and Alerts on Kubernetes become vhosts, certificates and pods.
    Operator(OperatorArgs),
    /// Ask whether an installation answers: probes and front doors, until they do or time is up.
    Probe(ProbeArgs),
    /// Print the definitions of Kinetic's resources, for `kubectl apply --server-side -f -`.
    Crd(CrdArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
