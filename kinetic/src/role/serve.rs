//! The frame of a role: resources watched, probes served, until stopped.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use kinetic_alert::AlertService;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::config::Settings;
use crate::{
    admin::{Admin, Unready},
    fitness,
    home::Open,
    run::{
        self,
        supervisor::{Parts, Supervisor},
    },
    stop,
};

/// Runs the parts until stopped.
pub(super) async fn run(
    settings: &Settings,
    parts: Parts,
    registry: Registry,
    alerts: Option<Arc<AlertService>>,
) -> anyhow::Result<ExitCode> {
    let stop = stop::on_signal()?;
    let work = CancellationToken::new();
    let unready = Unready::starting();
    let mut supervisor = Supervisor::new(parts, work.clone());
    if let Some(address) = settings.admin {
        let told = alerts.as_ref().map(|alerts| fitness::alerts(alerts.history())).unwrap_or_default();
        let bound = Admin::new(registry, unready.clone(), supervisor.desks())
            .with_routes(told)
            .serve(address, work.clone())
            .await
            .with_context(|| format!("admin {address}: cannot listen"))?;
        info!(address = %bound, "serving /healthz, /readyz and /metrics");
    }
    let Some(Open { snapshot, snapshots, reloads }) = settings.home.open(&stop).await? else {
        return Ok(if stop.is_cancelled() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    };
    let Some(applied) = stop.run_until_cancelled(supervisor.apply(&snapshot)).await else {
        return Ok(ExitCode::SUCCESS);
    };
    if !settings.home.is_cluster() {
        applied.context("a customer's vhost cannot be used")?;
    }
    let delivering = alerts.map(|alerts| {
        let work = work.clone();
        tokio::spawn(async move { alerts.deliver(work).await })
    });
    run::watch((snapshots, reloads), &mut supervisor, &unready, &stop, None).await;
    work.cancel();
    run::drain(supervisor, delivering).await;
    Ok(ExitCode::SUCCESS)
}
