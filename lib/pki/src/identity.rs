//! Who somebody is: SPIFFE IDs such as `spiffe://kinetic.local/customers/acme/clients/web`.

use std::{fmt, ops::Deref, str::FromStr};

use kinetic_api::resources::Name;

/// A SPIFFE ID of ours (SPIFFE-ID specification, section 2): whose word it is, and who is meant.
///
/// ```
/// use kinetic_pki::Identity;
/// let identity: Identity = "spiffe://kinetic.local/customers/acme/clients/web".parse().unwrap();
/// assert_eq!(identity.trust_domain.to_string(), "kinetic.local");
/// assert_eq!(identity.subject.customer().unwrap().to_string(), "acme");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The authority that vouches.
    pub trust_domain: TrustDomain,
    /// Who is meant.
    pub subject: Subject,
}

/// Who is meant: the path of a SPIFFE ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A class of machines that share a certificate: `/customers/acme/clients/web`.
    Client {
        /// Whose.
        customer: Name,
        /// The class.
        client: Name,
    },
    /// One machine, enrolled: `/customers/acme/clients/web/machines/web-1.acme.example`.
    Machine {
        /// Whose.
        customer: Name,
        /// Its class.
        client: Name,
        /// Itself.
        machine: MachineName,
    },
    /// One partition of a topology's analyzer: `/customers/acme/topologies/web/analyzers/0`.
    Analyzer {
        /// Whose.
        customer: Name,
        /// The topology that it runs.
        topology: Name,
        /// Its share of the work, from 0.
        partition: u8,
    },
    /// A person, or a console, that steers a customer's analyzers: `/customers/acme/control/NAME`.
    Control {
        /// Whose.
        customer: Name,
        /// The person or program.
        name: Name,
    },
    /// The front door: `/redirector`.
    Redirector,
    /// The alert service: `/alert`.
    Alert,
    /// The operator: `/operator`.
    Operator,
    /// The console: `/console`.
    Console,
}

impl Subject {
    /// The customer that it belongs to; none for Kinetic's own parts.
    #[must_use]
    pub const fn customer(&self) -> Option<&Name> {
        match self {
            Self::Client { customer, .. }
            | Self::Machine { customer, .. }
            | Self::Analyzer { customer, .. }
            | Self::Control { customer, .. } => Some(customer),
            Self::Redirector | Self::Alert | Self::Operator | Self::Console => None,
        }
    }

    /// What sort it is, in one word: `client`, `machine`, `analyzer`, `control`, `redirector`, `alert`, `operator`, `console`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Client { .. } => "client",
            Self::Machine { .. } => "machine",
            Self::Analyzer { .. } => "analyzer",
            Self::Control { .. } => "control",
            Self::Redirector => "redirector",
            Self::Alert => "alert",
            Self::Operator => "operator",
            Self::Console => "console",
        }
    }

    /// This subject as a trust domain vouches for it.
    #[must_use]
    pub const fn within(self, trust_domain: TrustDomain) -> Identity {
        Identity { trust_domain, subject: self }
    }
}

/// The SPIFFE ID's path, with its leading slash.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { customer, client } => write!(f, "/customers/{customer}/clients/{client}"),
            Self::Machine { customer, client, machine } => {
                write!(f, "/customers/{customer}/clients/{client}/machines/{machine}")
            }
            Self::Analyzer { customer, topology, partition } => {
                write!(f, "/customers/{customer}/topologies/{topology}/analyzers/{partition}")
            }
            Self::Control { customer, name } => write!(f, "/customers/{customer}/control/{name}"),
            Self::Redirector | Self::Alert | Self::Operator | Self::Console => write!(f, "/{}", self.kind()),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}{}", self.trust_domain, self.subject)
    }
}

/// A text that is no identity of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no identity: {reason}; write it like spiffe://kinetic.local/customers/acme/clients/web \
     (also …/machines/MACHINE, …/topologies/TOPOLOGY/analyzers/PARTITION, …/control/NAME, and /redirector, /alert, /operator, /console)"
)]
pub struct InvalidIdentity {
    text: String,
    reason: String,
}

impl FromStr for Identity {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|reason| InvalidIdentity { text: text.chars().take(300).collect(), reason })
    }
}

fn parse(text: &str) -> Result<Identity, String> {
    let rest = text.strip_prefix("spiffe://").ok_or("it does not begin with spiffe://")?;
    let (domain, path) = rest.split_once('/').ok_or("it has no path")?;
    let trust_domain = domain.parse().map_err(|error: InvalidTrustDomain| error.to_string())?;
    let name = |text: &str| text.parse::<Name>().map_err(|error| error.to_string());
    let subject = match path.split('/').collect::<Vec<_>>()[..] {
        ["customers", customer, "clients", client] => {
            Subject::Client { customer: name(customer)?, client: name(client)? }
        }
        ["customers", customer, "clients", client, "machines", machine] => Subject::Machine {
            customer: name(customer)?,
            client: name(client)?,
            machine: machine.parse().map_err(|error: InvalidMachineName| error.to_string())?,
        },
        ["customers", customer, "topologies", topology, "analyzers", partition] => Subject::Analyzer {
            customer: name(customer)?,
            topology: name(topology)?,
            partition: parse_partition(partition)?,
        },
        ["customers", customer, "control", person] => {
            Subject::Control { customer: name(customer)?, name: name(person)? }
        }
        ["redirector"] => Subject::Redirector,
        ["alert"] => Subject::Alert,
        ["operator"] => Subject::Operator,
        ["console"] => Subject::Console,
        _ => return Err("nothing of ours has this path".to_owned()),
    };
    Ok(Identity { trust_domain, subject })
}

/// One identity has one spelling: `+1` and `01` are none.
fn parse_partition(text: &str) -> Result<u8, String> {
    match text.parse::<u8>() {
        Ok(partition) if partition.to_string() == text => Ok(partition),
        _ => Err(format!("`{text}` is no partition, a number from 0 to 255")),
    }
}

/// The authority that vouches for identities (SPIFFE-ID specification, section 2.1): lower-case letters, digits, `.`, `-` and `_`, 255 at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(String);

/// A text that is no trust domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no trust domain: use a to z, 0 to 9, `.`, `-` and `_`, 255 characters at most, such as kinetic.local"
)]
pub struct InvalidTrustDomain(String);

impl FromStr for TrustDomain {
    type Err = InvalidTrustDomain;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b".-_".contains(&c);
        let valid = (1..=255).contains(&text.len()) && text.bytes().all(allowed);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTrustDomain(text.chars().take(80).collect()))
        }
    }
}

impl TrustDomain {
    /// The trust domain's own SPIFFE ID, which has no path: what an authority's certificate carries.
    #[must_use]
    pub fn id(&self) -> String {
        format!("spiffe://{self}")
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Deref for TrustDomain {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A machine's name: a DNS name (RFC 1123) in lower case, 253 characters at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MachineName(String);

/// A text that is no machine's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no machine's name: use a DNS name in lower case, 253 characters at most, such as web-1.acme.example"
)]
pub struct InvalidMachineName(String);

impl FromStr for MachineName {
    type Err = InvalidMachineName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() <= 253 && text.split('.').all(label) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidMachineName(text.chars().take(300).collect()))
        }
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Deref for MachineName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subjects() -> impl Strategy<Value = Subject> {
        let name = || "[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?".prop_map(|text| text.parse::<Name>().unwrap());
        let machine = "[a-z0-9]{1,63}(\\.[a-z]([-a-z0-9]{0,61}[a-z0-9])?){0,2}"
            .prop_map(|text| text.parse::<MachineName>().unwrap());
        prop_oneof![
            (name(), name()).prop_map(|(customer, client)| Subject::Client { customer, client }),
            (name(), name(), machine).prop_map(|(customer, client, machine)| Subject::Machine {
                customer,
                client,
                machine
            }),
            (name(), name(), any::<u8>()).prop_map(|(customer, topology, partition)| Subject::Analyzer {
                customer,
                topology,
                partition
            }),
            (name(), name()).prop_map(|(customer, name)| Subject::Control { customer, name }),
            Just(Subject::Redirector),
            Just(Subject::Alert),
            Just(Subject::Operator),
            Just(Subject::Console),
        ]
    }

    proptest! {
        #[test]
        fn display_round_trips(subject in subjects(), domain in "[a-z0-9._-]{1,255}") {
            let identity = subject.within(domain.parse().unwrap());
            prop_assert_eq!(identity.to_string().parse(), Ok(identity));
        }

        #[test]
        fn what_parses_has_one_spelling(
            subject in subjects(), at in any::<prop::sample::Index>(), cut in 0_usize..2, new in "[a-zA-Z0-9/.%+-]{0,2}"
        ) {
            let mut text = subject.within("kinetic.local".parse().unwrap()).to_string();
            let at = at.index(text.len());
            text.replace_range(at..at + cut, &new);
            if let Ok(identity) = text.parse::<Identity>() {
                prop_assert_eq!(identity.to_string(), text);
            }
        }

        #[test]
        fn never_panics(text in ".{0,80}") {
            let _ = text.parse::<Identity>();
        }
    }

    #[test]
    fn takes_what_the_design_names() {
        for path in [
            "/customers/acme/clients/web",
            "/customers/acme/clients/web/machines/web-1.acme.example",
            "/customers/acme/topologies/web/analyzers/0",
            "/customers/acme/control/ops",
            "/redirector",
            "/alert",
            "/operator",
            "/console",
        ] {
            let identity: Identity = format!("spiffe://kinetic.local{path}").parse().unwrap();
            assert_eq!(identity.subject.to_string(), path);
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "spiffe://",
            "spiffe://kinetic.local",
            "spiffe://kinetic.local/",
            "spiffe:///redirector",
            "SPIFFE://kinetic.local/redirector",
            "https://kinetic.local/redirector",
            "spiffe://Kinetic.local/redirector",
            "spiffe://kinetic.local:8081/redirector",
            "spiffe://user@kinetic.local/redirector",
            "spiffe://kinetic.local/redirector/",
            "spiffe://kinetic.local//redirector",
            "spiffe://kinetic.local/redirector?x",
            "spiffe://kinetic.local/redirector#x",
            "spiffe://kinetic.local/Redirector",
            "spiffe://kinetic.local/customers/acme",
            "spiffe://kinetic.local/customers/acme/clients/",
            "spiffe://kinetic.local/customers/../clients/web",
            "spiffe://kinetic.local/customers/a%63me/clients/web",
            "spiffe://kinetic.local/customers/acme/clients/web/machines/Web-1",
            "spiffe://kinetic.local/customers/acme/clients/web/machines/web..example",
            "spiffe://kinetic.local/customers/acme/topologies/web/analyzers/256",
            "spiffe://kinetic.local/customers/acme/topologies/web/analyzers/00",
            "spiffe://kinetic.local/customers/acme/topologies/web/analyzers/+1",
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        assert!("a".repeat(255).parse::<TrustDomain>().is_ok());
        assert!("a".repeat(256).parse::<TrustDomain>().is_err());
        let label = "a".repeat(63);
        let longest = [&label[..], &label, &label, &label[..61]].join(".");
        assert_eq!(longest.len(), 253);
        assert!(longest.parse::<MachineName>().is_ok());
        assert!(format!("{longest}a").parse::<MachineName>().is_err());
        assert!("a".repeat(64).parse::<MachineName>().is_err());
    }
}
