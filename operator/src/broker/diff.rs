//! From what is there to what should be: pure.

use std::collections::BTreeSet;

use kinetic_api::role::Permissions;

use super::{
    desired::{Account, Desired, Owner},
    state::{BrokerState, Change, Vhost},
};

/// What it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// In the order in which they can be made.
    pub changes: Vec<Change>,
    /// What is there and cannot be changed, in a sentence each.
    pub conflicts: Vec<String>,
}

/// Whose a vhost is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// It is not there.
    Nobody,
    /// This Customer's.
    Owner,
    /// Another Customer's.
    Other(Owner),
    /// It is there, and says nothing of a Customer.
    Foreign,
}

/// Whose a vhost is, as this Customer sees it.
#[must_use]
pub fn holder(state: &BrokerState, vhost: &str, owner: &Owner) -> Holder {
    match state.vhosts.get(vhost).map(|vhost| Owner::of(&vhost.description)) {
        None => Holder::Nobody,
        Some(None) => Holder::Foreign,
        Some(Some(holder)) if holder == *owner => Holder::Owner,
        Some(Some(other)) => Holder::Other(other),
    }
}

/// What it takes to bring a broker to where it should be. A vhost that is not the owner's is not touched.
#[must_use]
pub fn difference(state: &BrokerState, desired: &Desired) -> Difference {
    let mut difference = Difference::default();
    let vhost = &desired.vhost;
    match holder(state, vhost, &desired.owner) {
        Holder::Other(other) => difference
            .conflicts
            .push(format!("the vhost {vhost} belongs to the Customer {}/{}", other.namespace, other.name)),
        Holder::Foreign => {
            difference.conflicts.push(format!("the vhost {vhost} is there and belongs to no Customer"));
        }
        // A Topology does not make its Customer's vhost.
        Holder::Nobody if desired.account.is_none() => {}
        Holder::Nobody | Holder::Owner => fill(state, desired, &mut difference),
    }
    difference
}

/// What it takes to remove a Customer: its users always, its vhost `with_data`. Nothing if the vhost is another's.
#[must_use]
pub fn removal(state: &BrokerState, vhost: &str, owner: &Owner, with_data: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    match holder(state, vhost, owner) {
        Holder::Owner if with_data => changes.push(Change::DeleteVhost { vhost: vhost.to_owned() }),
        Holder::Owner | Holder::Nobody => {}
        Holder::Other(_) | Holder::Foreign => return changes,
    }
    changes.extend(users_of(state, vhost).map(|user| Change::DeleteUser { user: user.clone() }));
    changes
}

/// The role users of a vhost: no vhost's name holds a slash.
fn users_of<'a>(state: &'a BrokerState, vhost: &str) -> impl Iterator<Item = &'a String> {
    let prefix = format!("{vhost}/");
    state.users.keys().filter(move |user| user.starts_with(&prefix))
}

fn fill(state: &BrokerState, desired: &Desired, difference: &mut Difference) {
    let nothing = Vhost::default();
    let there = state.vhosts.get(&desired.vhost).unwrap_or(&nothing);
    let vhost = || desired.vhost.clone();
    if let Some(account) = &desired.account {
        admit(state, desired, account, there, &mut difference.changes);
    }
    for (exchange, kind) in &desired.exchanges {
        match there.exchanges.get(exchange) {
            Some(is) if is == kind => {}
            Some(is) => difference.conflicts.push(format!(
                "the exchange {exchange} of {} is a {is} exchange, not {kind}: delete it, and it is made anew",
                desired.vhost
            )),
            None => difference.changes.push(Change::PutExchange { vhost: vhost(), exchange: exchange.clone(), kind: kind.clone() }),
        }
    }
    for (queue, arguments) in &desired.queues {
        match there.queues.get(queue) {
            Some(are) if arguments.get("x-queue-type") == are.get("x-queue-type") => {}
            Some(_) => difference.conflicts.push(format!(
                "the queue {queue} of {} is of another type than {}: delete it, and it is made anew",
                desired.vhost,
                arguments.get("x-queue-type").and_then(|kind| kind.as_str()).unwrap_or("classic")
            )),
            None => difference.changes.push(Change::PutQueue {
                vhost: vhost(),
                queue: queue.clone(),
                arguments: arguments.clone(),
            }),
        }
    }
    let wanted: BTreeSet<_> = desired.bindings.iter().collect();
    for binding in wanted.iter().filter(|binding| !there.bindings.contains(**binding)) {
        difference.changes.push(Change::Bind { vhost: vhost(), binding: (**binding).clone() });
    }
    for (name, policy) in
        desired.policies.iter().filter(|(name, policy)| there.policies.get(*name) != Some(policy))
    {
        difference.changes.push(Change::PutPolicy {
            vhost: vhost(),
            name: name.clone(),
            policy: policy.clone(),
        });
    }
    let Some(prefix) = &desired.ours else { return };
    let unwanted = |name: &str, wanted: bool| !wanted && name.starts_with(prefix.as_str());
    for binding in there.bindings.iter().filter(|binding| desired.queues.contains_key(&binding.queue)) {
        if unwanted(&binding.queue, wanted.contains(binding)) {
            difference.changes.push(Change::Unbind { vhost: vhost(), binding: binding.clone() });
        }
    }
    for queue in there.queues.keys().filter(|queue| unwanted(queue, desired.queues.contains_key(*queue))) {
        difference.changes.push(Change::DeleteQueue { vhost: vhost(), queue: queue.clone() });
    }
    for name in there.policies.keys().filter(|name| unwanted(name, desired.policies.contains_key(*name))) {
        difference.changes.push(Change::DeletePolicy { vhost: vhost(), name: name.clone() });
    }
}

/// The vhost itself, its limits and who may come in.
fn admit(
    state: &BrokerState,
    desired: &Desired,
    account: &Account,
    there: &Vhost,
    changes: &mut Vec<Change>,
) {
    let vhost = || desired.vhost.clone();
    if !state.vhosts.contains_key(&desired.vhost) {
        changes.push(Change::PutVhost { vhost: vhost(), description: desired.owner.to_string() });
    }
    for (limit, value) in &account.limits {
        if there.limits.get(limit) != Some(value) {
            changes.push(Change::PutLimit { vhost: vhost(), limit: limit.clone(), value: *value });
        }
    }
    let mut permit = |user: &str, permissions: &Permissions| {
        if there.permissions.get(user) != Some(permissions) {
            changes.push(Change::PutPermissions {
                vhost: vhost(),
                user: user.to_owned(),
                permissions: permissions.clone(),
            });
        }
    };
    let all = || r"^kinetic\.".to_owned();
    permit(&account.operator, &Permissions { configure: all(), write: all(), read: all() });
    for user in &account.users {
        if state.users.get(&user.name) != Some(&user.password_hash) {
            changes
                .push(Change::PutUser { user: user.name.clone(), password_hash: user.password_hash.clone() });
        }
        if there.permissions.get(&user.name) != Some(&user.permissions) {
            changes.push(Change::PutPermissions {
                vhost: vhost(),
                user: user.name.clone(),
                permissions: user.permissions.clone(),
            });
        }
        for (exchange, write, read) in &user.topics {
            let key = (user.name.clone(), exchange.clone());
            if there.topic_permissions.get(&key) != Some(&(write.clone(), read.clone())) {
                changes.push(Change::PutTopicPermission {
                    vhost: vhost(),
                    user: user.name.clone(),
                    exchange: exchange.clone(),
                    write: write.clone(),
                    read: read.clone(),
                });
            }
        }
    }
    for user in users_of(state, &desired.vhost)
        .filter(|user| account.users.iter().all(|wanted| wanted.name != **user))
    {
        changes.push(Change::DeleteUser { user: user.clone() });
    }
}

#[cfg(test)]
mod tests;
