//! What the sidecar counts.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The sidecar's counters; clones count into the same ones. What comes in is counted by [`IntakeMetrics`](crate::intake::IntakeMetrics).
#[derive(Clone, Debug, Default)]
pub struct SidecarMetrics {
    dropped_lines: Family<Labels, Counter>,
    pub(super) connected: Gauge,
    pub(super) memory_bytes: Gauge,
    pub(super) unconfirmed_messages: Gauge,
    pub(super) spool_bytes: Gauge,
    pub(super) spool_oldest: Gauge,
    pub(super) spooled_messages: Counter,
    pub(super) replayed_messages: Counter,
    pub(super) torn_bytes: Counter,
    pub(super) damaged_bytes: Counter,
    pub(super) spool_errors: Counter,
    pub(super) open_connections: Gauge,
    pub(super) refused_connections: Counter,
}

/// Why lines were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    /// The spool was full.
    SpoolFull,
    /// They had waited for longer than the spool's `maxAge`.
    Expired,
    /// The memory was full, and there was no spool, or no room on its disk.
    MemoryFull,
    /// The upstream Refused them for good.
    Refused,
    /// The process ended before they were confirmed, and there was no spool.
    Stopped,
}

/// How long lines had waited when they were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Age {
    UnderMinute,
    UnderTenMinutes,
    UnderHour,
    UnderSixHours,
    UnderDay,
    Older,
}

impl EncodeLabelValue for Reason {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::SpoolFull => "spool_full",
            Self::Expired => "expired",
            Self::MemoryFull => "memory_full",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
        })
    }
}

impl EncodeLabelValue for Age {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::UnderMinute => "under_1m",
            Self::UnderTenMinutes => "under_10m",
            Self::UnderHour => "under_1h",
            Self::UnderSixHours => "under_6h",
            Self::UnderDay => "under_24h",
            Self::Older => "over_24h",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    reason: Reason,
    age: Age,
}

impl Age {
    fn of(waited: Duration) -> Self {
        match waited.as_secs() / 60 {
            0 => Self::UnderMinute,
            1..10 => Self::UnderTenMinutes,
            10..60 => Self::UnderHour,
            60..360 => Self::UnderSixHours,
            360..1440 => Self::UnderDay,
            _ => Self::Older,
        }
    }
}

impl SidecarMetrics {
    /// Adds the counters to a registry, as `kinetic_sidecar_*`.
    pub fn register(&self, registry: &mut Registry) {
        let sidecar = registry.sub_registry_with_prefix("kinetic_sidecar");
        let Self {
            dropped_lines,
            connected,
            memory_bytes,
            unconfirmed_messages,
            spool_bytes,
            spool_oldest,
            spooled_messages,
            replayed_messages,
            torn_bytes,
            damaged_bytes,
            spool_errors,
            open_connections,
            refused_connections,
        } = self.clone();
        sidecar.register(
            "dropped_lines",
            "Lines given up, by reason and by how long they had waited",
            dropped_lines,
        );
        sidecar.register("upstream_connected", "1 while the upstream takes messages", connected);
        sidecar.register("memory_bytes", "Bytes that wait in memory to be sent", memory_bytes);
        sidecar.register(
            "unconfirmed_messages",
            "Messages sent that the upstream has not confirmed",
            unconfirmed_messages,
        );
        sidecar.register("spool_bytes", "Bytes that wait on disk", spool_bytes);
        sidecar.register(
            "spool_oldest_timestamp_seconds",
            "When the oldest on disk arrived, since the epoch; 0 without any",
            spool_oldest,
        );
        sidecar.register("spooled_messages", "Messages written to disk", spooled_messages);
        sidecar.register("replayed_messages", "Messages read from disk to be sent", replayed_messages);
        sidecar.register(
            "spool_torn_bytes",
            "Bytes of records that an earlier process did not finish",
            torn_bytes,
        );
        sidecar.register("spool_damaged_bytes", "Bytes on disk that could not be read", damaged_bytes);
        sidecar.register("spool_errors", "Errors of the spool's disk", spool_errors);
        sidecar.register("open_connections", "AMQP connections that are passed through", open_connections);
        sidecar.register(
            "refused_connections",
            "AMQP connections refused, as the upstream was away or refused them",
            refused_connections,
        );
    }

    /// Counts lines that are given up, which arrived then.
    pub(super) fn dropped(&self, reason: Reason, lines: u32, arrived_ms: i64, now_ms: i64) {
        let waited = Duration::from_millis(u64::try_from(now_ms - arrived_ms).unwrap_or_default());
        let labels = Labels { reason, age: Age::of(waited) };
        self.dropped_lines.get_or_create(&labels).inc_by(lines.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_is_counted_by_reason_and_age() {
        let metrics = SidecarMetrics::default();
        let now = 1_700_000_000_000;
        metrics.dropped(Reason::SpoolFull, 3, now - 59_999, now);
        metrics.dropped(Reason::SpoolFull, 4, now - 60_000, now);
        metrics.dropped(Reason::Expired, 5, now - 86_400_000, now);
        metrics.dropped(Reason::Refused, 6, now + 5, now);
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "kinetic_sidecar_dropped_lines_total{reason=\"spool_full\",age=\"under_1m\"} 3\n",
            "kinetic_sidecar_dropped_lines_total{reason=\"spool_full\",age=\"under_10m\"} 4\n",
            "kinetic_sidecar_dropped_lines_total{reason=\"expired\",age=\"over_24h\"} 5\n",
            "kinetic_sidecar_dropped_lines_total{reason=\"refused\",age=\"under_1m\"} 6\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
