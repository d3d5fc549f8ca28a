//! `GET /api/v1/analyzers`, `GET /api/v1/alerts`, `GET /api/v1/clients` on the admin address: how they fare, for the operator and for people.

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use jiff::Timestamp;
use kinetic_alert::History;
use kinetic_analyzer::{
    partition::Partition,
    service::{SourceStatus, Status},
};
use kinetic_api::fitness::{
    Alerts, AnalyticFitness, AnalyzerFitness, Analyzers, Clients, SourceCondition, SourceFitness,
};
use kinetic_redirector::door::Door;

use crate::{run::supervisor::AnalyzerKey, series::Desks};

/// The analyzers of this process.
pub(crate) fn analyzers(desks: Desks) -> Router {
    let told = async |State(desks): State<Desks>| {
        let all = desks.statuses();
        Json(Analyzers {
            analyzers: all.iter().map(|(key, of, status)| analyzer(key, *of, status)).collect(),
        })
    };
    Router::new().route("/api/v1/analyzers", get(told)).with_state(desks)
}

/// The Alerts of this process's alert service.
pub(crate) fn alerts(history: History) -> Router {
    let told = async |State(history): State<History>| match history.fitness().await {
        Ok(alerts) => Ok(Json(Alerts { alerts })),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))),
    };
    Router::new().route("/api/v1/alerts", get(told)).with_state(history)
}

/// The clients that are connected to this process's front door.
pub(crate) fn clients(door: Arc<Door>) -> Router {
    let told = async |State(door): State<Arc<Door>>| Json(Clients { customers: door.clients() });
    Router::new().route("/api/v1/clients", get(told)).with_state(door)
}

fn analyzer(key: &AnalyzerKey, partition: Partition, status: &Status) -> AnalyzerFitness {
    let (customer, topology, _) = key.clone();
    AnalyzerFitness {
        customer,
        topology,
        partition: partition.index(),
        partitions: partition.of(),
        standby: status.standby(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sources: status.sources().into_iter().map(source).collect(),
    }
}

fn source((name, status): (String, SourceStatus)) -> SourceFitness {
    let analytics = status.analytics.into_iter();
    SourceFitness {
        name,
        last_tick: status.last_tick_ms.and_then(|tick| Timestamp::from_millisecond(tick).ok()),
        samples: status.samples,
        series: status.series,
        firing: status.firing,
        analytics: analytics
            .map(|report| AnalyticFitness { name: report.name, state: report.state, reason: report.reason })
            .collect(),
        conditions: status
            .conditions
            .into_iter()
            .map(|(kind, condition)| SourceCondition {
                kind: kind.as_str().to_owned(),
                since: condition.since,
                message: condition.message,
            })
            .collect(),
    }
}
