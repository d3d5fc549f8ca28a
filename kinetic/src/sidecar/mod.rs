//! `kinetic sidecar`: plain on this machine, mutual TLS outside.

mod args;
mod config;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use kinetic_bus::{Bus, ConnectionState};
use kinetic_pki::{Client, ServerIdentity, TlsMetrics};
use kinetic_redirector::{
    door::broker::{Broker, Node},
    intake::IntakeMetrics,
    sidecar::{AmqpPass, SidecarMetrics, StatsdRelay, upstream},
};
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

pub(crate) use self::args::SidecarArgs;
use self::config::Settings;
use crate::{
    admin::{Admin, Unready},
    series::Desks,
    stop,
};

/// How long a stop may take: what is in flight is waited for, the rest is written to disk.
const GRACE: Duration = Duration::from_secs(10);

/// Runs until stopped. Listens at once, whether or not the front door answers.
pub(crate) async fn run(args: SidecarArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(args)?;
    let stop = stop::on_signal()?;
    let work = CancellationToken::new();
    let mut registry = Registry::default();
    let (intake, metrics, tls) = (IntakeMetrics::default(), SidecarMetrics::default(), TlsMetrics::default());
    intake.register(&mut registry);
    metrics.register(&mut registry);
    tls.register(&mut registry);

    let client = Client::watch(settings.files, ServerIdentity::Named(settings.front_door), &tls)
        .context("the certificate cannot be used")?;
    let passing = match settings.amqp {
        Some(address) => {
            let listener = TcpListener::bind(address).await.with_context(|| {
                format!("amqp {address}: cannot listen; choose another address by --amqp, or --amqp off")
            })?;
            let (host, port) = settings.upstream.rsplit_once(':').context("--upstream: write HOST:PORT")?;
            let node = Node {
                host: host.trim_matches(['[', ']']).to_owned(),
                port: port.parse().context("--upstream: write HOST:PORT")?,
            };
            let name = settings.upstream.clone();
            let pass = AmqpPass {
                upstream: Arc::new(Broker::new(name, vec![node], Some(client.clone()), false)),
                vhost: settings.vhost.as_str().into(),
                metrics: metrics.clone(),
            };
            info!(address = %listener.local_addr()?, "taking AMQP");
            Some(tokio::spawn(pass.serve(listener, stop.clone())))
        }
        None => None,
    };
    let config = upstream(&settings.upstream, &settings.vhost, Arc::new(move || client.config()));
    let bus = Bus::amqp(config.context("--upstream")?);
    let (profile, origin) = (settings.relay.profile.clone(), settings.relay.origin.clone());
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let (socket, stream_socket) =
        (shown(&settings.relay.statsd_socket), shown(&settings.relay.statsd_stream_socket));
    let instance = Uuid::new_v4().to_string();
    let relay = StatsdRelay::start(settings.relay, &bus, &instance, intake, metrics, &work).await?;
    let unready = Unready::starting();
    if let Some(address) = settings.admin {
        let bound = Admin::new(registry, unready.clone(), Desks::default())
            .serve(address, work.clone())
            .await
            .with_context(|| format!("admin {address}: cannot listen; choose another address by --admin"))?;
        info!(address = %bound, "serving /healthz, /readyz and /metrics");
    }
    let statsd = relay.statsd().map(|address| address.to_string());
    info!(statsd, socket, stream_socket, %profile, %origin, upstream = settings.upstream, "listening");
    tell(relay.upstream(), &unready, &stop).await;

    relay.stop(GRACE).await?;
    if let Some(passing) = passing {
        let _ = passing.await;
    }
    work.cancel();
    bus.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Says whether the front door can be reached, until stopped.
async fn tell(mut state: watch::Receiver<ConnectionState>, unready: &Unready, stop: &CancellationToken) {
    loop {
        let reason = match &*state.borrow_and_update() {
            ConnectionState::Connected => None,
            ConnectionState::Blocked { reason } => Some(format!("upstream: takes no messages: {reason}")),
            ConnectionState::Connecting { error: None, .. } => Some("upstream: connecting".to_owned()),
            ConnectionState::Connecting { error: Some(error), .. } => Some(format!("upstream: {error}")),
            ConnectionState::Closed => Some("upstream: closed".to_owned()),
        };
        unready.set(reason.into_iter().collect());
        tokio::select! {
            () = stop.cancelled() => return,
            changed = state.changed() => if changed.is_err() { return stop.cancelled().await },
        }
    }
}
