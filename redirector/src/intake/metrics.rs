//! What the intake counts.

use std::fmt::{self, Write};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::collectd::CollectdMetrics;

/// The intake's counters; clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct IntakeMetrics {
    bytes: Family<Labels, Counter>,
    pub(super) packets: Counter,
    pub(super) dropped_packets: Counter,
    pub(super) connections: Gauge,
    pub(super) refused_connections: Counter,
    pub(super) idle_connections: Counter,
    pub(super) oversized_lines: Counter,
    pub(super) broken_streams: Counter,
    pub(crate) messages: Counter,
    pub(crate) refused_messages: Counter,
    pub(crate) unroutable_messages: Counter,
    pub(super) collectd: CollectdMetrics,
}

/// Which way bytes came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Transport {
    Udp,
    Unix,
    UnixStream,
    Tcp,
    Stdin,
}

impl EncodeLabelValue for Transport {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::UnixStream => "unixstream",
            Self::Tcp => "tcp",
            Self::Stdin => "stdin",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    transport: Transport,
}

impl IntakeMetrics {
    /// Adds the counters to a registry, as `kinetic_intake_*`.
    pub fn register(&self, registry: &mut Registry) {
        let intake = registry.sub_registry_with_prefix("kinetic_intake");
        let Self {
            bytes,
            packets,
            dropped_packets,
            connections,
            refused_connections,
            idle_connections,
            oversized_lines,
            broken_streams,
            messages,
            refused_messages,
            unroutable_messages,
            collectd,
        } = self.clone();
        intake.register("bytes", "Bytes of statsd text taken in", bytes);
        intake.register("packets", "Datagrams received", packets);
        intake.register(
            "dropped_packets",
            "Datagrams dropped: the bus was slower than they came",
            dropped_packets,
        );
        intake.register("connections", "TCP and Unix stream connections open", connections);
        intake.register(
            "refused_connections",
            "TCP and Unix stream connections closed at once: too many",
            refused_connections,
        );
        intake.register("idle_connections", "TCP connections closed for silence", idle_connections);
        intake.register("oversized_lines", "Lines dropped for their length", oversized_lines);
        intake.register(
            "broken_streams",
            "Unix stream connections that ended within a packet, or announced one longer than 65,535 bytes",
            broken_streams,
        );
        intake.register("messages", "Messages handed to the bus", messages);
        intake.register("refused_messages", "Messages that the bus refused for good", refused_messages);
        intake.register("unroutable_messages", "Messages that no source takes", unroutable_messages);
        collectd.register(intake);
    }

    /// The counter of bytes that came this way.
    pub(super) fn bytes(&self, transport: Transport) -> Counter {
        self.bytes.get_or_create(&Labels { transport }).clone()
    }
}
