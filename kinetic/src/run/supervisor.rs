//! Keeps what runs as the resources say: a bus a customer, an analyzer a Topology, the plans of its Alerts.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use kinetic_alert::AlertService;
use kinetic_analyzer::{
    decode::collectd::types_db::TypesDb,
    engine::EngineLimits,
    partition::Partition,
    service::{self, Analyzer, AnalyzerConfig, Metrics, Mode, Report, Status},
};
use kinetic_api::plan::{AlertPlan, TopologyPlan};
use kinetic_bus::{Bus, ConnectionState};
use kinetic_resources::Snapshot;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{amqps::Amqps, broker::Broker, vhosts::Vhosts};
use crate::series::{Desk, Desks};

/// How long an analyzer or a customer's alerts that failed wait before they are tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What runs.
pub(crate) struct Supervisor {
    parts: Parts,
    customers: BTreeMap<String, Customer>,
    analyzers: BTreeMap<AnalyzerKey, RunningAnalyzer>,
    desks: Desks,
    vhosts: Vhosts,
    front_door: Option<Arc<Amqps>>,
    stop: CancellationToken,
}

/// Customer, Topology, and the partition's number.
pub(crate) type AnalyzerKey = (String, String, u8);

/// What the supervisor runs things with.
pub(crate) struct Parts {
    /// Where messages move.
    pub(crate) broker: Broker,
    /// The alert service, unless analyzers run alone.
    pub(crate) alerts: Option<Arc<AlertService>>,
    /// The analyzers' part, unless the alert service runs alone.
    pub(crate) analyzers: Option<AnalyzerParts>,
}

/// What analyzers are run with.
pub(crate) struct AnalyzerParts {
    /// The only Topology to run; all where absent.
    pub(crate) topology: Option<String>,
    /// The only partition to run; all where absent.
    pub(crate) partition: Option<u8>,
    pub(crate) data_dir: PathBuf,
    /// Since when analytics are active, as somebody else knows.
    pub(crate) active_since: Option<PathBuf>,
    pub(crate) mode: Mode,
    pub(crate) metrics: Metrics,
    /// collectd's types.
    pub(crate) types: Arc<TypesDb>,
}

struct Customer {
    vhost: String,
    bus: Bus,
    plans: watch::Sender<Arc<Vec<AlertPlan>>>,
    cancel: CancellationToken,
    max_series: u32,
}

struct RunningAnalyzer {
    partition: Partition,
    plan: watch::Sender<Option<Arc<TopologyPlan>>>,
    status: Status,
    cancel: CancellationToken,
    task: JoinHandle<Report>,
}

impl Supervisor {
    pub(crate) fn new(parts: Parts, stop: CancellationToken) -> Self {
        Self {
            parts,
            customers: BTreeMap::new(),
            analyzers: BTreeMap::new(),
            desks: Desks::default(),
            vhosts: Vhosts::default(),
            front_door: None,
            stop,
        }
    }

    /// Has a front door lead by what is applied from now on.
    pub(super) fn lead_by(&mut self, front_door: Arc<Amqps>) {
        self.front_door = Some(front_door);
    }

    /// Makes what runs what the resources say.
    ///
    /// # Errors
    /// A customer's vhost that is not there, or not ours to use. Everything else goes on.
    pub(crate) async fn apply(&mut self, snapshot: &Snapshot) -> anyhow::Result<()> {
        self.retire_topologies(snapshot);
        let mut failed = None;
        for customer in &snapshot.customers {
            let vhost = customer.resource.vhost();
            let name = customer.name();
            if self.customers.get(name).is_some_and(|known| known.vhost == vhost) {
                continue;
            }
            match self.parts.broker.vhost(&customer.resource).await {
                Ok(bus) => self.start_customer(name, vhost, bus, customer.resource.spec.limits.series),
                Err(error) => {
                    error!(
                        customer = name,
                        error = format!("{error:#}"),
                        "the customer's vhost cannot be used"
                    );
                    failed.get_or_insert(error);
                }
            }
        }
        let gone: Vec<_> = self
            .customers
            .keys()
            .filter(|name| !snapshot.customers.iter().any(|c| c.name() == *name))
            .cloned()
            .collect();
        for name in gone {
            if let Some(customer) = self.customers.remove(&name) {
                info!(customer = %name, "the customer is gone");
                self.vhosts.remove(&customer.vhost);
                customer.cancel.cancel();
            }
        }
        if let Some(front_door) = &self.front_door {
            front_door.lead(snapshot).await;
        }
        let mut alerts: HashMap<&str, Vec<AlertPlan>> = HashMap::new();
        for alert in &snapshot.alerts {
            if let Some(topology) = snapshot.topologies.iter().find(|t| t.plan.name == alert.plan.topology) {
                alerts.entry(&topology.plan.customer).or_default().push(alert.plan.clone());
            }
        }
        for (name, customer) in &self.customers {
            let plans = alerts.remove(name.as_str()).unwrap_or_default();
            customer.plans.send_if_modified(|known| {
                let changed = **known != plans;
                if changed {
                    *known = Arc::new(plans);
                }
                changed
            });
        }
        for topology in &snapshot.topologies {
            self.apply_topology(&topology.plan).await;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Analyzers whose Topology is gone resolve what fires, and end.
    fn retire_topologies(&mut self, snapshot: &Snapshot) {
        self.analyzers.retain(|key, analyzer| {
            let (customer, name, _) = key;
            let stays =
                snapshot.topologies.iter().any(|t| t.plan.customer == *customer && t.plan.name == *name);
            if !stays {
                info!(customer, topology = name, "the topology is gone");
                analyzer.plan.send_replace(None);
                self.desks.close(key);
            }
            stays
        });
    }

    fn start_customer(&mut self, name: &str, vhost: String, bus: Bus, max_series: u32) {
        let cancel = self.stop.child_token();
        let (plans, receiver) = watch::channel(Arc::default());
        if let Some(alerts) = &self.parts.alerts {
            let (alerts, bus, customer, cancel) =
                (Arc::clone(alerts), bus.clone(), name.to_owned(), cancel.clone());
            tokio::spawn(async move {
                loop {
                    let anomalies = service::anomalies();
                    let Some(declared) = cancel.run_until_cancelled(bus.declare(&anomalies)).await else {
                        return;
                    };
                    let served = match declared.map_err(|e| e.to_string()) {
                        Ok(_) => alerts
                            .serve(customer.clone(), bus.clone(), receiver.clone(), cancel.clone())
                            .await
                            .map_err(|e| e.to_string()),
                        Err(error) => Err(error),
                    };
                    match served {
                        Ok(()) => return,
                        Err(error) => {
                            error!(%customer, %error, "the customer's findings cannot be taken; trying again");
                        }
                    }
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => {}
                        () = cancel.cancelled() => return,
                    }
                }
            });
        }
        self.vhosts.insert(vhost.clone(), bus.clone());
        self.customers.insert(name.to_owned(), Customer { vhost, bus, plans, cancel, max_series });
    }

    async fn apply_topology(&mut self, plan: &TopologyPlan) {
        let Some(parts) = &self.parts.analyzers else { return };
        if parts.topology.as_ref().is_some_and(|only| *only != plan.name) {
            return;
        }
        let Some(customer) = self.customers.get(&plan.customer) else { return };
        let (bus, vhost, max_series) = (customer.bus.clone(), customer.vhost.clone(), customer.max_series);
        let only = parts.partition;
        if only.is_some_and(|only| only >= plan.partitions) {
            warn!(topology = %plan.name, partitions = plan.partitions, partition = only, "the topology has no such partition: nothing to do for it");
        }
        self.end_other_partitions(plan).await;
        let mut fresh = true;
        for partition in Partition::all(plan.partitions) {
            let key = (plan.customer.clone(), plan.name.clone(), partition.index());
            if only.is_some_and(|only| only != partition.index()) {
                continue;
            }
            let changed = match self.analyzers.get(&key) {
                Some(analyzer) => analyzer.plan.send_if_modified(|known| {
                    let changed = known.as_deref() != Some(plan);
                    if changed {
                        *known = Some(Arc::new(plan.clone()));
                    }
                    changed
                }),
                None => true,
            };
            if changed && std::mem::take(&mut fresh) {
                self.parts.broker.retain(&vhost, plan).await;
            }
            if !self.analyzers.contains_key(&key) {
                self.start_analyzer(key, plan, partition, bus.clone(), max_series).await;
            }
        }
    }

    /// When another number of analyzers is to share a Topology's streams, those at work save what they know and end: who owns what is
    /// another question then.
    async fn end_other_partitions(&mut self, plan: &TopologyPlan) {
        let outdated = self.analyzers.extract_if(.., |(customer, topology, _), analyzer| {
            (&**customer, &**topology) == (&*plan.customer, &*plan.name)
                && analyzer.partition.of() != plan.partitions
        });
        let ending: Vec<_> = outdated
            .map(|(key, analyzer)| {
                self.desks.close(&key);
                analyzer
            })
            .collect();
        for analyzer in &ending {
            info!(topology = %plan.name, partition = %analyzer.partition, now = plan.partitions, "the analyzers are another number now: the stream is read again");
            analyzer.cancel.cancel();
        }
        for analyzer in ending {
            if let Err(error) = analyzer.task.await {
                error!(%error, "an analyzer failed; this is a bug, please report it");
            }
        }
    }

    async fn start_analyzer(
        &mut self,
        key: AnalyzerKey,
        plan: &TopologyPlan,
        partition: Partition,
        bus: Bus,
        max_series: u32,
    ) {
        let Some(parts) = &self.parts.analyzers else { return };
        // What is taken in from now on must find its stream; with a broker that is away the analyzer declares it in its own time.
        if bus.state().borrow().is_connected()
            && let Err(error) = bus.declare(&service::declaration(plan)).await
        {
            error!(topology = %plan.name, %error, "the topology's streams cannot be declared");
        }
        let config = AnalyzerConfig {
            bus,
            data_dir: parts.data_dir.clone(),
            active_since: parts.active_since.clone(),
            limits: EngineLimits { max_series },
            partition,
            types: Arc::clone(&parts.types),
            mode: parts.mode.clone(),
            metrics: parts.metrics.clone(),
        };
        let (sender, receiver) = watch::channel(Some(Arc::new(plan.clone())));
        let analyzer = Analyzer::new(config, receiver);
        let status = analyzer.status();
        let desk = Desk { series: analyzer.series(), partition, status: status.clone() };
        self.desks.open(key.clone(), desk);
        let cancel = self.stop.child_token();
        let task = tokio::spawn(keep_running(analyzer, cancel.clone()));
        self.analyzers.insert(key, RunningAnalyzer { partition, plan: sender, status, cancel, task });
    }

    /// The ways to the vhosts, as they come and go.
    pub(crate) fn vhosts(&self) -> Vhosts {
        self.vhosts.clone()
    }

    /// The way to a customer's vhost.
    pub(crate) fn bus(&self, customer: &str) -> Option<Bus> {
        self.customers.get(customer).map(|c| c.bus.clone())
    }

    /// Where the analyzers can be asked for their series.
    pub(crate) fn desks(&self) -> Desks {
        self.desks.clone()
    }

    /// How the analyzers fare, by customer, Topology and partition.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = (&str, &str, Partition, &Status)> {
        self.analyzers.iter().map(|((customer, topology, _), analyzer)| {
            (customer.as_str(), topology.as_str(), analyzer.partition, &analyzer.status)
        })
    }

    /// Why not everything works, if so.
    pub(crate) fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        for (name, customer) in &self.customers {
            match &*customer.bus.state().borrow() {
                ConnectionState::Connected => {}
                ConnectionState::Blocked { reason } => {
                    reasons.push(format!("customer {name}: the broker takes nothing: {reason}"));
                }
                ConnectionState::Connecting { error, .. } => reasons.push(format!(
                    "customer {name}: no connection to the broker: {}",
                    error.as_deref().unwrap_or("connecting")
                )),
                ConnectionState::Closed => reasons.push(format!("customer {name}: the connection is closed")),
            }
        }
        for (customer, topology, partition, status) in self.statuses() {
            if status.standby() {
                reasons.push(format!(
                    "customer {customer}, topology {topology}, partition {partition}: standby, another analyzer is at work on it"
                ));
                continue;
            }
            let sources = status.sources();
            let waiting: Vec<_> =
                sources.iter().filter(|(_, s)| !s.live).map(|(name, _)| name.as_str()).collect();
            if sources.is_empty() || !waiting.is_empty() {
                reasons.push(format!(
                    "customer {customer}, topology {topology}: starting {}",
                    waiting.join(", ")
                ));
            }
        }
        reasons
    }

    /// Waits until every analyzer has come to its end; the ids of what they found.
    pub(crate) async fn finished(&mut self) -> Vec<String> {
        let mut published = Vec::new();
        for (_, analyzer) in std::mem::take(&mut self.analyzers) {
            match analyzer.task.await {
                Ok(report) => published.extend(report.published),
                Err(error) => error!(%error, "an analyzer failed; this is a bug, please report it"),
            }
        }
        published
    }

    /// Closes the connections properly.
    pub(crate) async fn close(&mut self) {
        for customer in self.customers.values() {
            customer.bus.close().await;
        }
    }
}

/// Runs an analyzer, and again after what stopped it may have passed.
async fn keep_running(mut analyzer: Analyzer, cancel: CancellationToken) -> Report {
    loop {
        match analyzer.run(cancel.clone()).await {
            Ok(report) => return report,
            Err(error) => error!(%error, "an analyzer stopped; trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = cancel.cancelled() => return Report::default(),
        }
    }
}
