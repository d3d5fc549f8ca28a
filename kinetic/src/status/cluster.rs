//! The chain as a cluster's resources tell it, by their status: pure.

use jiff::Timestamp;
use kinetic_api::{
    registry::Registry,
    resources::{
        Alert, Customer, Topology, alert::AlertState, condition::Condition, topology::AnalyticState,
    },
};

use super::link::{
    ALERTS, ANALYTICS, ANALYZERS, BROKER, CERTIFICATES, Chain, DELIVERIES, FRONT_DOOR, Link, STREAMS,
    certificate, front_door,
};

/// A customer with what is its own.
pub(super) struct Seen<'a> {
    pub(super) customer: &'a Customer,
    /// Its Topologies.
    pub(super) topologies: Vec<&'a Topology>,
    /// Their Alerts.
    pub(super) alerts: Vec<&'a Alert>,
    /// What the front doors tell, or why they do not.
    pub(super) registries: &'a Result<Vec<Registry>, String>,
}

pub(super) fn chain(seen: &Seen, now: Timestamp) -> Chain {
    let Seen { customer, topologies, alerts, registries } = seen;
    let name = customer.metadata.name.as_deref().unwrap_or_default();
    let namespace = customer.metadata.namespace.as_deref().unwrap_or_default();
    let paste = format!(
        "give a client what its Secret holds: kubectl get secret -n {namespace} -l app.kubernetes.io/component=client"
    );
    let door = match registries {
        Ok(registries) => front_door(name, registries, &paste),
        Err(reason) => Link::unknown(
            FRONT_DOOR,
            reason.clone(),
            "name its registry by --server, with --cert, --key and --ca",
        ),
    };
    let links = vec![
        certificates(customer, now),
        door,
        conditions(BROKER, customer.status.as_ref().map(|status| &*status.conditions), "BrokerReady", name),
        streams(topologies, name),
        analyzers(topologies),
        analytics(topologies),
        rules(alerts),
        deliveries(alerts),
    ];
    Chain::new(name, namespace, customer.vhost(), links)
}

/// What a condition says of a link.
fn conditions(link: &'static str, conditions: Option<&[Condition]>, kind: &str, name: &str) -> Link {
    let looked_at = conditions.is_some_and(|conditions| !conditions.is_empty());
    match conditions.into_iter().flatten().find(|condition| condition.type_ == kind) {
        Some(condition) if condition.status == "True" => {
            Link::ok(link, format!("{name}: {}", said(condition)))
        }
        // It waits for another link, which says what is wrong.
        Some(condition) if condition.reason == "Waiting" => {
            Link::unknown(link, format!("{name}: waits"), condition.message.clone())
        }
        Some(condition) if condition.status == "False" => {
            Link::broken(link, format!("{name}: {}", condition.reason), condition.message.clone())
        }
        Some(condition) => {
            Link::unknown(link, format!("{name}: {}", condition.reason), condition.message.clone())
        }
        None if looked_at => Link::unknown(
            link,
            format!("{name}: its status does not tell yet"),
            "wait for the links before it",
        ),
        None => Link::unknown(
            link,
            format!("{name}: its status does not tell"),
            "see whether the operator runs and watches this namespace: kubectl get pods -A -l app.kubernetes.io/component=operator",
        ),
    }
}

fn said(condition: &Condition) -> String {
    if condition.message.is_empty() { condition.reason.clone() } else { condition.message.clone() }
}

fn certificates(customer: &Customer, now: Timestamp) -> Link {
    let status = customer.status.as_ref();
    let name = customer.metadata.name.as_deref().unwrap_or_default();
    let issued =
        conditions(CERTIFICATES, status.map(|status| &*status.conditions), "CertificatesReady", name);
    let mut all = vec![issued];
    for client in status.into_iter().flat_map(|status| &status.clients) {
        let Ok(not_after) = client.not_after.parse() else { continue };
        let renewal = format!(
            "the operator renews it: see whether it runs, and its log about Secret {}",
            client.secret_name
        );
        all.push(certificate(&client.name, not_after, now, &renewal));
    }
    // The classes, one by one, say more than that all is well.
    if all.len() > 1 && all[0].fix.is_none() {
        all.remove(0);
    }
    Link::worst(CERTIFICATES, all).unwrap_or_else(|| Link::ok(CERTIFICATES, "none"))
}

fn streams(topologies: &[&Topology], customer: &str) -> Link {
    let of = |topology: &&Topology| {
        let (name, status) = named(topology);
        let accepted = conditions(STREAMS, status, "Accepted", name);
        let live = conditions(STREAMS, status, "SourcesLive", name);
        if accepted.state == super::link::State::Broken { accepted } else { live }
    };
    Link::worst(STREAMS, topologies.iter().map(of).collect()).unwrap_or_else(|| {
        Link::broken(
            STREAMS,
            "there is no Topology: nothing looks at the metrics",
            format!("apply one with spec.customer {customer}"),
        )
    })
}

fn named(topology: &Topology) -> (&str, Option<&[Condition]>) {
    let conditions = topology.status.as_ref().map(|status| &*status.conditions);
    (topology.metadata.name.as_deref().unwrap_or_default(), conditions)
}

fn analyzers(topologies: &[&Topology]) -> Link {
    let of = |topology: &&Topology| {
        let (name, status) = named(topology);
        let mut link = conditions(ANALYZERS, status, "AnalyzersReady", name);
        if let Some(count) = topology.status.as_ref().and_then(|status| status.analyzers) {
            link.says = format!("{} ({} of {})", link.says, count.ready, count.wanted);
        }
        link
    };
    Link::worst(ANALYZERS, topologies.iter().map(of).collect())
        .unwrap_or_else(|| Link::unknown(ANALYZERS, "none, without a Topology", "apply a Topology"))
}

fn analytics(topologies: &[&Topology]) -> Link {
    let mut all = Vec::new();
    for topology in topologies {
        let name = topology.metadata.name.as_deref().unwrap_or_default();
        if topology.spec.analytics.is_empty() {
            let fix = "add one to its spec.analytics";
            all.push(Link::broken(ANALYTICS, format!("{name} has none: it finds nothing"), fix));
        }
        for analytic in &topology.spec.analytics {
            let place = format!("{name}/{}", &*analytic.name);
            let known = topology.status.as_ref().map(|status| &status.analytics);
            let known = known.into_iter().flatten().find(|known| *known.name == *analytic.name);
            let reason = || known.and_then(|known| known.reason.clone()).unwrap_or_default();
            all.push(match known.map(|known| known.state) {
                Some(AnalyticState::Active) => Link::ok(ANALYTICS, format!("{place} watches")),
                Some(AnalyticState::WarmingUp) => Link::ok(ANALYTICS, format!("{place} learns")),
                Some(AnalyticState::Unsatisfiable) => Link::broken(
                    ANALYTICS,
                    format!("{place} can never fire: {}", reason()),
                    "change its settings, or send what it needs",
                ),
                None => Link::unknown(
                    ANALYTICS,
                    format!("{place}: its status does not tell"),
                    "wait for its analyzer",
                ),
            });
        }
    }
    Link::worst(ANALYTICS, all)
        .unwrap_or_else(|| Link::unknown(ANALYTICS, "none, without a Topology", "apply a Topology"))
}

fn rules(alerts: &[&Alert]) -> Link {
    let of = |alert: &&Alert| {
        let name = alert.metadata.name.as_deref().unwrap_or_default();
        if alert.spec.active {
            return conditions(
                ALERTS,
                alert.status.as_ref().map(|status| &*status.conditions),
                "Ready",
                name,
            );
        }
        Link::broken(ALERTS, format!("{name} is not active: nobody is told"), "set its spec.active to true")
    };
    Link::worst(ALERTS, alerts.iter().map(of).collect()).unwrap_or_else(|| {
        Link::broken(ALERTS, "there is no Alert: nobody is told", "apply one for a Topology, with a receiver")
    })
}

fn deliveries(alerts: &[&Alert]) -> Link {
    let of = |alert: &&Alert| {
        let name = alert.metadata.name.as_deref().unwrap_or_default();
        let status = alert.status.as_ref();
        let mut link = conditions(DELIVERIES, status.map(|status| &*status.conditions), "Delivering", name);
        match status.and_then(|status| status.state) {
            Some(AlertState::Firing) => link.says += ", and it fires",
            Some(AlertState::Quiet) => link.says += ", and nothing fires",
            Some(AlertState::Inactive) | None => {}
        }
        link
    };
    Link::worst(DELIVERIES, alerts.iter().map(of).collect())
        .unwrap_or_else(|| Link::unknown(DELIVERIES, "none, without an Alert", "apply an Alert"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::status::link::State;

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-11-22T00:00:00Z"})
    }

    fn whole<K: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: &Value, status: &Value) -> K {
        serde_json::from_value(json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": "shops"}, "spec": spec, "status": status}))
        .unwrap()
    }

    fn customer(broker: &str) -> Customer {
        let status = json!({
            "clients": [{"name": "web", "secretName": "acme-client-web", "serial": "1", "notAfter": "2026-12-22T00:00:00Z"}],
            "conditions": [condition("BrokerReady", broker, "InPlace", "us-west.aws.acme is on aws-1"),
                           condition("CertificatesReady", "True", "Issued", "")]});
        whole("Customer", "acme", &json!({"region": "us-west", "provider": "aws"}), &status)
    }

    fn topology(state: &str) -> Topology {
        let analytic = json!({"name": "slow", "source": "pages", "match": {"metric": "**"}, "statistic": "mean", "cluster": {}});
        let spec = json!({"customer": "acme", "sources": [{"name": "pages", "type": "statsd"}], "analytics": [analytic]});
        let status = json!({"analyzers": {"ready": 1, "wanted": 1}, "analytics": [{"name": "slow", "state": state, "reason": "too few feeds"}],
            "conditions": [condition("Accepted", "True", "Accepted", ""), condition("SourcesLive", "True", "Live", "pages is live"),
                           condition("AnalyzersReady", "True", "Ready", "")]});
        whole("Topology", "web", &spec, &status)
    }

    fn alert(active: bool) -> Alert {
        let spec = json!({"topology": "web", "active": active, "receivers": [{"name": "ops", "email": {"to": ["ops@acme.example"]}}]});
        let conditions = [
            condition("Ready", "True", "Ready", "all is in place"),
            condition("Delivering", "True", "Sent", "mails go out"),
        ];
        whole("Alert", "checkout", &spec, &json!({"state": "Firing", "conditions": conditions}))
    }

    fn seen(customer: &Customer, topologies: &[Topology], alerts: &[Alert]) -> Chain {
        let registries = Err("no front door was asked".to_owned());
        let seen = Seen {
            customer,
            topologies: topologies.iter().collect(),
            alerts: alerts.iter().collect(),
            registries: &registries,
        };
        chain(&seen, "2026-11-22T06:00:00Z".parse().unwrap())
    }

    #[test]
    fn the_status_of_resources_is_the_chain() {
        let chain = seen(&customer("True"), &[topology("Active")], &[alert(true)]);
        let said: Vec<_> = chain.links.iter().map(|link| (link.state, link.says.as_str())).collect();
        assert_eq!(
            said,
            [
                (State::Ok, "web until 2026-12-22 00:00:00Z"),
                (State::Unknown, "no front door was asked"),
                (State::Ok, "acme: us-west.aws.acme is on aws-1"),
                (State::Ok, "web: pages is live"),
                (State::Ok, "web: Ready (1 of 1)"),
                (State::Ok, "web/slow watches"),
                (State::Ok, "checkout: all is in place"),
                (State::Ok, "checkout: mails go out, and it fires"),
            ]
        );
        assert_eq!(chain.broken_at, None);
    }

    #[test]
    fn each_link_can_be_the_broken_one() {
        let good = (customer("True"), topology("Active"), alert(true));
        for (chain, link, fix) in [
            (
                seen(&customer("False"), std::slice::from_ref(&good.1), std::slice::from_ref(&good.2)),
                BROKER,
                "aws-1",
            ),
            (seen(&good.0, &[], &[]), STREAMS, "spec.customer acme"),
            (
                seen(&good.0, &[topology("Unsatisfiable")], std::slice::from_ref(&good.2)),
                ANALYTICS,
                "settings",
            ),
            (seen(&good.0, std::slice::from_ref(&good.1), &[]), ALERTS, "receiver"),
            (seen(&good.0, std::slice::from_ref(&good.1), &[alert(false)]), ALERTS, "spec.active"),
        ] {
            assert_eq!(chain.broken_at, Some(link), "{}", chain.text());
            let broken = chain.links.iter().find(|one| one.name == link).unwrap();
            assert!(broken.fix.as_ref().is_some_and(|said| said.contains(fix)), "{broken:?}");
        }
        let waiting = json!({"conditions": [condition("BrokerReady", "False", "NoCapacity", "add a broker"),
            condition("CertificatesReady", "False", "Waiting", "once the vhost is the customer's")]});
        let full: Customer =
            whole("Customer", "late", &json!({"region": "us-west", "provider": "aws"}), &waiting);
        assert_eq!(seen(&full, &[], &[]).broken_at, Some(BROKER), "what waits is not what is broken");
        let mut bare = good.0.clone();
        bare.status = None;
        let chain = seen(&bare, &[], &[]);
        assert!(chain.links[2].fix.as_ref().unwrap().contains("operator"), "{}", chain.text());
    }
}
