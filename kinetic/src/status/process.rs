//! The chain as a `kinetic run` on this machine tells it: pure.

use jiff::{SignedDuration, Timestamp};
use kinetic_alert::{DeliveryState, Incident};
use kinetic_analyzer::detect::unsatisfiable;
use kinetic_api::{observed::Observed, plan::TopologyPlan, registry::Registry};
use kinetic_resources::Snapshot;

use super::link::{
    ALERTS, ANALYTICS, ANALYZERS, BROKER, CERTIFICATES, Chain, DELIVERIES, FRONT_DOOR, Link, STREAMS, clock,
    front_door,
};

/// What was learned of one customer.
pub(super) struct Seen<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// Its clients' certificates, class by class; none where the process has no front door.
    pub(super) certificates: Option<Vec<Link>>,
    /// What the front door tells; none where there is none, or why it does not.
    pub(super) registry: Option<Result<Registry, String>>,
    /// What the process says at its admin address; or why it does not.
    pub(super) process: Result<Process, String>,
    /// What it has told people; or why that cannot be read.
    pub(super) incidents: Result<Vec<Incident>, String>,
}

/// What a process says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    /// Why it is not ready, a line a reason.
    pub(super) unready: Vec<String>,
    /// The series that arrive.
    pub(super) series: Vec<Observed>,
    /// Sources that did not answer, as `customer/topology/source`.
    pub(super) unanswered: Vec<String>,
}

/// So old is a series at most that still arrives, beyond a few windows.
const FRESH: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn chain(customer: &str, namespace: &str, vhost: String, seen: Seen, now: Timestamp) -> Chain {
    let topologies: Vec<&TopologyPlan> = seen
        .snapshot
        .topologies
        .iter()
        .map(|entry| &entry.plan)
        .filter(|plan| plan.customer == customer)
        .collect();
    let door = match seen.registry {
        None => Link::ok(FRONT_DOOR, "none: metrics come in by statsd and collectd on this machine"),
        Some(Ok(registry)) => {
            front_door(customer, &[registry], "connect with a certificate of pki/issued in the data folder")
        }
        Some(Err(reason)) => Link::unknown(FRONT_DOOR, reason, "does its `kinetic run --amqps` still run?"),
    };
    let certificates = match seen.certificates {
        None => Link::ok(CERTIFICATES, "none are needed"),
        Some(all) => {
            Link::worst(CERTIFICATES, all).unwrap_or_else(|| Link::ok(CERTIFICATES, "it has no clients"))
        }
    };
    let mut links = vec![certificates, door];
    match &seen.process {
        Ok(process) => {
            links.push(broker(customer, process));
            links.push(streams(&topologies, process, now));
            links.push(analyzers(customer, &topologies, process));
            links.push(analytics(&topologies, process));
        }
        Err(reason) => {
            let fix = "start it (kinetic run), or name its address by --admin";
            links.push(Link::broken(BROKER, reason.clone(), fix));
            links.extend(
                [STREAMS, ANALYZERS, ANALYTICS].map(|link| Link::unknown(link, "nobody could be asked", fix)),
            );
        }
    }
    links.push(rules(&topologies, seen.snapshot));
    links.push(deliveries(customer, seen.incidents));
    Chain::new(customer, namespace, vhost, links)
}

fn broker(customer: &str, process: &Process) -> Link {
    let own = format!("customer {customer}: ");
    match process.unready.iter().find_map(|reason| reason.strip_prefix(&own)) {
        Some(reason) => Link::broken(BROKER, reason, "it is tried again for ever: see to the broker"),
        None => Link::ok(BROKER, "the vhost is reached"),
    }
}

fn series<'p>(plan: &TopologyPlan, source: &str, process: &'p Process) -> Vec<&'p Observed> {
    let own = |series: &&Observed| {
        (&series.customer, &series.topology, series.source.as_str()) == (&plan.customer, &plan.name, source)
    };
    process.series.iter().filter(own).collect()
}

fn streams(topologies: &[&TopologyPlan], process: &Process, now: Timestamp) -> Link {
    let mut all = Vec::new();
    for plan in topologies {
        for source in &plan.sources {
            let place = format!("{}/{}", plan.name, source.name);
            let arriving = series(plan, &source.name, process);
            let window = SignedDuration::from_millis(source.interval_ms.saturating_mul(5));
            let newest = arriving.iter().filter_map(|series| series.last_seen).max();
            all.push(match newest {
                Some(at) if now.duration_since(at) <= window.max(FRESH) => {
                    Link::ok(STREAMS, format!("{place} is live with {} series", arriving.len()))
                }
                Some(at) => Link::broken(
                    STREAMS,
                    format!("{place} is silent since {}", clock(at)),
                    "see whether its clients still send",
                ),
                None => Link::broken(
                    STREAMS,
                    format!("nothing has arrived at {place}"),
                    format!(
                        "send {} metrics{}; `kinetic series` shows what arrives",
                        source.kind.as_str(),
                        if source.profiles.is_empty() {
                            String::new()
                        } else {
                            format!(" of the profile {}", source.profiles.join(" or "))
                        }
                    ),
                ),
            });
        }
    }
    Link::worst(STREAMS, all).unwrap_or_else(|| {
        Link::broken(
            STREAMS,
            "there is no Topology: nothing looks at the metrics",
            "add one for this customer",
        )
    })
}

fn analyzers(customer: &str, topologies: &[&TopologyPlan], process: &Process) -> Link {
    let of = |plan: &&TopologyPlan| {
        let starting = format!("customer {customer}, topology {}", plan.name);
        let mute = format!("{customer}/{}/", plan.name);
        if let Some(reason) = process.unready.iter().find_map(|reason| reason.strip_prefix(&starting)) {
            let says = format!("{}{reason}", plan.name);
            return Link::unknown(ANALYZERS, says, "wait; if it stays so, see the log of the process");
        }
        match process.unanswered.iter().find(|source| source.starts_with(&mute)) {
            Some(source) => {
                Link::broken(ANALYZERS, format!("{source} does not answer"), "see the log of the process")
            }
            None => Link::ok(ANALYZERS, format!("{}: {} at work", plan.name, plan.partitions)),
        }
    };
    Link::worst(ANALYZERS, topologies.iter().map(of).collect())
        .unwrap_or_else(|| Link::unknown(ANALYZERS, "none, without a Topology", "add a Topology"))
}

fn analytics(topologies: &[&TopologyPlan], process: &Process) -> Link {
    let mut all = Vec::new();
    for plan in topologies {
        if plan.analytics.is_empty() {
            let fix = "add one to its spec.analytics";
            all.push(Link::broken(ANALYTICS, format!("{} has none: it finds nothing", plan.name), fix));
        }
        let never = unsatisfiable(plan);
        for analytic in &plan.analytics {
            let place = format!("{}/{}", plan.name, analytic.name);
            if let Some(report) = never.iter().find(|report| report.name == analytic.name) {
                let reason = report.reason.clone().unwrap_or_default();
                let says = format!("{place} can never fire: {reason}");
                all.push(Link::broken(ANALYTICS, says, "change its settings"));
                continue;
            }
            let own: Vec<_> = process
                .series
                .iter()
                .filter(|series| (&series.customer, &series.topology) == (&plan.customer, &plan.name))
                .collect();
            let watched = own.iter().filter(|series| series.analytics.contains(&analytic.name)).count();
            all.push(if watched > 0 {
                Link::ok(ANALYTICS, format!("{place} watches {watched} series"))
            } else if own.is_empty() {
                Link::unknown(ANALYTICS, format!("{place} has nothing to look at yet"), "send metrics")
            } else {
                Link::broken(
                    ANALYTICS,
                    format!("{place} looks at none of {} series", own.len()),
                    "compare its match with the names that `kinetic series` shows",
                )
            });
        }
    }
    Link::worst(ANALYTICS, all)
        .unwrap_or_else(|| Link::unknown(ANALYTICS, "none, without a Topology", "add a Topology"))
}

fn rules(topologies: &[&TopologyPlan], snapshot: &Snapshot) -> Link {
    let own = snapshot
        .alerts
        .iter()
        .filter(|alert| topologies.iter().any(|topology| topology.name == alert.plan.topology));
    let of = |alert: &kinetic_resources::Entry<_, kinetic_api::plan::AlertPlan>| {
        let name = alert.name();
        if alert.plan.active {
            Link::ok(ALERTS, format!("{name} watches {}", alert.plan.topology))
        } else {
            Link::broken(
                ALERTS,
                format!("{name} is not active: nobody is told"),
                "set its spec.active to true",
            )
        }
    };
    Link::worst(ALERTS, own.map(of).collect()).unwrap_or_else(|| {
        Link::broken(ALERTS, "there is no Alert: nobody is told", "add one for a Topology, with a receiver")
    })
}

fn deliveries(customer: &str, incidents: Result<Vec<Incident>, String>) -> Link {
    let incidents = match incidents {
        Ok(incidents) => incidents,
        Err(reason) => return Link::unknown(DELIVERIES, reason, "name the data folder by --data"),
    };
    let mut told: Vec<_> = incidents
        .iter()
        .filter(|incident| incident.customer == customer)
        .flat_map(|incident| &incident.notifications)
        .filter(|told| told.state != DeliveryState::Dropped)
        .collect();
    told.sort_by_key(|told| told.decided_at);
    let Some(last) = told.last() else {
        return Link::unknown(
            DELIVERIES,
            "there was nothing to tell yet",
            "kinetic generate makes an anomaly",
        );
    };
    let error = last.last_error.clone().unwrap_or_default();
    match (last.state, last.sent_at) {
        (DeliveryState::Refused, _) => Link::broken(
            DELIVERIES,
            format!("the last message to {} was refused: {error}", last.recipient),
            "correct the address, or the mail server",
        ),
        (_, Some(sent)) => Link::ok(DELIVERIES, format!("last told {} at {}", last.recipient, clock(sent))),
        (_, None) if last.last_error.is_some() => Link::broken(
            DELIVERIES,
            format!("a message to {} waits after {} attempts: {error}", last.recipient, last.attempts),
            "it is tried again: see to the mail server",
        ),
        (_, None) => Link::ok(DELIVERIES, format!("a message to {} is on its way", last.recipient)),
    }
}

#[cfg(test)]
mod tests;
