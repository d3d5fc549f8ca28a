//! What the service counts, for Prometheus.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{
    event::IncidentEvent,
    group::Reason,
    incident::DeliveryState,
    store::{Backlog, TakeResult},
};

/// The service's metrics; clones count together.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    anomalies: Family<Result, Counter>,
    open: Gauge,
    silent: Family<Silent, Counter>,
    decided: Family<Why, Counter>,
    notifications: Family<How, Counter>,
    waiting: Gauge,
    oldest_s: Gauge,
    pub(crate) broken_templates: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Silent {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct How {
    state: &'static str,
}

impl EncodeLabelValue for Reason {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        self.as_str().encode(encoder)
    }
}

impl Metrics {
    /// Registers everything under `kinetic_alert_…`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("kinetic_alert");
        registry.register("anomalies", "Findings taken, by what became of them", self.anomalies.clone());
        registry.register("incidents_open", "Incidents that fire", self.open.clone());
        registry.register(
            "silent_incidents",
            "Incidents that nobody is told of, by reason",
            self.silent.clone(),
        );
        registry.register("decisions", "Decisions to tell a receiver, by reason", self.decided.clone());
        registry.register(
            "notifications",
            "Attempts to deliver a message to a recipient, by what came of them",
            self.notifications.clone(),
        );
        registry.register("outbox_waiting", "Deliveries that wait or are under way", self.waiting.clone());
        registry.register_with_unit(
            "outbox_oldest",
            "Age of the oldest of them",
            Unit::Seconds,
            self.oldest_s.clone(),
        );
        registry.register(
            "broken_templates",
            "Templates that failed, so that Kinetic's own was used",
            self.broken_templates.clone(),
        );
    }

    /// A finding was taken.
    pub(crate) fn taken(&self, result: TakeResult) {
        let result = match result {
            TakeResult::Known => "known",
            TakeResult::Opened => "opened",
            TakeResult::Resolved => "resolved",
            TakeResult::StillOpen => "still_open",
            TakeResult::Recorded => "recorded",
        };
        self.anomalies.get_or_create(&Result { result }).inc();
    }

    /// A message on the queue was no finding.
    pub(crate) fn poison(&self) {
        self.anomalies.get_or_create(&Result { result: "poison" }).inc();
    }

    /// An attempt ended so.
    pub(crate) fn deliveries(&self, state: DeliveryState) {
        self.notifications.get_or_create(&How { state: state.as_str() }).inc();
    }

    /// Something happened.
    pub(crate) fn happened(&self, event: &IncidentEvent) {
        match event {
            IncidentEvent::Opened(subject) => {
                if let Some(silence) = subject.silence {
                    self.silent.get_or_create(&Silent { reason: silence.as_str() }).inc();
                }
            }
            IncidentEvent::Decided { reason, .. } => {
                self.decided.get_or_create(&Why { reason: *reason }).inc();
            }
            IncidentEvent::Dropped { count, .. } => {
                let dropped = How { state: DeliveryState::Dropped.as_str() };
                self.notifications.get_or_create(&dropped).inc_by(*count);
            }
            _ => {}
        }
    }

    /// How much waits now.
    pub(crate) fn backlog(&self, backlog: &Backlog, now_ms: i64) {
        self.open.set(backlog.open);
        self.waiting.set(backlog.unfinished);
        self.oldest_s.set(backlog.oldest_ms.map_or(0, |oldest| (now_ms - oldest).max(0) / 1_000));
    }
}
