//! What the collectd intake counts.

use std::fmt::{self, Write};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Why a packet, or a part of it, is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// It is none, or ends within a part.
    Malformed,
    /// It must be signed or encrypted, and is neither.
    Unsigned,
    /// It must be encrypted, and is not.
    Unencrypted,
    /// Its user is none that we know.
    UnknownUser,
    /// It is encrypted, and no users are known at all.
    NoUsers,
    /// It was not signed with the user's password, or changed on its way.
    BadSignature,
    /// It was not encrypted with the user's password, or changed on its way.
    BadChecksum,
}

impl Refusal {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unsigned => "unsigned",
            Self::Unencrypted => "unencrypted",
            Self::UnknownUser => "unknown_user",
            Self::NoUsers => "no_auth_file",
            Self::BadSignature => "bad_signature",
            Self::BadChecksum => "bad_checksum",
        }
    }
}

impl EncodeLabelValue for Refusal {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    reason: Refusal,
}

/// The collectd intake's own counters; clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub(in crate::intake) struct CollectdMetrics {
    pub(super) packets: Counter,
    pub(super) bytes: Counter,
    pub(super) dropped_packets: Counter,
    refused_packets: Family<Labels, Counter>,
}

impl CollectdMetrics {
    /// Adds the counters to the intake's, as `kinetic_intake_collectd_*`.
    pub(in crate::intake) fn register(&self, intake: &mut Registry) {
        let collectd = intake.sub_registry_with_prefix("collectd");
        let Self { packets, bytes, dropped_packets, refused_packets } = self.clone();
        collectd.register("packets", "Packets of collectd's network plugin received", packets);
        collectd.register("bytes", "Bytes of collectd's network plugin taken in", bytes);
        collectd.register(
            "dropped_packets",
            "Packets dropped: the bus was slower than they came",
            dropped_packets,
        );
        collectd.register("refused_packets", "Packets not let in, by reason", refused_packets);
    }

    /// The counter of packets that were refused for this reason.
    pub(super) fn refused(&self, reason: Refusal) -> Counter {
        self.refused_packets.get_or_create(&Labels { reason }).clone()
    }
}
