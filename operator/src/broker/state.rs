//! What a broker holds, as plain data, and what can be changed of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use kinetic_api::role::Permissions;
use serde_json::Value;

/// Everything of a broker that the operator looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerState {
    /// The vhosts, by name.
    pub vhosts: BTreeMap<String, Vhost>,
    /// The users' password hashes, by name.
    pub users: BTreeMap<String, String>,
}

/// A vhost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vhost {
    /// What it says of itself: whose it is.
    pub description: String,
    /// Limits, such as `max-connections`.
    pub limits: BTreeMap<String, i64>,
    /// What users may touch.
    pub permissions: BTreeMap<String, Permissions>,
    /// Which keys (user, exchange) may be used with: write and read.
    pub topic_permissions: BTreeMap<(String, String), (String, String)>,
    /// Exchanges' types, by name.
    pub exchanges: BTreeMap<String, String>,
    /// Queues' arguments, by name.
    pub queues: BTreeMap<String, BTreeMap<String, Value>>,
    /// From exchanges to queues.
    pub bindings: BTreeSet<Binding>,
    /// Policies, by name.
    pub policies: BTreeMap<String, Policy>,
}

/// A queue's interest in an exchange's messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    /// The exchange.
    pub exchange: String,
    /// The queue.
    pub queue: String,
    /// The pattern.
    pub key: String,
}

/// Settings of the queues that a pattern fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A regular expression of queues' names.
    pub pattern: String,
    /// The highest wins.
    pub priority: i64,
    /// The settings.
    pub definition: BTreeMap<String, Value>,
}

/// One call that changes something. None of them harms if it is made twice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named as what it changes, its fields as what they are")]
pub enum Change {
    PutVhost { vhost: String, description: String },
    DeleteVhost { vhost: String },
    PutLimit { vhost: String, limit: String, value: i64 },
    PutUser { user: String, password_hash: String },
    DeleteUser { user: String },
    PutPermissions { vhost: String, user: String, permissions: Permissions },
    PutTopicPermission { vhost: String, user: String, exchange: String, write: String, read: String },
    PutExchange { vhost: String, exchange: String, kind: String },
    PutQueue { vhost: String, queue: String, arguments: BTreeMap<String, Value> },
    DeleteQueue { vhost: String, queue: String },
    Bind { vhost: String, binding: Binding },
    Unbind { vhost: String, binding: Binding },
    PutPolicy { vhost: String, name: String, policy: Policy },
    DeletePolicy { vhost: String, name: String },
}

impl BrokerState {
    /// What is there once a change was carried out.
    pub fn apply(&mut self, change: &Change) {
        let change = change.clone();
        match change {
            Change::PutVhost { vhost, description } => {
                self.vhosts.entry(vhost).or_default().description = description;
            }
            Change::DeleteVhost { vhost } => drop(self.vhosts.remove(&vhost)),
            Change::PutUser { user, password_hash } => drop(self.users.insert(user, password_hash)),
            Change::DeleteUser { user } => {
                self.users.remove(&user);
                for vhost in self.vhosts.values_mut() {
                    vhost.permissions.remove(&user);
                    vhost.topic_permissions.retain(|(of, _), _| *of != user);
                }
            }
            Change::PutLimit { vhost, limit, value } => {
                self.within(vhost, |v| _ = v.limits.insert(limit, value));
            }
            Change::PutPermissions { vhost, user, permissions } => {
                self.within(vhost, |v| _ = v.permissions.insert(user, permissions));
            }
            Change::PutTopicPermission { vhost, user, exchange, write, read } => {
                self.within(vhost, |v| _ = v.topic_permissions.insert((user, exchange), (write, read)));
            }
            Change::PutExchange { vhost, exchange, kind } => {
                self.within(vhost, |v| _ = v.exchanges.insert(exchange, kind));
            }
            Change::PutQueue { vhost, queue, arguments } => {
                self.within(vhost, |v| _ = v.queues.insert(queue, arguments));
            }
            Change::DeleteQueue { vhost, queue } => self.within(vhost, |v| {
                v.queues.remove(&queue);
                v.bindings.retain(|binding| binding.queue != queue);
            }),
            Change::Bind { vhost, binding } => self.within(vhost, |v| _ = v.bindings.insert(binding)),
            Change::Unbind { vhost, binding } => self.within(vhost, |v| _ = v.bindings.remove(&binding)),
            Change::PutPolicy { vhost, name, policy } => {
                self.within(vhost, |v| _ = v.policies.insert(name, policy));
            }
            Change::DeletePolicy { vhost, name } => self.within(vhost, |v| _ = v.policies.remove(&name)),
        }
    }

    fn within(&mut self, vhost: String, change: impl FnOnce(&mut Vhost)) {
        change(self.vhosts.entry(vhost).or_default());
    }
}

/// For the log: never a password.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PutVhost { vhost, .. } => write!(f, "vhost {vhost} made"),
            Self::DeleteVhost { vhost } => write!(f, "vhost {vhost} deleted"),
            Self::PutLimit { vhost, limit, value } => write!(f, "{vhost}: {limit} set to {value}"),
            Self::PutUser { user, .. } => write!(f, "user {user} set"),
            Self::DeleteUser { user } => write!(f, "user {user} deleted"),
            Self::PutPermissions { vhost, user, .. } => write!(f, "{vhost}: permissions of {user} set"),
            Self::PutTopicPermission { vhost, user, exchange, .. } => {
                write!(f, "{vhost}: keys of {user} at {exchange} set")
            }
            Self::PutExchange { vhost, exchange, .. } => write!(f, "{vhost}: exchange {exchange} made"),
            Self::PutQueue { vhost, queue, .. } => write!(f, "{vhost}: queue {queue} made"),
            Self::DeleteQueue { vhost, queue } => write!(f, "{vhost}: queue {queue} deleted"),
            Self::Bind { vhost, binding } => write!(f, "{vhost}: {} bound by {}", binding.queue, binding.key),
            Self::Unbind { vhost, binding } => {
                write!(f, "{vhost}: {} unbound from {}", binding.queue, binding.key)
            }
            Self::PutPolicy { vhost, name, .. } => write!(f, "{vhost}: policy {name} set"),
            Self::DeletePolicy { vhost, name } => write!(f, "{vhost}: policy {name} deleted"),
        }
    }
}
