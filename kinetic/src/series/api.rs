//! `GET /api/v1/series`, served on the admin address.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    routing::get,
};
use kinetic_analyzer::{
    engine::{SeriesPage, SeriesQuery},
    partition::Partition,
    service::{SeriesDesk, Status},
};
use kinetic_api::{
    glob::Glob,
    observed::{Observed, ObservedPage},
};
use serde::Deserialize;

use crate::run::supervisor::AnalyzerKey;

/// So many series are told where nobody says how many, …
const LIMIT: usize = 100;
/// … and never more than so many.
const MAX_LIMIT: usize = 10_000;

/// Where each analyzer of the process can be asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desks(Arc<Mutex<BTreeMap<AnalyzerKey, Desk>>>);

/// Where an analyzer can be asked for its series, and how it fares.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) series: SeriesDesk,
    pub(crate) partition: Partition,
    pub(crate) status: Status,
}

impl Desks {
    pub(crate) fn open(&self, analyzer: AnalyzerKey, desk: Desk) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(analyzer, desk);
    }

    pub(crate) fn close(&self, analyzer: &AnalyzerKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(analyzer);
    }

    /// The analyzers, and how they fare.
    pub(crate) fn statuses(&self) -> Vec<(AnalyzerKey, Partition, Status)> {
        self.all().into_iter().map(|(key, desk)| (key, desk.partition, desk.status)).collect()
    }

    fn all(&self) -> BTreeMap<AnalyzerKey, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    customer: Option<String>,
    topology: Option<String>,
    source: Option<String>,
    metric: Option<String>,
    origin: Option<String>,
    limit: Option<usize>,
}

/// The route.
pub(crate) fn router(desks: Desks) -> Router {
    Router::new().route("/api/v1/series", get(series)).with_state(desks)
}

async fn series(
    State(desks): State<Desks>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<ObservedPage>, (StatusCode, String)> {
    let limit = wanted.limit.unwrap_or(LIMIT).min(MAX_LIMIT);
    let metric = wanted.metric.as_deref().unwrap_or("**");
    let query = Arc::new(SeriesQuery {
        metric: metric
            .parse()
            .map_err(|error| (StatusCode::BAD_REQUEST, format!("metric: `{metric}`: {error}\n")))?,
        origin: Glob::flat(wanted.origin.as_deref().unwrap_or("*")),
        limit,
    });
    let mut answers = Answers::default();
    for ((customer, topology, _), desk) in desks.all() {
        let other = |wanted: &Option<String>, name: &str| wanted.as_deref().is_some_and(|only| only != name);
        if other(&wanted.customer, &customer) || other(&wanted.topology, &topology) {
            continue;
        }
        for (source, answer) in desk.series.ask(&query, wanted.source.as_deref()).await {
            answers.add(&[customer.clone(), topology.clone(), source], answer);
        }
    }
    Ok(Json(answers.page(limit)))
}

/// What the analyzers of all sources answered. Those that share a source see the same series, each looking at its own.
#[derive(Debug, Default)]
struct Answers {
    /// How many series match, by customer, Topology and source.
    totals: BTreeMap<[String; 3], usize>,
    /// By where they are seen, metric, origin, name and type.
    series: BTreeMap<([String; 3], [String; 4]), Observed>,
    unanswered: BTreeSet<String>,
}

impl Answers {
    fn add(&mut self, source: &[String; 3], answer: Option<SeriesPage>) {
        let Some(SeriesPage { total, series }) = answer else {
            self.unanswered.insert(source.join("/"));
            return;
        };
        let most = self.totals.entry(source.clone()).or_default();
        *most = total.max(*most);
        for one in series {
            let name = [one.metric.clone(), one.origin.clone(), one.name.clone(), one.kind.clone()];
            match self.series.entry((source.clone(), name)) {
                Entry::Occupied(known) if !known.get().analytics.is_empty() => {}
                Entry::Occupied(mut known) => {
                    known.insert(one);
                }
                Entry::Vacant(place) => {
                    place.insert(one);
                }
            }
        }
    }

    fn page(self, limit: usize) -> ObservedPage {
        ObservedPage {
            total: self.totals.into_values().sum(),
            series: self.series.into_values().take(limit).collect(),
            unanswered: self.unanswered.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(metric: &str, analytics: &[&str]) -> Observed {
        Observed {
            customer: "acme".into(),
            topology: "web".into(),
            source: "pages".into(),
            name: metric.into(),
            metric: metric.into(),
            tags: Vec::new(),
            origin: String::new(),
            kind: "gauge".into(),
            analytics: analytics.iter().map(ToString::to_string).collect(),
            last_seen: None,
            windows: Vec::new(),
        }
    }

    #[test]
    fn a_series_that_two_analyzers_see_is_told_once_by_the_one_that_looks_at_it() {
        let source = || ["acme", "web", "pages"].map(str::to_owned);
        let mut answers = Answers::default();
        let first = vec![observed("a", &["odd"]), observed("b", &[])];
        let second = vec![observed("a", &[]), observed("b", &["odd"])];
        answers.add(&source(), Some(SeriesPage { total: 5, series: first }));
        answers.add(&source(), Some(SeriesPage { total: 5, series: second }));
        answers.add(&["acme", "web", "hosts"].map(str::to_owned), None);
        let page = answers.page(10);
        assert_eq!(page.series, [observed("a", &["odd"]), observed("b", &["odd"])]);
        assert_eq!((page.total, page.unanswered), (5, vec!["acme/web/hosts".to_owned()]));
    }
}
