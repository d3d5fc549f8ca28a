//! `kinetic redirector`: the front door, alone.

mod config;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Args;
use kinetic_enroll::{ClusterStore, FolderStore};
use kinetic_pki::TlsMetrics;
use kinetic_redirector::{
    door::{Brokers, Door, DoorMetrics, api_keys::ApiKeys, registry, routes::Routes},
    enroll::{Intake, IntakeMetrics, IntakeSettings},
    https::{self, HttpsLimits, HttpsMetrics},
};
use kinetic_resources::Snapshot;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::config::{EnrollPlace, Settings};
use crate::{
    admin::{Admin, Unready},
    fitness,
    home::Open,
    run, series, stop,
};

/// How often the folder of API keys is looked at: within it a key that is taken out ends its connections.
const LOOK: Duration = Duration::from_secs(2);

/// Takes AMQP over mutual TLS, and leads each customer's clients to their own vhost.
#[derive(Debug, Args)]
#[command(
    after_help = "Example configuration:\n  listen: 0.0.0.0:5671\n  admin: 127.0.0.1:8184\n  registry: 0.0.0.0:5680\n  tls: {certificate: redirector.crt, key: redirector.key, trust: trust.crt}\n  masterKey: {file: master.key}\n  files: [resources/]\n  placements:\n    - region: us-west\n      provider: aws\n      brokers: [{name: aws-1, nodes: [\"rabbit-0.example:5671\", \"rabbit-1.example:5671\"], tls: {}}]\n\nMake the certificates by `kinetic pki`, the key by `head -c 32 /dev/urandom > master.key`.\n\nOn Kubernetes, `kubernetes: {namespaces: [shops]}` in place of files follows the API server (of the pod, or of KUBECONFIG); of all namespaces\nwhere there are none."
)]
pub(crate) struct RedirectorArgs {
    /// The configuration: a YAML file with listen, tls, masterKey, placements, and files or kubernetes.
    #[arg(long, value_name = "FILE", env = "KINETIC_CONFIG")]
    config: PathBuf,
}

/// Runs until stopped.
pub(crate) async fn run(args: RedirectorArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(&args.config)?;
    let stop = stop::on_signal()?;
    let mut counters = Registry::default();
    let (tls_metrics, metrics) = (TlsMetrics::default(), DoorMetrics::default());
    tls_metrics.register(&mut counters);
    metrics.register(&mut counters);
    let enrolling = IntakeMetrics::default();
    enrolling.register(&mut counters);
    let asking = HttpsMetrics::default();
    asking.register(counters.sub_registry_with_prefix("kinetic_registry"));
    let brokers = settings.brokers(&tls_metrics)?;
    let trust_domain = settings.trust_domain()?;
    let tls = settings.server(&tls_metrics)?;
    let door = Door::new(settings.door(), tls.clone(), settings.credentials()?, metrics);
    let lead = |snapshot: &Snapshot, brokers: Brokers| {
        let customers = snapshot.customers.iter().map(|entry| &entry.resource);
        let topologies = snapshot.topologies.iter().map(|entry| &entry.resource);
        door.lead(Routes::new(&trust_domain, &settings.placements(), customers, topologies), brokers);
    };
    let unready = Unready::starting();
    if let Some(address) = settings.config.admin {
        let admin = Admin::new(counters, unready.clone(), series::Desks::default())
            .with_routes(fitness::clients(Arc::clone(&door)));
        let bound = admin.serve(address, stop.clone()).await;
        let bound = bound.with_context(|| format!("admin: {address}: cannot listen"))?;
        info!(address = %bound, "serving /healthz, /readyz and /metrics");
    }
    // Who came before it is known who may would be sent away.
    let Some(Open { snapshot, mut snapshots, mut reloads }) = settings.home()?.open(&stop).await? else {
        return Ok(if stop.is_cancelled() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    };
    lead(&snapshot, brokers.clone());

    let listener = TcpListener::bind(settings.config.listen)
        .await
        .with_context(|| format!("listen: {}: cannot listen", settings.config.listen))?;
    info!(address = %listener.local_addr()?, customers = snapshot.customers.len(), "taking AMQP over TLS");
    if let Some(enroll) = &settings.config.enroll {
        let listener = TcpListener::bind(enroll.listen)
            .await
            .with_context(|| format!("enroll.listen: {}: cannot listen", enroll.listen))?;
        info!(address = %listener.local_addr()?, "taking requests for certificates");
        let (door, trust) = (Arc::clone(&door), settings.trust());
        let limits = IntakeSettings::default();
        match settings.enrollments(enroll)? {
            EnrollPlace::Folder(folder) => {
                let store = FolderStore::open(&folder).context("enroll.folder")?;
                let id_key = store.id_key().clone();
                let intake = Intake::new(store, id_key, door, trust, limits, enrolling);
                tokio::spawn(intake.serve(listener, tls.clone(), stop.clone()));
            }
            EnrollPlace::Cluster(namespaces) => {
                let (id_key, tls, stop) = (settings.id_key()?, tls.clone(), stop.clone());
                let client = kube::Client::try_default().await.context("kubernetes")?;
                // The API server may be away: AMQP is taken meanwhile.
                tokio::spawn(async move {
                    let listed = stop.run_until_cancelled(ClusterStore::watch(&client, &namespaces)).await;
                    let Some(store) = listed else { return };
                    let intake = Intake::new(store, id_key, door, trust, limits, enrolling);
                    intake.serve(listener, tls, stop).await;
                });
            }
        }
    }
    if let Some(address) = settings.config.registry {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("registry: {address}: cannot listen"))?;
        info!(address = %listener.local_addr()?, "serving the registry");
        let router = registry::router(Arc::clone(&door));
        tokio::spawn(https::serve(listener, tls, router, HttpsLimits::default(), asking, stop.clone()));
    }
    if let Some(folder) = settings.api_keys() {
        let keys = ApiKeys::read(&folder)?;
        door.take_keys(keys.clone());
        tokio::spawn(follow_keys(Arc::clone(&door), folder, keys, stop.clone()));
    }
    let serving = tokio::spawn(Arc::clone(&door).serve(listener, stop.clone()));
    unready.set(Vec::new());
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(reload) = reloads.recv() => run::report(&reload),
            Ok(()) = snapshots.changed() => {
                let snapshot = Arc::clone(&snapshots.borrow_and_update());
                lead(&snapshot, brokers.clone());
            }
        }
    }
    unready.set(vec!["stopping".to_owned()]);
    serving.await.context("the front door ended by itself")?;
    Ok(ExitCode::SUCCESS)
}

/// Takes the folder's API keys whenever they are others than those taken before.
async fn follow_keys(door: Arc<Door>, folder: PathBuf, mut known: ApiKeys, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        match ApiKeys::read(&folder) {
            Ok(keys) if known != keys => {
                door.take_keys(keys.clone());
                known = keys;
            }
            Ok(_) => {}
            Err(error) => error!(%error, "the API keys stay as they were"),
        }
    }
}
