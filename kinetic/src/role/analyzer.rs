//! `kinetic analyzer`: the analyzers of a customer's Topologies, alone.

use std::process::ExitCode;

use clap::Args;
use kinetic_analyzer::service::{Metrics, Mode};
use kinetic_pki::TlsMetrics;
use prometheus_client::registry::Registry;

use super::{
    config::{Role, RoleArgs, Settings},
    serve,
};
use crate::{
    run::supervisor::{AnalyzerParts, Parts},
    types_db::{self, TypesDbArgs},
};

/// Reads metrics from RabbitMQ streams and publishes what it finds; `kinetic alert` tells people.
#[derive(Debug, Args)]
#[command(
    after_help = "Example configuration:\n  amqp: amqp://user:password@broker:5672\n  files: [resources/]\n  data: /var/lib/kinetic\n  topology: web         # one of them; all where absent\n  admin: 127.0.0.1:8182\n  typesDb: [ours.db]    # collectd types of your own"
)]
pub(crate) struct AnalyzerArgs {
    #[command(flatten)]
    role: RoleArgs,
    /// Which of the analyzers that share each Topology's streams to run, from 0 (`analyzer.partitions` says how many there are); all of
    /// them where absent. A second process for the same partition stands by.
    #[arg(long, value_name = "I", env = "KINETIC_PARTITION", value_parser = clap::value_parser!(u8).range(..64))]
    partition: Option<u8>,
    #[command(flatten)]
    types: TypesDbArgs,
}

/// Runs until stopped.
pub(crate) async fn run(args: AnalyzerArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(args.role, Role::Analyzer)?;
    let mut registry = Registry::default();
    let parts = Parts {
        broker: settings.broker(&TlsMetrics::default())?,
        alerts: None,
        analyzers: Some(AnalyzerParts {
            topology: settings.topology.clone(),
            partition: args.partition,
            data_dir: settings.data.clone(),
            active_since: settings.active_since.clone(),
            mode: Mode::Live,
            metrics: Metrics::register(&mut registry),
            types: types_db::read(if args.types.files.is_empty() {
                &settings.types_db
            } else {
                &args.types.files
            })?,
        }),
    };
    serve::run(&settings, parts, registry, None).await
}
