//! What the front door counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// The front door's counters; clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct DoorMetrics {
    pub(super) accepted: Counter,
    pub(super) open: Gauge,
    pub(super) handshakes: Gauge,
    pub(super) overrun: Counter,
    pub(super) refused: Family<Reason, Counter>,
    pub(super) ended: Family<Reason, Counter>,
    pub(super) received: Family<Customer, Counter>,
    pub(super) sent: Family<Customer, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reason {
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Customer {
    pub(super) customer: String,
}

impl DoorMetrics {
    /// Adds the counters to a registry, as `kinetic_door_*`.
    pub fn register(&self, registry: &mut Registry) {
        let door = registry.sub_registry_with_prefix("kinetic_door");
        let Self { accepted, open, handshakes, overrun, refused, ended, received, sent } = self.clone();
        door.register("accepted_connections", "TCP connections taken", accepted);
        door.register("open_connections", "Connections that are open to a vhost", open);
        door.register("handshakes", "Connections that are not yet open to a vhost", handshakes);
        door.register(
            "overrun_connections",
            "TCP connections dropped, as too many handshakes were going on",
            overrun,
        );
        door.register("refused_connections", "Connections that were not let in, by reason", refused);
        door.register("ended_connections", "Open connections that ended, by reason", ended);
        door.register_with_unit(
            "received",
            "Bytes that clients sent, by customer, of ended connections",
            Unit::Bytes,
            received,
        );
        door.register_with_unit(
            "sent",
            "Bytes that clients were sent, by customer, of ended connections",
            Unit::Bytes,
            sent,
        );
    }

    pub(super) fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub(super) fn end(&self, reason: &'static str) {
        self.ended.get_or_create(&Reason { reason }).inc();
    }
}
