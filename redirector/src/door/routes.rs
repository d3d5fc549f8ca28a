//! Which customer's vhost lies on which broker, and who may go there. Pure: made anew whenever resources or placements change.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use kinetic_api::{
    machine::MachineSet,
    resources::{Customer, Topology, customer::Limits},
    role::Role,
};
use kinetic_pki::{Identity, Peer, Serial, Subject};

use super::{api_keys::ApiKeys, refusal::Refusal};

/// All that is served here.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    trust_domain: String,
    customers: HashMap<String, Arc<CustomerRoute>>,
    /// The same by vhost.
    vhosts: HashMap<String, String>,
}

/// The way to a customer's vhost.
#[derive(Clone, Debug)]
pub struct CustomerRoute {
    /// The customer.
    pub name: String,
    /// Its vhost.
    pub vhost: String,
    /// The name of the broker cluster that holds it.
    pub broker: String,
    /// What it may use.
    pub limits: Limits,
    /// Classes of machines, and the profile of each.
    clients: BTreeMap<String, String>,
    /// Topologies, and the number of partitions of each.
    topologies: BTreeMap<String, u32>,
    /// Certificates.
    revoked: HashSet<Serial>,
    /// Machines.
    denied: MachineSet,
}

/// Somebody who may come in, once it is known to which customer.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Where to.
    pub customer: Arc<CustomerRoute>,
    /// As what.
    pub role: Role,
}

/// Who somebody is, as far as the front door asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By certificate.
    Certified(Box<Peer>),
    /// By an API key.
    Key {
        /// Whose.
        customer: String,
        /// The class.
        client: String,
        /// The key's hash: another key is another somebody.
        hash: [u8; 32],
    },
}

impl Who {
    /// For people and logs: a SPIFFE ID, or `CUSTOMER/CLIENT`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Certified(peer) => peer.identity.to_string(),
            Self::Key { customer, client, .. } => format!("{customer}/{client}"),
        }
    }
}

/// A placement that routes are made for: region, provider, and the names of its broker clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementBrokers {
    /// `us-west`
    pub region: String,
    /// `aws`
    pub provider: String,
    /// The first one takes customers that name none.
    pub brokers: Vec<String>,
}

impl Routes {
    /// Makes the routes. A customer whose placement is not served here is left out.
    #[must_use]
    pub fn new<'a>(
        trust_domain: &str,
        placements: &[PlacementBrokers],
        customers: impl IntoIterator<Item = &'a Customer>,
        topologies: impl IntoIterator<Item = &'a Topology>,
    ) -> Self {
        let mut of_customer: HashMap<&str, BTreeMap<String, u32>> = HashMap::new();
        for topology in topologies {
            let name = topology.metadata.name.clone().unwrap_or_default();
            let partitions = topology.spec.analyzer.partitions;
            of_customer.entry(&topology.spec.customer).or_default().insert(name, partitions);
        }
        let mut routes = Self { trust_domain: trust_domain.to_owned(), ..Self::default() };
        for customer in customers {
            let spec = &customer.spec;
            let here = |p: &&PlacementBrokers| *p.region == *spec.region && *p.provider == *spec.provider;
            let Some(placement) = placements.iter().find(here) else { continue };
            let assigned = customer.status.as_ref().and_then(|status| status.broker.as_ref());
            let Some(broker) =
                assigned.filter(|b| placement.brokers.contains(b)).or(placement.brokers.first())
            else {
                continue;
            };
            let name = customer.metadata.name.clone().unwrap_or_default();
            let denied = spec.enrollment.as_ref().map(|enrollment| MachineSet::new(&enrollment.deny));
            let route = CustomerRoute {
                vhost: customer.vhost(),
                broker: broker.clone(),
                limits: spec.limits.clone(),
                clients: spec.clients.iter().map(|c| (c.name.to_string(), c.profile.to_string())).collect(),
                topologies: of_customer.remove(name.as_str()).unwrap_or_default(),
                revoked: spec.revoked.iter().filter_map(|revoked| revoked.serial.parse().ok()).collect(),
                denied: denied.unwrap_or_default(),
                name: name.clone(),
            };
            routes.vhosts.insert(route.vhost.clone(), name.clone());
            routes.customers.insert(name, Arc::new(route));
        }
        routes
    }

    /// The way to a customer.
    #[must_use]
    pub fn customer(&self, name: &str) -> Option<&Arc<CustomerRoute>> {
        self.customers.get(name)
    }

    /// All ways.
    pub fn customers(&self) -> impl Iterator<Item = &Arc<CustomerRoute>> {
        self.customers.values()
    }

    /// The customer whose vhost this is.
    #[must_use]
    pub fn by_vhost(&self, vhost: &str) -> Option<&Arc<CustomerRoute>> {
        self.customers.get(self.vhosts.get(vhost)?)
    }

    /// Whether a certificate's holder is still somebody here, and if it is a customer's, where it belongs: the certificate is of our trust domain
    /// and not revoked; customer, client class, machine and analyzer are not taken out. Asked wherever a certificate counts, by AMQP or HTTPS.
    ///
    /// Redirector, alert, operator and console belong to no customer, and no customer's list can revoke their certificates.
    pub fn knows(&self, peer: &Peer) -> Result<Option<Admission>, Refusal> {
        let Identity { trust_domain, subject } = &peer.identity;
        if trust_domain.to_string() != self.trust_domain {
            return Err(Refusal::ForeignTrustDomain(trust_domain.to_string()));
        }
        let Some(customer) = subject.customer() else { return Ok(None) };
        let Some(route) = self.customers.get(&**customer) else {
            return Err(Refusal::UnknownCustomer(customer.to_string()));
        };
        if route.revoked.contains(&peer.serial) {
            return Err(Refusal::Revoked(peer.serial.to_string()));
        }
        let role = match subject {
            Subject::Client { client, .. } => route.client(client)?,
            Subject::Machine { client, machine, .. } => {
                if route.denied.contains(client, machine) {
                    return Err(Refusal::Denied(machine.to_string()));
                }
                route.client(client)?
            }
            Subject::Analyzer { topology, partition, .. } => {
                if route
                    .topologies
                    .get(&**topology)
                    .is_none_or(|partitions| u32::from(*partition) >= *partitions)
                {
                    return Err(Refusal::UnknownAnalyzer {
                        customer: customer.to_string(),
                        topology: topology.to_string(),
                        partition: *partition,
                    });
                }
                Role::Analyzer
            }
            Subject::Control { .. } => Role::Control,
            Subject::Redirector | Subject::Alert | Subject::Operator | Subject::Console => return Ok(None),
        };
        Ok(Some(Admission { customer: Arc::clone(route), role }))
    }

    /// Whether a certificate's holder may come in at all: None if that takes the vhost's name, too, as for those that serve all customers.
    pub fn admit(&self, peer: &Peer) -> Result<Option<Admission>, Refusal> {
        match self.knows(peer)? {
            None if peer.identity.subject != Subject::Alert => {
                Err(Refusal::NoRole(peer.identity.to_string()))
            }
            known => Ok(known),
        }
    }

    /// Lets somebody in who serves all customers, to this one's vhost.
    pub fn admit_to(&self, peer: &Peer, vhost: &str) -> Result<Admission, Refusal> {
        match self.admit(peer)? {
            Some(admission) => Ok(admission),
            None => match self.by_vhost(vhost) {
                Some(route) => Ok(Admission { customer: Arc::clone(route), role: Role::Alert }),
                None => Err(Refusal::Vhost {
                    asked: vhost.to_owned(),
                    identity: peer.identity.to_string(),
                    theirs: None,
                }),
            },
        }
    }

    /// Lets the holder of an API key in. Who is wrong is not told whether the client exists.
    pub fn admit_key(&self, user: &str, key: &[u8], keys: &ApiKeys) -> Result<(Who, Admission), Refusal> {
        let wrong = || Refusal::ApiKey(user.to_owned());
        let (customer, client) = user.split_once('/').ok_or_else(wrong)?;
        let hash = keys.check(customer, client, key).ok_or_else(wrong)?;
        let route = self.customers.get(customer).ok_or_else(wrong)?;
        let role = route.client(client).map_err(|_| wrong())?;
        let who = Who::Key { customer: customer.to_owned(), client: client.to_owned(), hash };
        Ok((who, Admission { customer: Arc::clone(route), role }))
    }

    /// Whether somebody who came in by `vhost` may stay, now that routes or keys have changed.
    pub fn still(&self, who: &Who, before: &Admission, keys: &ApiKeys) -> Result<Admission, Refusal> {
        let now = match who {
            Who::Certified(peer) => self.admit_to(peer, &before.customer.vhost)?,
            Who::Key { customer, client, hash } => {
                let wrong = || Refusal::ApiKey(who.name());
                let route = self.customers.get(customer).ok_or_else(wrong)?;
                if keys.hash(customer, client) != Some(hash) {
                    return Err(wrong());
                }
                Admission { customer: Arc::clone(route), role: route.client(client)? }
            }
        };
        let same = now.role == before.role
            && now.customer.vhost == before.customer.vhost
            && now.customer.broker == before.customer.broker;
        if same { Ok(now) } else { Err(Refusal::Disconnected(before.customer.name.clone())) }
    }
}

impl CustomerRoute {
    fn client(&self, client: &str) -> Result<Role, Refusal> {
        match self.clients.get(client) {
            Some(profile) => Ok(Role::Client { client: client.to_owned(), profile: profile.clone() }),
            None => Err(Refusal::UnknownClient { customer: self.name.clone(), client: client.to_owned() }),
        }
    }
}
