//! Which of a placement's brokers holds a customer: pure.

use super::{
    desired::Owner,
    diff::{Holder, holder},
    state::BrokerState,
};

/// A broker that could hold a customer.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it holds.
    pub state: &'a BrokerState,
    /// So many customers at most.
    pub max_customers: usize,
}

/// Why no broker holds a customer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// Somebody else has it.
    #[error(
        "the vhost {vhost} on {broker} {holder}; choose another name, or let an administrator release it: set its description to `{release}`"
    )]
    VhostTaken {
        /// The vhost.
        vhost: String,
        /// Where it is.
        broker: String,
        /// Whose it is, as a predicate.
        holder: String,
        /// The description that hands it over.
        release: Owner,
    },
    /// All are full.
    #[error(
        "every broker of this placement holds its {max} customers: add a broker to the operator's configuration"
    )]
    Full {
        /// So many customers in all.
        max: usize,
    },
}

/// The broker that holds the vhost already, else the one that it was given to before, else the one with the fewest customers. A customer is never moved.
pub fn place<'a>(
    vhost: &str,
    owner: &Owner,
    before: Option<&str>,
    brokers: &[Candidate<'a>],
) -> Result<&'a str, NoPlace> {
    let taken = |broker: &Candidate<'_>, holder: String| NoPlace::VhostTaken {
        vhost: vhost.to_owned(),
        broker: broker.name.to_owned(),
        holder,
        release: owner.clone(),
    };
    let mut refused = None;
    for broker in brokers {
        match holder(broker.state, vhost, owner) {
            Holder::Owner => return Ok(broker.name),
            Holder::Nobody => {}
            Holder::Other(other) => {
                refused.get_or_insert(taken(
                    broker,
                    format!("belongs to the Customer {}/{}", other.namespace, other.name),
                ));
            }
            Holder::Foreign => {
                refused.get_or_insert(taken(broker, "is there and names no Customer".to_owned()));
            }
        }
    }
    if let Some(refused) = refused {
        return Err(refused);
    }
    if let Some(before) = brokers.iter().find(|broker| Some(broker.name) == before) {
        return Ok(before.name);
    }
    let customers = |broker: &Candidate<'_>| {
        broker.state.vhosts.values().filter(|vhost| Owner::of(&vhost.description).is_some()).count()
    };
    brokers
        .iter()
        .map(|broker| (customers(broker), broker))
        .filter(|(count, broker)| *count < broker.max_customers)
        .min_by_key(|(count, _)| *count)
        .map(|(_, broker)| broker.name)
        .ok_or(NoPlace::Full { max: brokers.iter().map(|broker| broker.max_customers).sum() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::state::Change;

    fn owner(name: &str) -> Owner {
        Owner { namespace: "shops".into(), name: name.into() }
    }

    fn holding(owners: &[&str]) -> BrokerState {
        let mut state = BrokerState::default();
        for name in owners {
            state.apply(&Change::PutVhost {
                vhost: format!("r.p.{name}"),
                description: owner(name).to_string(),
            });
        }
        state
    }

    #[test]
    fn the_emptiest_takes_a_new_one_and_keeps_it() {
        let (one, two) = (holding(&["a", "b"]), holding(&["c"]));
        let brokers = [
            Candidate { name: "one", state: &one, max_customers: 3 },
            Candidate { name: "two", state: &two, max_customers: 3 },
        ];
        assert_eq!(place("r.p.d", &owner("d"), None, &brokers), Ok("two"));
        assert_eq!(place("r.p.d", &owner("d"), Some("one"), &brokers), Ok("one"));
        assert_eq!(
            place("r.p.a", &owner("a"), Some("two"), &brokers),
            Ok("one"),
            "where it is counts more than what was said"
        );
    }

    #[test]
    fn what_is_anothers_or_nobodys_is_not_taken() {
        let mut one = holding(&["a"]);
        one.apply(&Change::PutVhost { vhost: "r.p.old".into(), description: "made by hand".into() });
        let brokers = [Candidate { name: "one", state: &one, max_customers: 9 }];
        let other = Owner { namespace: "other".into(), name: "a".into() };
        let error = place("r.p.a", &other, None, &brokers).unwrap_err().to_string();
        assert!(
            error.contains("belongs to the Customer shops/a")
                && error.contains("kinetic.dev Customer other/a"),
            "{error}"
        );
        let error = place("r.p.old", &owner("old"), None, &brokers).unwrap_err().to_string();
        assert!(error.contains("names no Customer"), "{error}");
    }

    #[test]
    fn a_full_placement_says_what_to_do() {
        let one = holding(&["a"]);
        let brokers = [Candidate { name: "one", state: &one, max_customers: 1 }];
        assert_eq!(place("r.p.b", &owner("b"), None, &brokers), Err(NoPlace::Full { max: 1 }));
        assert_eq!(place("r.p.a", &owner("a"), None, &brokers), Ok("one"), "who is in stays in");
    }
}
