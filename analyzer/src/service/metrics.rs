//! The analyzers' counters for Prometheus.

use kinetic_api::anomaly::{Finding, State};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::engine::EngineCounters;

/// The counters of all analyzers of the process.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: Family<Source, Counter>,
    dropped: Family<Dropped, Counter>,
    windows: Family<Source, Counter>,
    series: Family<Source, Gauge>,
    findings: Family<Findings, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(clippy::struct_field_names, reason = "fields are the labels' names")]
struct Source {
    customer: String,
    topology: String,
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dropped {
    customer: String,
    topology: String,
    source: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Findings {
    customer: String,
    topology: String,
    analytic: String,
    state: &'static str,
}

impl Metrics {
    /// The counters, registered.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("kinetic_analyzer");
        registry.register("samples", "Samples taken into windows", metrics.samples.clone());
        registry.register("dropped", "Lines and samples not taken, by reason", metrics.dropped.clone());
        registry.register("windows_closed", "Windows closed", metrics.windows.clone());
        registry.register("series", "Series kept now", metrics.series.clone());
        registry.register("findings", "Findings published, by state", metrics.findings.clone());
        metrics
    }

    /// The counters of one source.
    pub(super) fn source(&self, customer: &str, topology: &str, source: &str) -> SourceMetrics {
        let labels = Source {
            customer: customer.to_owned(),
            topology: topology.to_owned(),
            source: source.to_owned(),
        };
        SourceMetrics { all: self.clone(), labels, last: EngineCounters::default() }
    }
}

/// The counters of one source, and what they stood at when they were last told.
#[derive(Debug)]
pub(super) struct SourceMetrics {
    all: Metrics,
    labels: Source,
    last: EngineCounters,
}

impl SourceMetrics {
    /// Adds what has come since the last time. An engine that was rebuilt counts from zero again.
    pub(super) fn update(&mut self, now: &EngineCounters) {
        let grown = |now: u64, last: u64| if now < last { now } else { now - last };
        self.all.samples.get_or_create(&self.labels).inc_by(grown(now.samples, self.last.samples));
        self.all.windows.get_or_create(&self.labels).inc_by(grown(now.windows, self.last.windows));
        self.all.series.get_or_create(&self.labels).set(i64::try_from(now.series).unwrap_or(i64::MAX));
        let reasons = [
            ("bad_line", now.bad_lines, self.last.bad_lines),
            ("late", now.late, self.last.late),
            ("future", now.future, self.last.future),
            ("untimed", now.untimed, self.last.untimed),
            ("series_limit", now.dropped_series, self.last.dropped_series),
            ("other_profile", now.other_profile, self.last.other_profile),
            ("unknown_format", now.unknown_format, self.last.unknown_format),
        ];
        for (reason, now, last) in reasons {
            let Source { customer, topology, source } = self.labels.clone();
            let labels = Dropped { customer, topology, source, reason };
            self.all.dropped.get_or_create(&labels).inc_by(grown(now, last));
        }
        self.last = *now;
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
            state,
        };
        self.all.findings.get_or_create(&labels).inc();
    }
}
