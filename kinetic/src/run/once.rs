//! `kinetic run --once`: to the end of what is there, and out.

use std::{process::ExitCode, sync::Arc, time::Duration};

use kinetic_alert::AlertService;
use kinetic_resources::Snapshot;
use tokio::select;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{args::RunArgs, intake::Intake, progress, supervisor::Supervisor};

/// How long the last mails may take; what waits longer stays in the outbox for the next run.
const DELIVERY: Duration = Duration::from_mins(1);

/// What a run to the end works with.
pub(super) struct Once<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) snapshot: &'a Snapshot,
    pub(super) supervisor: Supervisor,
    pub(super) alerts: Arc<AlertService>,
    pub(super) intake: Intake,
    /// Tells the analyzers that nothing more will come.
    pub(super) input_done: CancellationToken,
    /// Ends everything that works.
    pub(super) work: CancellationToken,
    /// The user's own stop.
    pub(super) stop: &'a CancellationToken,
}

/// Reads to the end, closes all windows, delivers. Exit code 1 if a mail still waits.
pub(super) async fn run(once: Once<'_>) -> anyhow::Result<ExitCode> {
    let Once { args, snapshot, mut supervisor, alerts, intake, input_done, work, stop } = once;
    let delivering = tokio::spawn({
        let (alerts, work) = (Arc::clone(&alerts), work.clone());
        async move { alerts.deliver(work).await }
    });
    let incidents = tokio::spawn(progress::incidents(alerts.events(), work.clone()));
    let stdin = intake.stdin;
    let listening = intake.listen(snapshot, &supervisor, stop).await?;
    let process = async {
        if stdin && let Some(running) = &listening.statsd {
            running.read_stdin().await?;
        }
        listening.stop().await;
        info!("the input is read");
        input_done.cancel();
        let found = supervisor.finished().await;
        alerts.wait_processed(&found).await;
        anyhow::Ok((found.len(), alerts.flush(DELIVERY).await?))
    };
    let (found, report) = select! {
        done = process => done?,
        () = stop.cancelled() => {
            eprintln!("kinetic: stopped before the end; what was confirmed is safe, run the same again to finish");
            return Ok(ExitCode::from(130));
        }
    };
    work.cancel();
    let _ = delivering.await;
    let _ = incidents.await;
    supervisor.close().await;
    println!(
        "{found} findings; {} mails delivered, {} refused, {} waiting (history: kinetic incidents --data {})",
        report.delivered,
        report.refused,
        report.waiting,
        args.data.display()
    );
    if report.waiting > 0 {
        eprintln!(
            "kinetic: {} mails could not be delivered yet; they wait in {}",
            report.waiting,
            args.data.display()
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
