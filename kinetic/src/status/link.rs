//! The chain from a client to an inbox, link by link: pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use kinetic_api::registry::{Hold, Registry};
use serde::Serialize;

/// How a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum State {
    /// It holds.
    Ok,
    /// Nobody could be asked, or there is nothing to say yet.
    Unknown,
    /// Nothing comes through.
    Broken,
}

/// A link of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Link {
    pub(super) name: &'static str,
    pub(super) state: State,
    /// What is so.
    pub(super) says: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

pub(super) const CERTIFICATES: &str = "client certificates";
pub(super) const FRONT_DOOR: &str = "front door";
pub(super) const BROKER: &str = "broker";
pub(super) const STREAMS: &str = "streams";
pub(super) const ANALYZERS: &str = "analyzers";
pub(super) const ANALYTICS: &str = "analytics";
pub(super) const ALERTS: &str = "alerts";
pub(super) const DELIVERIES: &str = "deliveries";

impl Link {
    pub(super) fn ok(link: &'static str, says: impl Into<String>) -> Self {
        Self { name: link, state: State::Ok, says: says.into(), fix: None }
    }

    pub(super) fn unknown(link: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name: link, state: State::Unknown, says: says.into(), fix: Some(fix.into()) }
    }

    pub(super) fn broken(link: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name: link, state: State::Broken, says: says.into(), fix: Some(fix.into()) }
    }

    /// Of several of one sort the worst: what is broken is told first, what is well only if all is.
    pub(super) fn worst(link: &'static str, all: Vec<Self>) -> Option<Self> {
        let state = all.iter().map(|one| one.state).max()?;
        let says: Vec<_> = all.iter().filter(|one| one.state == state).map(|one| one.says.clone()).collect();
        let mut fixes: Vec<_> =
            all.into_iter().filter(|one| one.state == state).filter_map(|one| one.fix).collect();
        fixes.dedup();
        let fix = (!fixes.is_empty()).then(|| fixes.join("; "));
        Some(Self { name: link, state, says: says.join("; "), fix })
    }
}

/// A customer's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chain {
    pub(super) customer: String,
    pub(super) namespace: String,
    pub(super) vhost: String,
    /// The first link that is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) broken_at: Option<&'static str>,
    pub(super) links: Vec<Link>,
}

impl Chain {
    pub(super) fn new(customer: &str, namespace: &str, vhost: String, links: Vec<Link>) -> Self {
        let broken_at = links.iter().find(|link| link.state == State::Broken).map(|link| link.name);
        Self { customer: customer.to_owned(), namespace: namespace.to_owned(), vhost, broken_at, links }
    }

    /// A line a link; what to do stands below what needs it.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}/{}  {}\n", self.namespace, self.customer, self.vhost);
        for Link { name, state, says, fix } in &self.links {
            let mark = match state {
                State::Ok => "ok",
                State::Unknown => "?",
                State::Broken => "BROKEN",
            };
            let _ = writeln!(
                text,
                "  {mark:6}  {name:19}  {says}{}",
                fix.as_ref().map_or_else(String::new, |fix| format!(" → {fix}"))
            );
        }
        let end = match self.broken_at {
            Some(link) => format!("  broken at: {link}\n"),
            None if self.links.iter().any(|link| link.state == State::Unknown) => {
                "  nothing is broken, as far as could be seen\n".to_owned()
            }
            None => "  the chain holds\n".to_owned(),
        };
        text + &end
    }
}

/// Who is connected, of what the registries of the front doors tell.
pub(super) fn front_door(customer: &str, registries: &[Registry], paste: &str) -> Link {
    let held =
        registries.iter().flat_map(|registry| &registry.customers).filter(|used| used.customer == customer);
    if let Some(hold) = held.map(|used| used.hold).max().filter(|hold| *hold != Hold::No) {
        return Link::broken(
            FRONT_DOOR,
            format!("the customer is {}", hold.as_str()),
            format!("let it go on: kinetic clients resume {customer}"),
        );
    }
    let connections: Vec<_> = registries
        .iter()
        .flat_map(|registry| &registry.connections)
        .filter(|connection| connection.customer == customer && connection.role.starts_with("clients/"))
        .collect();
    let messages: u64 = connections.iter().map(|connection| connection.messages).sum();
    if !connections.is_empty() {
        let count = connections.len();
        let plural = if count == 1 { "" } else { "s" };
        return Link::ok(
            FRONT_DOOR,
            format!("{count} connection{plural} of clients, {messages} messages so far"),
        );
    }
    let seen = registries
        .iter()
        .flat_map(|registry| &registry.identities)
        .filter(|seen| seen.customer == customer && seen.identity.contains("/clients/"))
        .max_by_key(|seen| seen.last_seen);
    match seen {
        Some(seen) => Link::broken(
            FRONT_DOOR,
            format!("no client is connected; {} was last seen {}", seen.identity, clock(seen.last_seen)),
            "start it again, or look into its log for the reply code and text that it was refused with",
        ),
        None => Link::broken(FRONT_DOOR, "no client is connected, and none was lately", paste),
    }
}

/// A time, as people read it.
pub(super) fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `web until 2026-12-22 00:00:00Z`, or why that is no certificate to come with.
pub(super) fn certificate(client: &str, not_after: Timestamp, now: Timestamp, renewal: &str) -> Link {
    let until = clock(not_after);
    if not_after <= now {
        return Link::broken(CERTIFICATES, format!("{client}'s ended {until}"), renewal);
    }
    Link::ok(CERTIFICATES, format!("{client} until {until}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn registry(connections: &Value, hold: &str) -> Vec<Registry> {
        let identity = "spiffe://kinetic.local/customers/acme/clients/web";
        let time = "2026-11-22T06:00:00Z";
        vec![
            serde_json::from_value(json!({"time": time, "connections": connections,
                "identities": [{"identity": identity, "customer": "acme", "presence": "offline", "connections": 0, "lastSeen": time}],
                "customers": [{"customer": "acme", "connections": 1, "messages": 5, "bytes": 5, "hold": hold}]}))
            .unwrap(),
        ]
    }

    #[test]
    fn who_is_connected_is_told_or_what_to_do() {
        let web = json!([{"identity": "x", "customer": "acme", "role": "clients/web", "address": "a", "since": "2026-11-22T06:00:00Z",
            "messages": 5, "bytes": 5, "deliveredMessages": 0, "deliveredBytes": 0}]);
        for (registries, customer, state, says) in [
            (registry(&web, "no"), "acme", State::Ok, "1 connection of clients, 5 messages"),
            (registry(&web, "paused"), "acme", State::Broken, "the customer is paused"),
            (registry(&json!([]), "no"), "acme", State::Broken, "last seen 2026-11-22 06:00:00Z"),
            (registry(&web, "no"), "globex", State::Broken, "none was lately"),
        ] {
            let link = front_door(customer, &registries, "paste");
            assert!(link.state == state && link.says.contains(says), "{link:?}");
            assert_eq!(link.fix.is_some(), state != State::Ok);
        }
    }

    #[test]
    fn a_chain_says_where_it_is_broken() {
        let now = "2026-11-22T06:00:00Z".parse().unwrap();
        let certificates = vec![
            certificate("web", "2026-12-01T00:00:00Z".parse().unwrap(), now, "renew"),
            certificate("db", "2026-11-01T00:00:00Z".parse().unwrap(), now, "renew it"),
        ];
        let links = vec![
            Link::worst(CERTIFICATES, certificates).unwrap(),
            Link::unknown(FRONT_DOOR, "nobody was asked", "ask"),
        ];
        let mut chain = Chain::new("acme", "shops", "us-west.aws.acme".into(), links);
        assert_eq!(
            chain.text(),
            "shops/acme  us-west.aws.acme\n  BROKEN  client certificates  db's ended 2026-11-01 00:00:00Z → renew it\n  \
             ?       front door           nobody was asked → ask\n  broken at: client certificates\n"
        );
        chain = Chain::new("acme", "shops", chain.vhost, chain.links[1..].to_vec());
        assert!(chain.text().ends_with("as far as could be seen\n"));
        chain = Chain::new("acme", "shops", chain.vhost, vec![Link::ok(BROKER, "is there")]);
        assert!(chain.text().ends_with("the chain holds\n"));
        assert_eq!(Link::worst(ALERTS, vec![]), None);
    }
}
