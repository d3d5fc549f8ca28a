//! The service: findings in, mail out, history kept.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, atomic::Ordering},
    time::Duration,
};

use kinetic_api::plan::AlertPlan;
use kinetic_bus::Bus;
use prometheus_client::registry::Registry;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    AlertError, Clock, History, IncidentEvent,
    clock::wall_ms,
    delivery::{self, Courier, MailTransport},
    intake,
    metrics::Metrics,
    plans::Plans,
    store::{Store, Taken},
    wake::Wake,
};

/// Events that a slow watcher may lag behind before it misses some.
const EVENTS: usize = 1_024;
/// How long timers are not looked at at most, whatever the clocks do.
const LOOK: Duration = Duration::from_secs(5);
/// How often what is old is forgotten.
const PRUNE: Duration = Duration::from_hours(1);
/// How often what waits is counted.
const COUNT: Duration = Duration::from_secs(10);

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct AlertConfig {
    /// Where the history lies; made where it is missing.
    pub data_dir: PathBuf,
    /// Where mail goes.
    pub mail: MailTransport,
    /// Whom mail is from: `kinetic@example.org` or `Kinetic <kinetic@example.org>`.
    pub mail_from: String,
    /// What "now" is for timers.
    pub clock: Clock,
}

/// The alert service of one data folder, for any number of customers. Clones are the same service.
#[derive(Clone)]
pub struct AlertService(Arc<Inner>);

struct Inner {
    clock: Clock,
    store: Arc<Store>,
    plans: RwLock<Plans>,
    courier: Arc<Courier>,
    events: broadcast::Sender<IncidentEvent>,
    metrics: Arc<Metrics>,
    /// How many findings were taken: whoever waits for some looks again when it changes.
    taken: watch::Sender<u64>,
    timers: Wake,
    outbox: Wake,
}

/// What a replay has delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushReport {
    /// Deliveries since the service was opened.
    pub delivered: u64,
    /// Those that were refused for good.
    pub refused: u64,
    /// Those that wait still.
    pub waiting: u64,
}

impl AlertService {
    /// Opens the history and prepares the way mail goes; connects to nothing. Takes up what an earlier life left half done.
    pub async fn open(config: AlertConfig) -> Result<Self, AlertError> {
        let metrics = Arc::new(Metrics::default());
        let (events, _) = broadcast::channel(EVENTS);
        let courier = Courier::new(config.mail, &config.mail_from, events.clone(), Arc::clone(&metrics))?;
        let store = Store::open(&config.data_dir, config.clock, wall_ms()).await?;
        Ok(Self(Arc::new(Inner {
            clock: config.clock,
            store: Arc::new(store),
            plans: RwLock::default(),
            courier: Arc::new(courier),
            events,
            metrics,
            taken: watch::Sender::new(0),
            timers: Wake::default(),
            outbox: Wake::default(),
        })))
    }

    /// Registers the service's metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Takes a customer's findings from its bus, by the Alerts as they stand. One task a customer; returns when cancelled, or
    /// with [`kinetic_bus::BusError::Closed`] when the bus is closed.
    ///
    /// A finding is acknowledged when it is committed. What is no finding of this customer is logged, counted and acknowledged;
    /// while the database fails nothing is.
    pub async fn serve(
        &self,
        customer: String,
        bus: Bus,
        plans: watch::Receiver<Arc<Vec<AlertPlan>>>,
        cancel: CancellationToken,
    ) -> Result<(), AlertError> {
        intake::serve(self, &customer, &bus, plans, &cancel).await
    }

    /// Fires timers and delivers what is due, until cancelled. Runs beside [`Self::serve`], once.
    pub async fn deliver(&self, cancel: CancellationToken) {
        let inner = &self.0;
        tokio::join!(
            delivery::run(&inner.store, &inner.courier, &inner.outbox, &cancel),
            self.run_timers(&cancel),
            self.keep_house(&cancel),
        );
    }

    /// Waits until all findings with these ids are in the history.
    pub async fn wait_processed(&self, ids: &[String]) {
        let mut taken = self.0.taken.subscribe();
        let mut missing = ids.to_vec();
        loop {
            taken.mark_unchanged();
            match self.0.store.missing(&missing).await {
                Ok(left) if left.is_empty() => return,
                Ok(left) => missing = left,
                Err(error) => tracing::error!(%error, "cannot look findings up: will try again"),
            }
            // The sender lives as long as the service; the pause is for a store that failed.
            let _ = tokio::time::timeout(LOOK, taken.changed()).await;
        }
    }

    /// Ends a replay: on the findings' clock every change that people were not told of yet is told now (repeats are not), on
    /// the wall's what is due. Then waits until nothing waits to be delivered, at most for `limit`. [`Self::deliver`] must be
    /// running.
    pub async fn flush(&self, limit: Duration) -> Result<FlushReport, AlertError> {
        let inner = &self.0;
        match inner.clock {
            Clock::Event => {
                let plans = self.plans();
                let events = inner.store.fire_changes(&plans).await?;
                self.tell(events);
                inner.outbox.wake();
            }
            Clock::Wall => {
                self.fire().await?;
            }
        }
        let drained = async {
            while inner.store.backlog().await?.unfinished > 0 {
                let _ = tokio::time::timeout(Duration::from_secs(1), inner.courier.progress.woken()).await;
            }
            Ok::<_, AlertError>(())
        };
        if let Ok(result) = tokio::time::timeout(limit, drained).await {
            result?;
        }
        let waiting = inner.store.backlog().await?.unfinished;
        Ok(FlushReport {
            delivered: inner.courier.delivered.load(Ordering::Relaxed),
            refused: inner.courier.refused.load(Ordering::Relaxed),
            waiting: u64::try_from(waiting).unwrap_or(0),
        })
    }

    /// What happens from now on, for whoever watches. A watcher that lags misses events, never the service.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<IncidentEvent> {
        self.0.events.subscribe()
    }

    /// The history, for questions.
    #[must_use]
    pub fn history(&self) -> History {
        self.0.store.history()
    }

    /// Closes the history when [`Self::serve`] and [`Self::deliver`] have returned.
    pub async fn close(&self) {
        self.0.store.close().await;
    }

    /// Takes over a customer's Alerts.
    pub(crate) async fn adopt(&self, customer: &str, plans: &Arc<Vec<AlertPlan>>) -> Result<(), AlertError> {
        let before = self.plans().of(customer);
        self.0.store.adopt(customer, &before, plans).await?;
        self.0.plans.write().unwrap_or_else(PoisonError::into_inner).replace(customer, Arc::clone(plans));
        self.0.timers.wake();
        Ok(())
    }

    /// Takes a finding, and tells whom it concerns.
    pub(crate) async fn take(&self, anomaly: &kinetic_api::anomaly::Anomaly) -> Result<Taken, AlertError> {
        let plans = self.plans().of(&anomaly.data.customer);
        let taken = self.0.store.take(anomaly, &plans).await?;
        self.0.metrics.taken(taken.result);
        self.tell(taken.events.clone());
        self.0.taken.send_modify(|taken| *taken += 1);
        self.0.timers.wake();
        self.0.outbox.wake();
        Ok(taken)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    fn plans(&self) -> Plans {
        self.0.plans.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, events: Vec<IncidentEvent>) {
        for event in events {
            self.0.metrics.happened(&event);
            // Nobody need listen.
            let _ = self.0.events.send(event);
        }
    }

    async fn run_timers(&self, cancel: &CancellationToken) {
        while !cancel.is_cancelled() {
            let pause = match self.fire().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(%error, "cannot look after the timers: will try again");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.0.timers.woken() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Fires the timers that are due; returns how long there are none.
    async fn fire(&self) -> Result<Duration, AlertError> {
        if self.0.clock == Clock::Event {
            return Ok(LOOK);
        }
        let now_ms = wall_ms();
        let plans = self.plans();
        let (events, more) = self.0.store.fire_due(&plans, now_ms).await?;
        if !events.is_empty() {
            self.tell(events);
            self.0.outbox.wake();
        }
        if more {
            return Ok(Duration::ZERO);
        }
        let next = self.0.store.next_timer().await?;
        let pause =
            next.map_or(LOOK, |next| Duration::from_millis(u64::try_from(next - now_ms).unwrap_or(0)));
        Ok(pause.min(LOOK))
    }

    async fn keep_house(&self, cancel: &CancellationToken) {
        let mut prune = tokio::time::interval(PRUNE);
        let mut count = tokio::time::interval(COUNT);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = prune.tick() => self.prune(cancel).await,
                _ = count.tick() => match self.0.store.backlog().await {
                    Ok(backlog) => self.0.metrics.backlog(&backlog, wall_ms()),
                    Err(error) => tracing::error!(%error, "cannot count what waits"),
                },
            }
        }
    }

    async fn prune(&self, cancel: &CancellationToken) {
        while !cancel.is_cancelled() {
            match self.0.store.prune(wall_ms()).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(%error, "cannot forget what is old: will try again in an hour");
                    return;
                }
            }
        }
    }
}

impl std::fmt::Debug for AlertService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlertService").field("clock", &self.0.clock).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
