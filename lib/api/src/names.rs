//! How things are called on a broker (DESIGN.md, "Messages").

/// The topic exchange where every client publishes; routing key `{type}.{profile}.{origin}`.
pub const METRICS_EXCHANGE: &str = "kinetic.metrics";
/// The topic exchange that analyzers publish findings to; routing key `{topology}.{analytic}`.
pub const ANOMALIES_EXCHANGE: &str = "kinetic.anomalies";
/// The quorum queue that the alert service takes findings from.
pub const ANOMALIES_QUEUE: &str = "kinetic.anomalies.alert";
/// The findings that wait for the alert service at most, before publishers are held up.
pub const ANOMALIES_MAX_LENGTH: u64 = 1_000_000;
/// The topic exchange that analyzers take control messages from; routing key `{topology}.{analyzer}`, `{topology}.all` or `all`.
pub const CONTROL_EXCHANGE: &str = "kinetic.control";
/// The routing key of control messages to every analyzer of the vhost.
pub const CONTROL_ALL: &str = "all";
/// The direct exchange that answers go to; routing key: what the question's `reply-to` says.
pub const REPLIES_EXCHANGE: &str = "kinetic.replies";
/// The fanout exchange where every change of an analyzer's configuration object is told.
pub const CONFIG_EXCHANGE: &str = "kinetic.config";
/// The header that says what a control message asks for.
pub const OPCODE_HEADER: &str = "opcode";
/// The header by which an asker says who asks.
pub const ASKER_HEADER: &str = "kinetic-asker";
/// The header that says who sent a message.
pub const ORIGIN_HEADER: &str = "origin";
/// The header that says when a message's samples were taken, in milliseconds since the epoch.
pub const TIMESTAMP_HEADER: &str = "timestamp_in_ms";
/// The header by which a tick names its stream.
pub const STREAM_IDENTITY_HEADER: &str = "kinetic-stream";
/// The header by which a tick carries the wall time, in milliseconds since the epoch.
pub const TICK_HEADER: &str = "kinetic-tick";
/// The content type of statsd lines.
pub const STATSD_CONTENT_TYPE: &str = "text/x-statsd";
/// The content type of answers and notices.
pub const JSON_CONTENT_TYPE: &str = "application/json";
/// The content type of a packet of collectd's binary network protocol, decrypted and with its signature checked: one a message.
pub const COLLECTD_NETWORK_CONTENT_TYPE: &str = "application/x-collectd";
/// The content type of a finding: a `CloudEvents` 1.0 event in JSON.
pub const CLOUDEVENT_CONTENT_TYPE: &str = "application/cloudevents+json";

/// The vhost of a customer: `{region}.{provider}.{customer}`.
#[must_use]
pub fn vhost(region: &str, provider: &str, customer: &str) -> String {
    format!("{region}.{provider}.{customer}")
}

/// The stream that an analyzer reads a source from.
#[must_use]
pub fn stream(topology: &str, source: &str) -> String {
    format!("kinetic.metrics.{topology}.{source}")
}

/// The routing key of a source's ticks.
#[must_use]
pub fn tick(topology: &str, source: &str) -> String {
    format!("tick.{topology}.{source}")
}

/// The exclusive queue whose holder is the analyzer of this partition of a topology: there is one at a time.
#[must_use]
pub fn lock(topology: &str, partition: u8) -> String {
    format!("kinetic.lock.{topology}.{partition}")
}

/// The routing key of a client's messages.
#[must_use]
pub fn metrics(kind: &str, profile: &str, origin: &str) -> String {
    format!("{kind}.{profile}.{origin}")
}

/// The binding that feeds a profile's messages of a type into a stream; no profile stands for all.
#[must_use]
pub fn metrics_binding(kind: &str, profile: Option<&str>) -> String {
    match profile {
        Some(profile) => format!("{kind}.{profile}.#"),
        None => format!("{kind}.#"),
    }
}

/// The profile in the routing key of a message of this type; none if it is no such key.
#[must_use]
pub fn profile<'a>(kind: &str, routing_key: &'a str) -> Option<&'a str> {
    routing_key.strip_prefix(kind)?.strip_prefix('.')?.split('.').next()
}

/// The routing key of control messages to one analyzer of a Topology.
#[must_use]
pub fn control(topology: &str, analyzer: u32) -> String {
    format!("{topology}.{analyzer}")
}

/// The routing key of control messages to all analyzers of a Topology.
#[must_use]
pub fn control_all(topology: &str) -> String {
    format!("{topology}.{CONTROL_ALL}")
}

/// The `source` of an analytic's findings.
#[must_use]
pub fn analytic(customer: &str, topology: &str, analytic: &str) -> String {
    format!("/customers/{customer}/topologies/{topology}/analytics/{analytic}")
}

/// A stream's segment size: a thirty-second of what it may hold, between 1 and 100 MiB, since it is trimmed by whole segments.
#[must_use]
pub fn segment_bytes(retained: u64) -> u64 {
    (retained / 32).clamp(1 << 20, 100 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_the_design_has_them() {
        assert_eq!(vhost("us-west", "aws", "acme"), "us-west.aws.acme");
        assert_eq!(stream("web", "pages"), "kinetic.metrics.web.pages");
        assert_eq!(tick("web", "pages"), "tick.web.pages");
        assert_eq!(lock("web", 3), "kinetic.lock.web.3");
        assert_eq!(metrics("statsd", "web", "web-1"), "statsd.web.web-1");
        assert_eq!(metrics_binding("statsd", Some("web")), "statsd.web.#");
        assert_eq!(metrics_binding("statsd", None), "statsd.#");
        assert_eq!((control("web", 0), control_all("web")), ("web.0".into(), "web.all".into()));
        assert_eq!(analytic("acme", "web", "slow"), "/customers/acme/topologies/web/analytics/slow");
    }

    #[test]
    fn segments_stay_between_one_and_a_hundred_mebibytes() {
        assert_eq!(segment_bytes(0), 1 << 20);
        assert_eq!(segment_bytes(1 << 30), 32 << 20);
        assert_eq!(segment_bytes(u64::MAX), 100 << 20);
    }
}
