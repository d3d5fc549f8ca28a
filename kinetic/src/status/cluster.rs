//! The chain as a cluster's resources tell it, by their status: pure.

use jiff::Timestamp;
use kinetic_api::{
    registry::Registry,
    resources::{
        Alert, Customer, Topology, alert::AlertState, condition::Condition, customer::ClientState,
        topology::AnalyticState,
    },
};

use super::link::{
    ALERTS, ANALYTICS, ANALYZERS, BROKER, CERTIFICATES, Chain, DELIVERIES, FRONT_DOOR, Link, STREAMS, State,
    certificate, front_door,
};

/// A customer with what is its own.
pub(super) struct Seen<'a> {
    pub(super) customer: &'a Customer,
    /// Its Topologies.
    pub(super) topologies: Vec<&'a Topology>,
    /// Their Alerts.
    pub(super) alerts: Vec<&'a Alert>,
    /// What the front doors tell that were asked, or why they do not; none where the status has to do.
    pub(super) registries: Option<&'a Result<Vec<Registry>, String>>,
}

pub(super) fn chain(seen: &Seen, now: Timestamp) -> Chain {
    let Seen { customer, topologies, alerts, registries } = seen;
    let name = customer.metadata.name.as_deref().unwrap_or_default();
    let namespace = customer.metadata.namespace.as_deref().unwrap_or_default();
    let paste = format!(
        "start a client with what its Secret holds (kubectl get secret -n {namespace} -l app.kubernetes.io/component=client,app.kubernetes.io/instance={name}); \
         the log of one that runs says why it is not let in"
    );
    let door = match registries {
        None => connected(customer, &paste),
        Some(Ok(registries)) => front_door(name, registries, &paste),
        Some(Err(reason)) => Link::unknown(
            FRONT_DOOR,
            reason.clone(),
            "see whether --server names its registry, and --cert is a certificate of the operator, the console or the customer's control",
        ),
    };
    let broker =
        conditions(BROKER, customer.status.as_ref().map(|status| &*status.conditions), "BrokerReady", name);
    let door = match (door.state, broker.state) {
        // Whoever comes is let in once the broker has taken the connection, too.
        (State::Broken, State::Broken) => {
            Link::unknown(FRONT_DOOR, door.says, "nobody can connect without the broker: see to that first")
        }
        _ => door,
    };
    let links = vec![
        certificates(customer, now),
        door,
        broker,
        streams(topologies, name),
        analyzers(topologies),
        analytics(topologies),
        rules(alerts),
        deliveries(alerts),
    ];
    Chain::new(name, namespace, customer.vhost(), links)
}

/// Who is connected, of what the operator has put down: it asks the front doors every half minute.
fn connected(customer: &Customer, paste: &str) -> Link {
    let known = customer.status.as_ref().map_or(&[][..], |status| &status.clients);
    let classes = customer.spec.clients.iter().map(|client| client.name.to_string());
    let (mut there, mut absent, mut untold) = (Vec::new(), Vec::new(), Vec::new());
    for class in classes {
        match known.iter().find(|known| known.name == class).and_then(|known| known.state) {
            Some(ClientState::Connected) => there.push(class),
            Some(ClientState::Absent) => absent.push(class),
            None => untold.push(class),
        }
    }
    if !there.is_empty() {
        let rest = if absent.is_empty() { String::new() } else { format!("; not {}", absent.join(", ")) };
        return Link::ok(FRONT_DOOR, format!("clients are connected: {}{rest}", there.join(", ")));
    }
    if !untold.is_empty() {
        return Link::unknown(
            FRONT_DOOR,
            format!("it is not known whether clients are connected: {}", untold.join(", ")),
            "wait a minute or two; if it stays so, see whether the front doors run: kubectl get pods -A -l app.kubernetes.io/component=redirector",
        );
    }
    if absent.is_empty() {
        return Link::broken(
            FRONT_DOOR,
            "there are no clients: nobody may connect",
            "add them to spec.clients",
        );
    }
    Link::broken(FRONT_DOOR, format!("no client is connected: {}", absent.join(", ")), paste)
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
        if accepted.state == State::Broken { accepted } else { live }
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
                // Ready is more: that messages get through, which the next link tells.
                "Accepted",
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
        if link.state == State::Broken {
            let told = link.fix.take().unwrap_or_default();
            link.fix = Some(format!(
                "{told}: see to the address, to the mail server, and to the Secret with its URL, which the alert service reads when it starts"
            ));
        }
        link
    };
    Link::worst(DELIVERIES, alerts.iter().map(of).collect())
        .unwrap_or_else(|| Link::unknown(DELIVERIES, "none, without an Alert", "apply an Alert"))
}

#[cfg(test)]
mod tests {
    use kinetic_api::resources::customer::ClientStatus;
    use serde_json::{Value, json};

    use super::*;

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-11-22T00:00:00Z"})
    }

    fn whole<K: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: &Value, status: &Value) -> K {
        serde_json::from_value(json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": "shops"}, "spec": spec, "status": status}))
        .unwrap()
    }

    fn customer(broker: &str) -> Customer {
        connecting(broker, &json!("Connected"))
    }

    fn connecting(broker: &str, state: &Value) -> Customer {
        let status = json!({
            "clients": [{"name": "web", "secretName": "acme-client-web", "serial": "1", "notAfter": "2026-12-22T00:00:00Z", "state": state}],
            "conditions": [condition("BrokerReady", broker, "InPlace", "us-west.aws.acme is on aws-1"),
                           condition("CertificatesReady", "True", "Issued", "")]});
        let clients = json!([{"name": "web", "profile": "web"}, {"name": "db", "profile": "db"}]);
        whole(
            "Customer",
            "acme",
            &json!({"region": "us-west", "provider": "aws", "clients": clients}),
            &status,
        )
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
            condition("Ready", "False", "Failing", "1 message(s) could not be delivered yet"),
            condition("Accepted", "True", "Accepted", "it fits its Topology"),
            condition("Delivering", "True", "Sent", "mails go out"),
        ];
        whole("Alert", "checkout", &spec, &json!({"state": "Firing", "conditions": conditions}))
    }

    fn seen(customer: &Customer, topologies: &[Topology], alerts: &[Alert]) -> Chain {
        let seen = Seen {
            customer,
            topologies: topologies.iter().collect(),
            alerts: alerts.iter().collect(),
            registries: None,
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
                (State::Ok, "clients are connected: web"),
                (State::Ok, "acme: us-west.aws.acme is on aws-1"),
                (State::Ok, "web: pages is live"),
                (State::Ok, "web: Ready (1 of 1)"),
                (State::Ok, "web/slow watches"),
                (State::Ok, "checkout: it fits its Topology"),
                (State::Ok, "checkout: mails go out, and it fires"),
            ]
        );
        assert_eq!(chain.broken_at, None);
    }

    #[test]
    fn who_is_connected_is_told_by_the_status() {
        let both = |web: &Value, db: &Value, broker: &str| {
            let mut customer = connecting(broker, web);
            let state = serde_json::from_value(db.clone()).unwrap();
            let status = customer.status.as_mut().unwrap();
            status.clients.push(ClientStatus { name: "db".into(), state, ..ClientStatus::default() });
            seen(&customer, &[], &[]).links.swap_remove(1)
        };
        let (there, absent, untold) = (json!("Connected"), json!("Absent"), Value::Null);
        for (web, db, broker, state, says) in [
            (&there, &absent, "True", State::Ok, "clients are connected: web; not db"),
            (&there, &untold, "True", State::Ok, "clients are connected: web"),
            (&absent, &absent, "True", State::Broken, "no client is connected: web, db"),
            (&absent, &untold, "True", State::Unknown, "it is not known whether clients are connected: db"),
            (&absent, &absent, "False", State::Unknown, "no client is connected: web, db"),
        ] {
            let link = both(web, db, broker);
            assert_eq!((link.state, link.says.as_str()), (state, says));
            assert_eq!(link.fix.is_some(), state != State::Ok);
        }
        let mut nobody = customer("True");
        nobody.spec.clients.clear();
        assert_eq!(seen(&nobody, &[], &[]).links[1].state, State::Broken);
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
        let mut failing = good.2.clone();
        let delivering =
            failing.status.as_mut().unwrap().conditions.iter_mut().find(|of| of.type_ == "Delivering");
        let delivering = delivering.unwrap();
        (delivering.status, delivering.message) = ("False".into(), "3 message(s): connection refused".into());
        let chain = seen(&good.0, std::slice::from_ref(&good.1), &[failing]);
        assert_eq!(chain.broken_at, Some(DELIVERIES), "{}", chain.text());
        assert!(chain.text().contains("refused: see to the address, to the mail server"), "{}", chain.text());
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
