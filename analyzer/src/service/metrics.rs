//! The analyzers' counters for Prometheus.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use kinetic_api::{
    anomaly::{Finding, State},
    control::{Controller, Opcode},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::status::{Condition, ConditionType};
use crate::{engine::EngineCounters, partition::Partition};

/// The counters of all analyzers of the process.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: Family<Source, Counter>,
    dropped: Family<Dropped, Counter>,
    windows: Family<Source, Counter>,
    series: Family<Source, Gauge>,
    findings: Family<Findings, Counter>,
    duplicates: Family<Source, Counter>,
    conditions: Family<Holding, Gauge>,
    checkpoint_saved: Family<Source, Gauge>,
    checkpoint_bytes: Family<Source, Gauge>,
    checkpoint_failures: Family<Source, Counter>,
    control: Family<Control, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(clippy::struct_field_names, reason = "fields are the labels' names")]
struct Source {
    customer: String,
    topology: String,
    source: String,
    partition: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Holding {
    customer: String,
    topology: String,
    source: String,
    partition: u32,
    condition: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dropped {
    customer: String,
    topology: String,
    source: String,
    partition: u32,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Findings {
    customer: String,
    topology: String,
    analytic: String,
    partition: u32,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Control {
    customer: String,
    topology: String,
    opcode: &'static str,
    result: &'static str,
}

impl Metrics {
    /// The counters, registered.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "kinetic_control_messages",
            "Control messages answered, by opcode and result",
            metrics.control.clone(),
        );
        let checkpoint = registry.sub_registry_with_prefix("kinetic_checkpoint");
        let saved = metrics.checkpoint_saved.clone();
        checkpoint.register("saved_timestamp_seconds", "When the last checkpoint was on disk", saved);
        checkpoint.register("bytes", "Size of the last checkpoint", metrics.checkpoint_bytes.clone());
        let failures = metrics.checkpoint_failures.clone();
        checkpoint.register("failures", "Checkpoints that could not be written", failures);
        let registry = registry.sub_registry_with_prefix("kinetic_analyzer");
        registry.register("samples", "Samples taken into windows", metrics.samples.clone());
        registry.register("dropped", "Lines and samples not taken, by reason", metrics.dropped.clone());
        registry.register("windows_closed", "Windows closed", metrics.windows.clone());
        registry.register("series", "Series kept now", metrics.series.clone());
        registry.register("findings", "Findings published, by state", metrics.findings.clone());
        let duplicates = metrics.duplicates.clone();
        registry.register("duplicate_messages", "Messages of our own producers that came again", duplicates);
        registry.register("condition", "Conditions that hold now", metrics.conditions.clone());
        metrics
    }

    /// A control message was answered; without an opcode it was none that there is.
    pub(super) fn control(&self, controller: &Controller, opcode: Option<Opcode>, ok: bool) {
        let labels = Control {
            customer: controller.customer.clone(),
            topology: controller.topology.clone(),
            opcode: opcode.map_or("invalid", Opcode::as_str),
            result: if ok { "ok" } else { "refused" },
        };
        self.control.get_or_create(&labels).inc();
    }

    /// The counters of one source.
    pub(super) fn source(
        &self,
        customer: &str,
        topology: &str,
        source: &str,
        partition: Partition,
    ) -> SourceMetrics {
        let labels = Source {
            customer: customer.to_owned(),
            topology: topology.to_owned(),
            source: source.to_owned(),
            partition: partition.index().into(),
        };
        SourceMetrics { all: self.clone(), labels, last: EngineCounters::default(), duplicates: 0 }
    }
}

/// The counters of one source, and what they stood at when they were last told.
#[derive(Debug)]
pub(super) struct SourceMetrics {
    all: Metrics,
    labels: Source,
    last: EngineCounters,
    duplicates: u64,
}

/// What is told of a source's checkpoints.
#[derive(Clone, Debug)]
pub(super) struct CheckpointMetrics {
    all: Metrics,
    labels: Source,
}

impl CheckpointMetrics {
    /// One of this size was written, or could not be.
    pub(super) fn written(&self, bytes: Option<u64>) {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        if let Some(bytes) = bytes {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            self.all.checkpoint_saved.get_or_create(&self.labels).set(number(now));
            self.all.checkpoint_bytes.get_or_create(&self.labels).set(number(bytes));
        } else {
            self.all.checkpoint_failures.get_or_create(&self.labels).inc();
        }
    }
}

impl SourceMetrics {
    /// Adds what has come since the last time. An engine that was rebuilt counts from zero again.
    pub(super) fn update(&mut self, now: &EngineCounters, duplicates: u64) {
        let grown = |now: u64, last: u64| if now < last { now } else { now - last };
        self.all.samples.get_or_create(&self.labels).inc_by(grown(now.samples, self.last.samples));
        self.all.windows.get_or_create(&self.labels).inc_by(grown(now.windows, self.last.windows));
        self.all.series.get_or_create(&self.labels).set(i64::try_from(now.series).unwrap_or(i64::MAX));
        let reasons = [
            ("bad_line", now.bad_lines, self.last.bad_lines),
            ("late", now.late, self.last.late),
            ("future", now.future, self.last.future),
            ("untimed", now.untimed, self.last.untimed),
            ("no_rate", now.unrated, self.last.unrated),
            ("no_value", now.gaps, self.last.gaps),
            ("series_limit", now.dropped_series, self.last.dropped_series),
            ("other_profile", now.other_profile, self.last.other_profile),
            ("unknown_format", now.unknown_format, self.last.unknown_format),
        ];
        for (reason, now, last) in reasons {
            let Source { customer, topology, source, partition } = self.labels.clone();
            let labels = Dropped { customer, topology, source, partition, reason };
            self.all.dropped.get_or_create(&labels).inc_by(grown(now, last));
        }
        self.last = *now;
        let duplicate_messages = self.all.duplicates.get_or_create(&self.labels);
        duplicate_messages.inc_by(grown(duplicates, self.duplicates));
        self.duplicates = duplicates;
    }

    /// What is told of the source's checkpoints.
    pub(super) fn checkpoints(&self) -> CheckpointMetrics {
        CheckpointMetrics { all: self.all.clone(), labels: self.labels.clone() }
    }

    /// Which conditions hold.
    pub(super) fn conditions(&self, holding: &BTreeMap<ConditionType, Condition>) {
        for kind in ConditionType::ALL {
            let Source { customer, topology, source, partition } = self.labels.clone();
            let labels = Holding { customer, topology, source, partition, condition: kind.as_str() };
            self.all.conditions.get_or_create(&labels).set(holding.contains_key(&kind).into());
        }
    }

    pub(super) fn finding(&self, finding: &Finding) {
        let state = match finding.state {
            State::Firing => "firing",
            State::Resolved => "resolved",
        };
        let labels = Findings {
            customer: finding.customer.clone(),
            topology: finding.topology.clone(),
            analytic: finding.analytic.clone(),
            partition: self.labels.partition,
            state,
        };
        self.all.findings.get_or_create(&labels).inc();
    }
}
