//! What a Customer and a Topology want of a broker.

use std::{collections::BTreeMap, fmt};

use base64::prelude::*;
use kinetic_api::{
    plan::TopologyPlan,
    quantity::Bytes,
    resources::{Customer, customer::Limits},
    role::{Permissions, Role},
};
use kinetic_bus::{Argument, Declaration, ExchangeKind, QueueKind, needs};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::state::{Binding, Policy};

/// What should be in a vhost, and what there belongs to whoever wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The vhost.
    pub vhost: String,
    /// Whose it must be.
    pub owner: Owner,
    /// The vhost itself and who may come in; a Topology wants none of this.
    pub account: Option<Account>,
    /// Exchanges' types, by name.
    pub exchanges: BTreeMap<String, String>,
    /// Queues' arguments, by name.
    pub queues: BTreeMap<String, BTreeMap<String, Value>>,
    /// From exchanges to queues.
    pub bindings: Vec<Binding>,
    /// Policies, by name.
    pub policies: BTreeMap<String, Policy>,
    /// Queues and policies whose names begin so are of this owner alone: those that are not wanted are removed.
    pub ours: Option<String>,
}

/// A vhost's users and limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Connections at a time.
    pub limits: BTreeMap<String, i64>,
    /// The roles' users.
    pub users: Vec<User>,
    /// The operator's own user, who declares what is wanted.
    pub operator: String,
}

/// A role's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub name: String,
    /// The password, as RabbitMQ keeps it.
    pub password_hash: String,
    /// What it may touch.
    pub permissions: Permissions,
    /// Which keys it may use: exchange, write, read.
    pub topics: Vec<(String, String, String)>,
}

/// The Customer that a vhost belongs to. It stands in the vhost's description, for people too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The Customer's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// `kinetic.dev Customer shops/acme`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{}/{}", self.namespace, self.name)
    }
}

const MARK: &str = "kinetic.dev Customer ";

impl Owner {
    /// The owner that a vhost's description names, if it names one.
    #[must_use]
    pub fn of(description: &str) -> Option<Self> {
        let (namespace, name) = description.strip_prefix(MARK)?.split_once('/')?;
        Some(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// What the passwords of all roles follow from.
#[derive(Clone)]
pub struct MasterKey {
    /// The key.
    pub key: Vec<u8>,
    /// Another version is another password of every role.
    pub version: u32,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey(version {})", self.version)
    }
}

/// What a Customer wants. `operator` is the user that the operator comes as.
#[must_use]
pub fn customer(customer: &Customer, key: &MasterKey, operator: &str) -> Desired {
    let vhost = customer.vhost();
    let clients = customer
        .spec
        .clients
        .iter()
        .map(|client| Role::Client { client: client.name.to_string(), profile: client.profile.to_string() });
    let users = clients
        .chain([Role::Analyzer, Role::Alert, Role::Control])
        .map(|role| user(&role, &vhost, key))
        .collect();
    let account = Account {
        limits: BTreeMap::from([("max-connections".to_owned(), connections(&customer.spec.limits))]),
        users,
        operator: operator.to_owned(),
    };
    let mut desired = declared(&vhost, owner(customer), &[needs::customer()]);
    desired.account = Some(account);
    desired
}

/// What a Topology wants of its Customer's vhost.
#[must_use]
pub fn topology(customer: &Customer, plan: &TopologyPlan) -> Desired {
    let mut desired = declared(&customer.vhost(), owner(customer), &[needs::streams(plan)]);
    desired.ours = Some(streams_of(&plan.name));
    for source in &plan.sources {
        desired.policies.insert(
            source.stream.clone(),
            Policy {
                pattern: format!("^{}$", regex::escape(&source.stream)),
                priority: 100,
                definition: BTreeMap::from([
                    ("max-age".to_owned(), json!(format!("{}s", source.retention.age.std().as_secs()))),
                    ("max-length-bytes".to_owned(), json!(Bytes::get(source.retention.size))),
                ]),
            },
        );
    }
    desired
}

/// What is wanted of a vhost once a Topology has gone: nothing of its own.
#[must_use]
pub fn without_topology(vhost: &str, owner: Owner, topology: &str) -> Desired {
    Desired { ours: Some(streams_of(topology)), ..declared(vhost, owner, &[]) }
}

/// The Customer as an owner.
#[must_use]
pub fn owner(customer: &Customer) -> Owner {
    Owner {
        namespace: customer.metadata.namespace.clone().unwrap_or_default(),
        name: customer.metadata.name.clone().unwrap_or_default(),
    }
}

/// How the names of a Topology's streams begin. No name holds a dot, so it is no other's beginning.
fn streams_of(topology: &str) -> String {
    kinetic_api::names::stream(topology, "")
}

/// The customer's own, as the front door counts them, with room for each Topology's analyzers and what else is ours.
fn connections(limits: &Limits) -> i64 {
    i64::from(limits.connections) + 4 * i64::from(limits.topologies) + 100
}

fn user(role: &Role, vhost: &str, key: &MasterKey) -> User {
    let name = role.user(vhost);
    let password = role.password(&key.key, vhost, key.version);
    let topics = role
        .topic_permissions()
        .into_iter()
        .map(|topic| (topic.exchange.to_owned(), topic.write, topic.read))
        .collect();
    User { password_hash: password_hash(&name, &password), permissions: role.permissions(), topics, name }
}

/// RabbitMQ's `rabbit_password_hashing_sha256`: a salt of four bytes, and the SHA-256 of salt and password, in base64. The password is random, so that
/// the salt need not be: it follows from the name, and the hash of an unchanged password stays the same.
fn password_hash(user: &str, password: &str) -> String {
    let salt = &Sha256::digest(user.as_bytes())[..4];
    let hash = Sha256::new().chain_update(salt).chain_update(password.as_bytes()).finalize();
    BASE64_STANDARD.encode([salt, &hash[..]].concat())
}

fn declared(vhost: &str, owner: Owner, declarations: &[Declaration]) -> Desired {
    let mut desired = Desired {
        vhost: vhost.to_owned(),
        owner,
        account: None,
        exchanges: BTreeMap::new(),
        queues: BTreeMap::new(),
        bindings: Vec::new(),
        policies: BTreeMap::new(),
        ours: None,
    };
    for declaration in declarations {
        for exchange in &declaration.exchanges {
            desired.exchanges.insert(exchange.name.clone(), kind(exchange.kind).to_owned());
        }
        for queue in &declaration.queues {
            desired.queues.insert(queue.name.clone(), arguments(queue.kind));
        }
        desired.bindings.extend(declaration.bindings.iter().map(|binding| Binding {
            exchange: binding.exchange.clone(),
            queue: binding.queue.clone(),
            key: binding.routing_key.clone(),
        }));
    }
    desired
}

const fn kind(kind: ExchangeKind) -> &'static str {
    match kind {
        ExchangeKind::Topic => "topic",
        ExchangeKind::Direct => "direct",
        ExchangeKind::Fanout => "fanout",
    }
}

fn arguments(kind: QueueKind) -> BTreeMap<String, Value> {
    let json = |argument| match argument {
        Argument::Text(text) => json!(text),
        Argument::Integer(integer) => json!(integer),
    };
    kind.arguments().into_iter().map(|(name, argument)| (name.to_owned(), json(argument))).collect()
}
