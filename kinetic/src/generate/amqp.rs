//! Messages to a customer's vhost, as a client with AMQP of its own publishes them.

use std::time::Duration;

use bytes::Bytes;
use kinetic_api::names;
use kinetic_bus::{AmqpConfig, Bus, BusError, HeaderValue, Message, Publisher};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;

use super::{
    error::GenerateError,
    live::Out,
    scenario::{Plan, host_name},
};

/// A message holds what a host says in this time.
pub(super) const SLICE: Duration = Duration::from_millis(100);
/// Messages on the wire before the first is confirmed.
const WINDOW: usize = 1024;
/// How long the broker may take to answer first, and to confirm at the end.
const PATIENCE: Duration = Duration::from_secs(15);

/// A publisher of the customer's.
pub(super) struct Amqp {
    bus: Bus,
    publisher: Publisher,
    place: String,
    profile: String,
    hosts: Vec<String>,
    instance: Uuid,
    sent: u64,
}

impl Amqp {
    /// `url` is `amqp://user:password@host:port/vhost`.
    pub(super) async fn connect(url: &str, profile: String, plan: &Plan) -> Result<Self, GenerateError> {
        let (place, vhost) = place_and_vhost(url)?;
        let bus = Bus::amqp(AmqpConfig::new(url, &vhost)?.with_connection_name("kinetic generate"));
        bus.connected(PATIENCE).await?;
        let publisher = bus.publisher(WINDOW);
        let hosts = (0..plan.hosts).map(host_name).collect();
        Ok(Self { bus, publisher, place, profile, hosts, instance: Uuid::new_v4(), sent: 0 })
    }

    /// Broker and vhost, for people; no password.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Waits until everything is confirmed, and closes the connection.
    pub(super) async fn finish(self) -> Result<(), GenerateError> {
        let flushed = timeout(PATIENCE, self.publisher.flush()).await;
        let result = match flushed {
            Ok(Ok(())) => self.check_routed(),
            Ok(Err(error)) => Err(self.refused(error)),
            Err(_) => {
                Err(GenerateError::Unconfirmed { place: self.place.clone(), seconds: PATIENCE.as_secs() })
            }
        };
        self.bus.close().await;
        result
    }

    fn check_routed(&self) -> Result<(), GenerateError> {
        if self.publisher.unroutable() > 0 { Err(self.nobody()) } else { Ok(()) }
    }

    fn refused(&self, error: BusError) -> GenerateError {
        match error {
            BusError::NotFound { .. } => self.nobody(),
            other => other.into(),
        }
    }

    fn nobody(&self) -> GenerateError {
        GenerateError::Nobody { place: self.place.clone(), profile: self.profile.clone() }
    }
}

impl Out for Amqp {
    async fn send(&mut self, host: u32, lines: &[u8], at_ms: i64) -> Result<(), GenerateError> {
        let origin = &self.hosts[host as usize];
        let message = Message {
            routing_key: names::metrics("statsd", &self.profile, origin),
            headers: vec![
                (names::ORIGIN_HEADER.to_owned(), HeaderValue::Text(origin.clone())),
                (names::TIMESTAMP_HEADER.to_owned(), HeaderValue::Int(at_ms)),
            ],
            content_type: Some(names::STATSD_CONTENT_TYPE.to_owned()),
            message_id: Some(format!("{}-{}", self.instance, self.sent)),
            body: Bytes::copy_from_slice(lines.trim_ascii_end()),
            ..Message::default()
        };
        self.sent += 1;
        if let Err(error) = self.publisher.send(names::METRICS_EXCHANGE, message).await {
            return Err(self.refused(error));
        }
        self.check_routed()
    }

    fn sent(&self) -> u64 {
        self.sent
    }
}

/// Where the address leads to, for people, and the vhost that its path names (`/` without one).
fn place_and_vhost(url: &str) -> Result<(String, String), GenerateError> {
    let invalid = |reason: &str| GenerateError::AmqpUrl { reason: reason.to_owned() };
    let url = Url::parse(url).map_err(|error| invalid(&error.to_string()))?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| invalid("it names no host"))?;
    let path = url.path().trim_start_matches('/');
    let vhost = percent_decode_str(path).decode_utf8().map_err(|error| invalid(&error.to_string()))?;
    let vhost = if vhost.is_empty() { "/".to_owned() } else { vhost.into_owned() };
    let port = url.port().unwrap_or(if url.scheme() == "amqps" { 5671 } else { 5672 });
    Ok((format!("{host}:{port} vhost {vhost}"), vhost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_vhost() {
        let parsed = |url| place_and_vhost(url).unwrap();
        let acme = parsed("amqp://me:secret@broker:5673/us-west.aws.acme");
        assert_eq!(acme, ("broker:5673 vhost us-west.aws.acme".into(), "us-west.aws.acme".into()));
        for root in ["amqp://broker", "amqp://broker/", "amqp://broker:5672/%2f"] {
            assert_eq!(parsed(root), ("broker:5672 vhost /".into(), "/".into()), "{root}");
        }
    }

    #[test]
    fn a_wrong_address_says_how_to_write_it_and_keeps_its_password() {
        let error = place_and_vhost("me:secret@broker:port").unwrap_err().to_string();
        assert!(
            error.contains("amqp://user:password@host:port/vhost") && !error.contains("secret"),
            "{error}"
        );
    }
}
