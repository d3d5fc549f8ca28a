//! `kinetic operator`: the control plane, on Kubernetes.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use kinetic_api::duration::Duration;
use kinetic_operator::{
    client::client,
    config::Config,
    metrics::Metrics,
    run::Operator,
    uninstall::{Uninstall, uninstall},
};
use prometheus_client::registry::Registry;
use tracing::info;

use crate::{
    admin::{Admin, Unready},
    series::Desks,
    stop,
};

/// Reconciles Customers, Topologies and Alerts into RabbitMQ's objects, certificates and pods. Of several instances one acts.
#[derive(Debug, Args)]
#[command(
    after_help = "Example configuration:\n  namespace: kinetic-system       # of its own objects: authority, front doors, Lease\n  watchNamespaces: [shops]        # all where absent\n  image: kinetic:0.1.0\n  admin: 0.0.0.0:8080\n  rotation: {settle: 24h}         # between the steps by which the authority is replaced: time to fetch ca.crt\n  # issuer: {name: ours}          # a ClusterIssuer of cert-manager's, instead of an authority of its own\n  placements:\n    - region: us-west\n      provider: aws\n      host: kinetic.us-west.example   # what clients connect to\n      brokers:\n        - name: aws-1\n          nodes: [\"rabbit.kinetic-system.svc:5672\"]\n          admin: {url: \"http://rabbit.kinetic-system.svc:15672\", credentials: /etc/kinetic/brokers/aws-1}   # holds username and password; https and caFile, too\n      redirector: {replicas: 2, service: {type: LoadBalancer}}\n\nThe API server is the pod's own, or that of KUBECONFIG. Install the definitions first: kinetic crd | kubectl apply --server-side -f -"
)]
pub(crate) struct OperatorArgs {
    /// The configuration: a YAML file with namespace, image, placements, and what else the example below has.
    #[arg(long, value_name = "FILE", env = "KINETIC_CONFIG")]
    config: PathBuf,
    /// Bring everything to where it should be, once, and end; with a failure if something was left undone.
    #[arg(long)]
    once: bool,
    /// Remove all that the operator made, on brokers as each Customer's deletionPolicy says, and its finalizers; then end. Customers, Topologies and Alerts stay.
    ///
    /// The chart does so before it is uninstalled. Other instances must have ended, or be those of --deployment.
    #[arg(long, conflicts_with = "once")]
    uninstall: bool,
    /// The operator's Deployment, which is scaled down first.
    #[arg(long, value_name = "NAME", requires = "uninstall")]
    deployment: Option<String>,
    /// How long to wait for other instances to end, and for brokers that do not answer.
    #[arg(long, value_name = "DURATION", requires = "uninstall", default_value = "2m")]
    patience: Duration,
    /// What this instance calls itself when it asks for the Lease: another name than any other's.  [default: the host's name and the process id]
    #[arg(long, value_name = "NAME", env = "KINETIC_INSTANCE")]
    instance: Option<String>,
}

/// Runs until stopped, or until another instance acts.
pub(crate) async fn run(args: OperatorArgs) -> anyhow::Result<ExitCode> {
    let config = Config::read(&args.config)?;
    let found = kube::Config::infer().await.map_err(anyhow::Error::from);
    let client = found.and_then(|config| Ok(client(config)?)).context(
        "there is no API server to work with: run in a pod with a service account, or set KUBECONFIG",
    )?;
    let instance = if let Some(instance) = args.instance {
        instance
    } else {
        let host = hostname::get().context("this machine's name cannot be read: give --instance")?;
        format!("{}_{}", host.to_string_lossy(), std::process::id())
    };
    if args.uninstall {
        let how = Uninstall { deployment: args.deployment, patience: args.patience.std() };
        for left in uninstall(client, config, instance, &how).await? {
            println!("left: {left}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let stop = stop::on_signal()?;
    let mut registry = Registry::default();
    let metrics = Metrics::default();
    metrics.register(&mut registry);
    let unready = Unready::starting();
    if let Some(address) = config.admin.filter(|_| !args.once) {
        let bound = Admin::new(registry, unready.clone(), Desks::default())
            .serve(address, stop.clone())
            .await
            .with_context(|| format!("admin: {address}: cannot listen"))?;
        info!(address = %bound, "serving /healthz, /readyz and /metrics");
    }
    let operator = Operator::new(client, config, instance, metrics)?;
    // Standing by is as good as acting: a rollout must not wait for the former instance to go.
    unready.set(Vec::new());
    let ended =
        if args.once { Box::pin(operator.once(stop)).await } else { Box::pin(operator.run(stop)).await };
    ended?;
    Ok(ExitCode::SUCCESS)
}
