//! Who decides about a request, and what: pure. Facts in, decision out.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    time::Duration,
};

use kinetic_api::{
    machine::MachineSet,
    resources::{Customer, customer::EnrollmentPolicy},
};
use kinetic_pki::Serial;

/// How long a machine's certificate lives where its client class does not say: 30 days, as the shared ones do.
pub const LIFETIME: Duration = Duration::from_hours(720);

/// What the Customers say, by their names.
#[derive(Clone, Debug, Default)]
pub struct Rulebook(BTreeMap<String, Rules>);

/// What a Customer says about its machines.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    policy: EnrollmentPolicy,
    allow: MachineSet,
    deny: MachineSet,
    lifetimes: BTreeMap<String, Duration>,
    revoked: HashSet<Serial>,
}

impl Rulebook {
    /// Reads the Customers.
    #[must_use]
    pub fn of<'a>(customers: impl IntoIterator<Item = &'a Customer>) -> Self {
        let named =
            |customer: &Customer| (customer.metadata.name.clone().unwrap_or_default(), Rules::of(customer));
        Self(customers.into_iter().map(named).collect())
    }

    /// What a Customer says, if there is one.
    #[must_use]
    pub fn customer(&self, name: &str) -> Option<&Rules> {
        self.0.get(name)
    }
}

impl Rules {
    /// Reads a Customer. Without `enrollment` a person decides, as with `policy: Manual`.
    #[must_use]
    pub fn of(customer: &Customer) -> Self {
        let enrollment = customer.spec.enrollment.as_ref();
        let lifetime = |client: &kinetic_api::resources::customer::Client| {
            client.certificate.as_ref().map_or(LIFETIME, |certificate| certificate.lifetime.std())
        };
        Self {
            policy: enrollment.map(|enrollment| enrollment.policy).unwrap_or_default(),
            allow: enrollment.map(|enrollment| MachineSet::new(&enrollment.allow)).unwrap_or_default(),
            deny: enrollment.map(|enrollment| MachineSet::new(&enrollment.deny)).unwrap_or_default(),
            lifetimes: customer
                .spec
                .clients
                .iter()
                .map(|client| (client.name.to_string(), lifetime(client)))
                .collect(),
            revoked: customer.spec.revoked.iter().filter_map(|revoked| revoked.serial.parse().ok()).collect(),
        }
    }

    /// How long a certificate of this class lives; `None` if there is no such class.
    #[must_use]
    pub fn lifetime(&self, client: &str) -> Option<Duration> {
        self.lifetimes.get(client).copied()
    }

    /// What becomes of a token holder's request.
    #[must_use]
    pub fn decide(&self, client: &str, machine: &str, live: Live, approved: bool) -> Decision {
        decide(&Facts {
            class: self.lifetimes.contains_key(client),
            policy: self.policy,
            listing: self.listing(client, machine),
            live,
            approved,
        })
    }

    fn listing(&self, client: &str, machine: &str) -> Listing {
        if self.deny.contains(client, machine) {
            Listing::Denied
        } else if self.allow.contains(client, machine) {
            Listing::Allowed
        } else {
            Listing::Unknown
        }
    }

    /// What becomes of a renewal by the certificate with this serial number. The policy is about new machines: it does not stop a renewal.
    #[must_use]
    pub fn renew(&self, client: &str, machine: &str, serial: &Serial) -> Decision {
        if self.deny.contains(client, machine) {
            Decision::Deny(Denial::DenyList)
        } else if self.revoked.contains(serial) {
            Decision::Deny(Denial::Revoked)
        } else if !self.lifetimes.contains_key(client) {
            Decision::Deny(Denial::NoClass)
        } else {
            Decision::Issue(By::Renewal)
        }
    }
}

/// What a decision follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The Customer has the client class.
    pub class: bool,
    /// Who decides.
    pub policy: EnrollmentPolicy,
    /// What the Customer's lists say of the machine.
    pub listing: Listing,
    /// Whether the machine has a certificate.
    pub live: Live,
    /// A person said yes to this very request.
    pub approved: bool,
}

/// What a Customer's lists say of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// It is on the deny-list, be it on the other one, too.
    Denied,
    /// It is on the allow-list.
    Allowed,
    /// Nothing.
    Unknown,
}

/// Whether a machine has a certificate that has not run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// None.
    None,
    /// One for the key that asks.
    SameKey,
    /// One, but for other keys only.
    OtherKey,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It gets a certificate.
    Issue(By),
    /// It gets the certificate that there is already.
    Again,
    /// A person must look at it.
    Wait(Wait),
    /// It is refused.
    Deny(Denial),
}

/// Who said yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A person.
    Person,
    /// The Customer's list.
    AllowList,
    /// The certificate that is renewed.
    Renewal,
}

/// Why a person must look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// There is no such Customer (yet).
    NoCustomer,
    /// The Customer has no such client class (yet).
    NoClass,
    /// The machine has a certificate for another key.
    SecondKey,
    /// The machine is not on the list.
    NotListed,
    /// The policy wants a person.
    Manual,
}

/// Why it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The machine is on the deny-list.
    DenyList,
    /// The policy refuses everybody.
    Policy,
    /// The certificate was revoked.
    Revoked,
    /// The client class is gone.
    NoClass,
}

/// What becomes of a token holder's request. The deny-list comes first, before what a person said; the allow-list comes last.
#[must_use]
pub fn decide(facts: &Facts) -> Decision {
    match *facts {
        Facts { listing: Listing::Denied, .. } => Decision::Deny(Denial::DenyList),
        Facts { policy: EnrollmentPolicy::Deny, .. } => Decision::Deny(Denial::Policy),
        Facts { class: false, .. } => Decision::Wait(Wait::NoClass),
        Facts { live: Live::SameKey, .. } => Decision::Again,
        Facts { approved: true, .. } => Decision::Issue(By::Person),
        Facts { live: Live::OtherKey, .. } => Decision::Wait(Wait::SecondKey),
        Facts { policy: EnrollmentPolicy::Manual, .. } => Decision::Wait(Wait::Manual),
        Facts { listing: Listing::Allowed, .. } => Decision::Issue(By::AllowList),
        Facts { listing: Listing::Unknown, .. } => Decision::Wait(Wait::NotListed),
    }
}

/// What the resource's `reason` says.
impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCustomer => "there is no such Customer: create it, or let the request run out",
            Self::NoClass => {
                "the Customer has no such client class: add it under spec.clients, or deny the request"
            }
            Self::SecondKey => {
                "waits for a person: this machine has a certificate for another key; is it the same machine?"
            }
            Self::NotListed => "waits for a person: the machine is not on the Customer's enrollment.allow",
            Self::Manual => "waits for a person: the Customer's enrollment.policy is Manual",
        })
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DenyList => "the machine is on the Customer's enrollment.deny",
            Self::Policy => "the Customer's enrollment.policy is Deny",
            Self::Revoked => {
                "the certificate that was to be renewed is revoked: enrol with a new key and a token"
            }
            Self::NoClass => "the Customer has no such client class any more",
        })
    }
}

impl By {
    /// What `decidedBy` says, unless a person is to be named.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::AllowList => "allow-list",
            Self::Renewal => "renewal",
        }
    }
}

impl Denial {
    /// What `decidedBy` says.
    #[must_use]
    pub const fn by(self) -> &'static str {
        match self {
            Self::DenyList => "deny-list",
            Self::Policy => "policy",
            Self::Revoked => "revoked",
            Self::NoClass => "clients",
        }
    }
}

#[cfg(test)]
mod tests;
