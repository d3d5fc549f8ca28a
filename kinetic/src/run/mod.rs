//! `kinetic run`: everything in one process.
//!
//! ```text
//! resources (watched) ─▶ supervisor ─▶ a bus a customer, an analyzer a Topology, the Alerts' plans
//! statsd (UDP, TCP, stdin), collectd (UDP) ─▶ intake ─▶ bus ─▶ analyzers ─▶ bus ─▶ alert service ─▶ mail, history
//! ```

mod amqps;
mod args;
mod audience;
pub(crate) mod broker;
mod collectd;
pub(crate) mod doors;
mod intake;
mod once;
pub(crate) mod progress;
pub(crate) mod supervisor;
pub(crate) mod vhosts;

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use kinetic_alert::{AlertConfig, AlertService, Clock};
use kinetic_analyzer::service::{Metrics, Mode};
use kinetic_resources::{Reload, Snapshot};
use prometheus_client::registry::Registry;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::{
    amqps::Amqps,
    broker::Broker,
    intake::Intake,
    once::Once,
    progress::Progress,
    supervisor::{AnalyzerParts, Parts, Supervisor},
};
pub(crate) use self::{amqps::PKI, args::RunArgs};
use crate::{
    admin::{Admin, Unready},
    arc, fitness,
    listen::{Listen, Statsd},
    mail, stop, types_db, validate,
};

/// How long a stop waits for what is under way.
const GRACE: Duration = Duration::from_secs(10);

/// Runs until stopped, or to the end with `--once`.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    check(&args)?;
    let Some(snapshot) = validate::load_or_report(&args.files) else { return Ok(ExitCode::FAILURE) };
    let stop = stop::on_signal()?;
    let mut registry = Registry::default();
    let input_done = CancellationToken::new();
    let mode = if args.once { Mode::Once { input_done: input_done.clone() } } else { Mode::Live };
    let alerts = AlertService::open(AlertConfig {
        data_dir: args.data.clone(),
        mail: mail::transport(&args.mail, &args.data)?,
        mail_from: mail::sender(&args.mail),
        clock: if args.once { Clock::Event } else { Clock::Wall },
    })
    .await
    .with_context(|| format!("the alert service cannot use {}", args.data.display()))?;
    alerts.register(&mut registry);
    let alerts = Arc::new(alerts);
    let parts = Parts {
        broker: Broker::new(args.amqp.as_deref(), args.amqp_admin.as_deref(), "run")?,
        alerts: Some(Arc::clone(&alerts)),
        analyzers: Some(AnalyzerParts {
            topology: None,
            partition: None,
            data_dir: args.data.clone(),
            active_since: None,
            mode,
            metrics: Metrics::register(&mut registry),
            types: types_db::read(&args.types.files)?,
        }),
    };
    let intake = Intake::new(&args, &mut registry)?;
    let front_door = match args.amqps {
        Some(address) => {
            let (amqp, admin) = (args.amqp.as_deref(), args.amqp_admin.as_deref());
            Some(Amqps::listen(address, &args.data, amqp, admin, &mut registry).await?)
        }
        None => None,
    };
    // Draining begins at the front: the intake ends first, what it took is worked off, then the rest ends.
    let work = CancellationToken::new();
    let mut supervisor = Supervisor::new(parts, work.clone());
    let Some(applied) = stop.run_until_cancelled(supervisor.apply(&snapshot)).await else {
        return Ok(if args.once { ExitCode::from(130) } else { ExitCode::SUCCESS });
    };
    applied.context("a customer's vhost cannot be used")?;
    let mut taking = None;
    if let Some((amqps, listener)) = front_door {
        amqps.lead(&snapshot).await;
        if let Some(address) = args.enroll {
            let bound = amqps.enroll(address, &args.data, &mut registry, &stop).await?;
            info!(address = %bound, "taking requests for certificates");
        }
        if let Some(bound) = amqps.tell(args.registry, &args.data, &mut registry, &stop).await? {
            info!(address = %bound, "telling who is connected (kinetic clients)");
        }
        info!(address = %amqps.address(), "taking AMQP over TLS");
        taking = Some(amqps.serve(listener, &stop));
        supervisor.lead_by(amqps);
    }
    if args.once {
        let (args, snapshot, stop) = (&args, &snapshot, &stop);
        return once::run(Once { args, snapshot, supervisor, alerts, intake, input_done, work, stop }).await;
    }
    let unready = Unready::starting();
    let admin = Admin::new(registry, unready.clone(), supervisor.desks())
        .with_routes(fitness::alerts(alerts.history()))
        .with_local(arc::serve::router(supervisor.vhosts()));
    serve_admin(&args, admin, &work).await?;
    let stdin = intake.stdin;
    let intakes = intake.listen(&snapshot, &supervisor, &stop).await?;
    if stdin {
        intakes.follow_stdin();
    }
    let delivering = tokio::spawn({
        let (alerts, work) = (Arc::clone(&alerts), work.clone());
        async move { alerts.deliver(work).await }
    });
    let incidents = tokio::spawn(progress::incidents(alerts.events(), work.clone()));
    info!(intakes = %intakes, data = %args.data.display(), "kinetic is running");
    progress::started(&snapshot, &intakes, &args);
    let resources = kinetic_resources::watch(&args.files);
    watch(resources, &mut supervisor, &unready, &stop, Some(Progress::default())).await;
    intakes.stop().await;
    if let Some(taking) = taking {
        let _ = time::timeout(GRACE, taking).await;
    }
    work.cancel();
    drain(supervisor, Some(delivering)).await;
    let _ = incidents.await;
    Ok(ExitCode::SUCCESS)
}

/// Ends what works, in the time that a stop may take.
pub(crate) async fn drain(mut supervisor: Supervisor, delivering: Option<JoinHandle<()>>) {
    let ended = async {
        supervisor.finished().await;
        if let Some(delivering) = delivering {
            let _ = delivering.await;
        }
        supervisor.close().await;
    };
    if time::timeout(GRACE, ended).await.is_err() {
        warn!("not everything ended in time; what was confirmed is safe");
    }
    info!("stopped");
}

/// Refuses flags that contradict each other.
fn check(args: &RunArgs) -> anyhow::Result<()> {
    if args.once && matches!(args.statsd, Some(Statsd::Udp(_))) {
        bail!("--once has an end, a listener has none: use --statsd -, or leave out --once");
    }
    if args.once && matches!(args.statsd_tcp, Some(Listen::At(_))) {
        bail!("--once has an end, a listener has none: leave out --statsd-tcp or --once");
    }
    if args.once && matches!(args.collectd.collectd, Some(Listen::At(_))) {
        bail!("--once has an end, a listener has none: leave out --collectd or --once");
    }
    if args.once && args.amqps.is_some() {
        bail!("--once has an end, a listener has none: leave out --amqps or --once");
    }
    if args.once && args.statsd != Some(Statsd::Stdin) && args.amqp.is_none() {
        bail!("--once needs something to process: streams (--amqp URL) or standard input (--statsd -)");
    }
    Ok(())
}

/// How often it is looked how things stand, …
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// … and while something is not ready.
const LOOK_SOON: Duration = Duration::from_millis(50);

/// Resources as they change, and what changed.
pub(crate) type Followed = (watch::Receiver<Arc<Snapshot>>, mpsc::Receiver<Reload>);

/// Applies edits until stopped, and tells how things stand.
pub(crate) async fn watch(
    (mut snapshots, mut reloads): Followed,
    supervisor: &mut Supervisor,
    unready: &Unready,
    stop: &CancellationToken,
    mut progress: Option<Progress>,
) {
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(reload) = reloads.recv() => report(&reload),
            Ok(()) = snapshots.changed() => {
                let snapshot = Arc::clone(&snapshots.borrow_and_update());
                // What failed is logged there, and tried again with the next edit.
                let _ = supervisor.apply(&snapshot).await;
            }
            () = time::sleep(pause) => {
                let reasons = supervisor.unready();
                pause = if reasons.is_empty() { LOOK_EVERY } else { LOOK_SOON };
                unready.set(reasons);
                if let Some(progress) = &mut progress {
                    progress.tell(supervisor);
                }
            }
        }
    }
}

pub(crate) fn report(reload: &Reload) {
    match reload {
        Reload::Applied { changes } => info!(%changes, "the edit was read"),
        Reload::Broken(problems) => {
            for problem in problems {
                let _ = writeln!(io::stderr(), "{problem}");
            }
            error!(problems = problems.len(), "the edit is broken: everything stays as it was");
        }
        Reload::Unchanged => {}
    }
}

async fn serve_admin(args: &RunArgs, admin: Admin, work: &CancellationToken) -> anyhow::Result<()> {
    let default = "127.0.0.1:8181".parse().expect("a literal address");
    let (address, asked) = match args.admin {
        Some(Listen::Off) => return Ok(()),
        Some(Listen::At(address)) => (address, true),
        None => (default, false),
    };
    match admin.serve(address, work.clone()).await {
        Ok(bound) => info!(address = %bound, "serving /healthz, /readyz and /metrics"),
        Err(error) if asked => {
            return Err(error).with_context(|| format!("--admin {address}: cannot listen"));
        }
        Err(error) => {
            warn!(%address, %error, "no /metrics: the address is taken; choose another with --admin");
        }
    }
    Ok(())
}
