//! Why somebody is not let in, or not any more: the reply code, a text that helps, and a counter.

use crate::amqp::{Code, Malformed, frame::FrameError};

/// Why somebody is not let in, or not any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither certificate nor key.
    #[error(
        "no client certificate: connect with one, or with PLAIN, user CUSTOMER/CLIENT and its API key as password"
    )]
    NoIdentity,
    /// A certificate that names nobody.
    #[error("{0}")]
    Certificate(String),
    /// Another trust domain's certificate.
    #[error("the certificate is of trust domain {0}, which is not ours")]
    ForeignTrustDomain(String),
    /// The certificate's identity is none that speaks AMQP here.
    #[error("{0} has nothing to do on a broker")]
    NoRole(String),
    /// There is no such customer, or it is not served here.
    #[error("customer {0} is not served here: is it registered, and is this its region's address?")]
    UnknownCustomer(String),
    /// The customer has no such class of machines.
    #[error("customer {customer} has no client {client}: add it to spec.clients")]
    UnknownClient {
        /// Whose.
        customer: String,
        /// The class.
        client: String,
    },
    /// The customer has no such topology, or it has fewer partitions.
    #[error("customer {customer} has no topology {topology} with a partition {partition}")]
    UnknownAnalyzer {
        /// Whose.
        customer: String,
        /// The topology.
        topology: String,
        /// The share of the work.
        partition: u8,
    },
    /// The certificate was revoked.
    #[error("the certificate with serial {0} is revoked")]
    Revoked(String),
    /// The machine is kept out.
    #[error("machine {0} is denied by spec.enrollment.deny")]
    Denied(String),
    /// The certificate has run out.
    #[error("the certificate ran out at {0}: renew it")]
    Expired(String),
    /// The customer is held up by an operator.
    #[error("customer {0} is disconnected by its operator")]
    Disconnected(String),
    /// SASL named somebody else than the certificate.
    #[error("the certificate is {identity}'s, the user is {user:?}: name the client, or nobody")]
    OtherUser {
        /// By the certificate.
        identity: String,
        /// By SASL.
        user: String,
    },
    /// Not a mechanism that was offered.
    #[error("the mechanism {0:?} is not offered here: EXTERNAL or PLAIN")]
    Mechanism(String),
    /// A wrong API key, or a client that has none.
    #[error("user {0:?}: no such client, it has no API key, or the key is wrong")]
    ApiKey(String),
    /// Client properties that claim what the certificate does not say.
    #[error("the client property {property} says {claimed:?}, the certificate {certified:?}")]
    Claim {
        /// `kinetic.role` and the like.
        property: &'static str,
        /// By the client.
        claimed: String,
        /// By the certificate.
        certified: String,
    },
    /// A vhost that is not the identity's.
    #[error("vhost {asked:?} is refused to {identity}{}", theirs.as_ref().map(|vhost| format!(": its own is {vhost:?}")).unwrap_or_default())]
    Vhost {
        /// As asked for.
        asked: String,
        /// Who asked.
        identity: String,
        /// The one that it may open, if it is only one.
        theirs: Option<String>,
    },
    /// As many connections as the customer may have.
    #[error("customer {customer} has {limit} connections, as many as spec.limits.connections allows")]
    Connections {
        /// Whose.
        customer: String,
        /// At a time.
        limit: u32,
    },
    /// More new connections than the customer may open.
    #[error(
        "customer {customer} opens connections too fast: {limit} a second are allowed; try again with back-off"
    )]
    ConnectionRate {
        /// Whose.
        customer: String,
        /// A second.
        limit: u32,
    },
    /// No node of the customer's broker answers.
    #[error("the broker {0} cannot be reached now: try again")]
    BrokerAway(String),
    /// The broker does not let us in, or not so.
    #[error("the broker {broker} refused us: {reason}")]
    BrokerRefused {
        /// Its name.
        broker: String,
        /// What it said.
        reason: String,
    },
    /// Bytes that are no frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame that cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A method that has no place here.
    #[error("method {0}.{1} is not expected here")]
    Unexpected(u16, u16),
    /// A limit beyond what Tune offered.
    #[error("TuneOk asks for more than Tune offered: frame-max {frame_max}, channel-max {channel_max}")]
    Tune {
        /// As asked for.
        frame_max: u32,
        /// As asked for.
        channel_max: u16,
    },
    /// Not AMQP 0-9-1.
    #[error("not AMQP 0-9-1")]
    Protocol,
    /// The handshake took too long.
    #[error("the handshake took longer than {0} s")]
    Slow(u64),
}

impl Refusal {
    /// What the connection is closed with (specification 1.2).
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Expired(_) | Self::Disconnected(_) | Self::BrokerAway(_) | Self::Slow(_) => {
                Code::ConnectionForced
            }
            Self::Vhost { .. }
            | Self::Connections { .. }
            | Self::ConnectionRate { .. }
            | Self::Tune { .. } => Code::NotAllowed,
            Self::BrokerRefused { .. } => Code::InternalError,
            Self::Frame(error) => error.code(),
            Self::Malformed(Malformed::Method(..)) | Self::Unexpected(..) => Code::CommandInvalid,
            Self::Malformed(_) => Code::SyntaxError,
            _ => Code::AccessRefused,
        }
    }

    /// The `reason` that it is counted under.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoIdentity => "no_identity",
            Self::Certificate(_) => "certificate",
            Self::ForeignTrustDomain(_) => "foreign_trust_domain",
            Self::NoRole(_) => "no_role",
            Self::UnknownCustomer(_) => "unknown_customer",
            Self::UnknownClient { .. } => "unknown_client",
            Self::UnknownAnalyzer { .. } => "unknown_analyzer",
            Self::Revoked(_) => "revoked",
            Self::Denied(_) => "denied",
            Self::Expired(_) => "expired",
            Self::Disconnected(_) => "disconnected",
            Self::OtherUser { .. } => "other_user",
            Self::Mechanism(_) => "mechanism",
            Self::ApiKey(_) => "api_key",
            Self::Claim { .. } => "claim",
            Self::Vhost { .. } => "vhost",
            Self::Connections { .. } => "connections",
            Self::ConnectionRate { .. } => "connection_rate",
            Self::BrokerAway(_) => "broker_away",
            Self::BrokerRefused { .. } => "broker_refused",
            Self::Frame(_) => "frame",
            Self::Malformed(_) => "malformed",
            Self::Unexpected(..) => "unexpected",
            Self::Tune { .. } => "tune",
            Self::Protocol => "protocol",
            Self::Slow(_) => "slow",
        }
    }
}
