//! Where the broker is, and as whom to come.

use crate::BusError;
use lapin::{
    ConnectionProperties,
    types::ShortString,
    uri::{AMQPScheme, AMQPUri, SASLMechanism},
};
use std::{fmt, sync::Arc};

/// Seconds after which a silent peer is dead; RabbitMQ's own proposal is 60.
const HEARTBEAT: u16 = 20;

/// Gives the TLS configuration for the next connection, so that a rotated certificate or trust is used from then on.
pub type TlsSource = Arc<dyn Fn() -> Arc<rustls::ClientConfig> + Send + Sync>;

/// How to reach one vhost of a broker.
#[derive(Clone)]
pub struct AmqpConfig {
    pub(super) uri: AMQPUri,
    pub(super) tls: Option<TlsSource>,
    /// The first connection, too, may be to a broker that has just started.
    pub(super) settles_at_first: bool,
    /// Objects are somebody else's to make.
    pub(super) checks: bool,
    connection_name: String,
    client_properties: Vec<(String, String)>,
}

/// Broker, vhost and user, for errors that say where.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) broker: String,
    pub(super) vhost: String,
    pub(super) user: String,
}

impl AmqpConfig {
    /// `uri` is `amqp://user:password@host:port` (or `amqps://`); `vhost` is the vhost, whatever the path of `uri` says.
    pub fn new(uri: &str, vhost: &str) -> Result<Self, BusError> {
        let mut parsed: AMQPUri = uri.parse().map_err(|reason| invalid(uri, reason))?;
        short("the vhost's name", vhost)?;
        vhost.clone_into(&mut parsed.vhost);
        parsed.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self {
            uri: parsed,
            tls: None,
            settles_at_first: false,
            checks: false,
            connection_name: "kinetic".to_owned(),
            client_properties: Vec::new(),
        })
    }

    /// Comes over TLS with the certificate that `tls` presents, and as whom that says (SASL EXTERNAL): user and password are not sent.
    /// The server's certificate must name the host of the address.
    #[must_use]
    pub fn with_identity(mut self, tls: TlsSource) -> Self {
        self.uri.scheme = AMQPScheme::AMQPS;
        self.uri.query.auth_mechanism = Some(SASLMechanism::External);
        // Not sent; logs and errors name it.
        "(certificate)".clone_into(&mut self.uri.authority.userinfo.username);
        self.tls = Some(tls);
        self
    }

    /// For a publisher that may have started together with the broker: on its first connection, too, messages that go nowhere are tried again
    /// for 15 seconds, one at a time until one arrives.
    #[must_use]
    pub fn settling_at_first(mut self) -> Self {
        self.settles_at_first = true;
        self
    }

    /// Makes nothing: declaring checks that exchanges and queues are there (AMQP 0-9-1's `passive`), and waits until somebody else has
    /// made them. Bindings cannot be checked.
    #[must_use]
    pub fn checking(mut self) -> Self {
        self.checks = true;
        self
    }

    /// Frames of at most so many bytes (at least 4,096). The client keeps 32 of them for each direction: RabbitMQ's 128 KiB cost 8 MiB.
    #[must_use]
    pub fn with_frame_max(mut self, bytes: u32) -> Self {
        self.uri.query.frame_max = Some(bytes);
        self
    }

    /// The name by which the broker's tools show the connection.
    #[must_use]
    pub fn with_connection_name(mut self, name: impl Into<String>) -> Self {
        self.connection_name = name.into();
        self
    }

    /// A further entry of the handshake's `client-properties`.
    #[must_use]
    pub fn with_client_property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.client_properties.push((key.into(), value.into()));
        self
    }

    pub(super) fn properties(&self) -> Result<ConnectionProperties, BusError> {
        let mut properties =
            ConnectionProperties::default().with_connection_name(self.connection_name.as_str().into());
        for (key, value) in &self.client_properties {
            properties = properties.with_client_property(
                short("a client property's name", key.as_str())?,
                value.as_str().into(),
            );
        }
        Ok(properties)
    }

    pub(super) fn place(&self) -> Place {
        Place {
            broker: format!("{}:{}", self.uri.authority.host, self.uri.authority.port),
            vhost: self.uri.vhost.clone(),
            user: self.uri.authority.userinfo.username.clone(),
        }
    }
}

/// AMQP's short string, which carries 255 bytes.
pub(super) fn short(what: &'static str, text: impl Into<String>) -> Result<ShortString, BusError> {
    let text = text.into();
    let length = text.len();
    ShortString::try_new(text).map_err(|_| BusError::TooLong { what, length })
}

/// Without the password.
impl fmt::Debug for AmqpConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AmqpConfig")
            .field("place", &self.place())
            .field("connection_name", &self.connection_name)
            .field("client_properties", &self.client_properties)
            .finish_non_exhaustive()
    }
}

/// The error for an address that does not parse, without what may be its password.
fn invalid(uri: &str, reason: String) -> BusError {
    let host = uri.rsplit_once('@').map_or(uri, |(_, host)| host);
    let reason = if reason.contains(uri) { "it has no host".to_owned() } else { reason };
    BusError::InvalidUri { uri: host.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::{AmqpConfig, BusError};

    #[test]
    fn the_vhost_given_wins_over_the_path() {
        let config = AmqpConfig::new("amqp://me:secret@broker:5673/other", "us-west.aws.acme").unwrap();
        let place = config.place();
        assert_eq!((place.broker.as_str(), place.vhost.as_str()), ("broker:5673", "us-west.aws.acme"));
        assert_eq!(place.user, "me");
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn a_wrong_address_is_told_without_its_password() {
        for uri in ["http://me:secret@broker:5673", "me:secret@broker", "amqp://me:secret@broker:port"] {
            let error = AmqpConfig::new(uri, "/").unwrap_err();
            assert!(matches!(error, BusError::InvalidUri { .. }), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
