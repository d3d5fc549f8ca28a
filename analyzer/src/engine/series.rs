//! The series of a source as they stand, for people who ask.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kinetic_api::{
    glob::Glob,
    observed::{Observed, ObservedWindow},
    statistic::Statistic,
};

use super::Engine;
use crate::window::{Accumulator, SeriesId, Window};

/// Which series are asked for.
#[derive(Clone, Debug)]
pub struct SeriesQuery {
    /// Their metric.
    pub metric: Glob,
    /// Their origin.
    pub origin: Glob,
    /// So many are told at most.
    pub limit: usize,
}

/// The series that were asked for, by metric and origin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesPage {
    /// So many match.
    pub total: usize,
    /// They, as far as the limit goes.
    pub series: Vec<Observed>,
}

impl Engine {
    /// The series that were asked for. Looks at the name of every series that is known.
    #[must_use]
    pub fn series(&self, query: &SeriesQuery) -> SeriesPage {
        let mut found: Vec<_> = self
            .windows
            .series()
            .filter(|(_, metric, origin)| query.metric.matches(metric) && query.origin.matches(origin))
            .map(|(id, metric, origin)| (metric, origin, id))
            .collect();
        let total = found.len();
        if query.limit < total {
            found.select_nth_unstable(query.limit);
            found.truncate(query.limit);
        }
        found.sort_unstable();
        SeriesPage { total, series: found.into_iter().filter_map(|(_, _, id)| self.observed(id)).collect() }
    }

    fn observed(&self, id: SeriesId) -> Option<Observed> {
        let (name, kind) = (self.windows.name(id)?, self.windows.kind(id)?);
        let scope = self.detector.scope();
        let (open, newest) = (self.windows.open(id), self.windows.last_seen(id));
        let closed = match open.first() {
            Some((Window { start_ms, .. }, _)) => {
                Some(Window { start_ms: start_ms - self.source.interval_ms, end_ms: *start_ms })
            }
            None => newest,
        };
        let closed = closed.map(|window| (window, self.detector.seen(id, window)));
        let closed = closed.filter(|(_, statistics)| !statistics.is_empty());
        let mut windows: Vec<_> =
            closed.into_iter().filter_map(|(window, statistics)| told(window, false, statistics)).collect();
        windows.extend(open.into_iter().filter_map(|(window, samples)| self.told_open(window, &samples)));
        Some(Observed {
            customer: scope.customer.clone(),
            topology: scope.topology.clone(),
            source: scope.source.clone(),
            name: name.to_string(),
            metric: name.metric,
            tags: name.tags,
            origin: name.origin,
            kind: kind.as_str().to_owned(),
            analytics: self.detector.looked_at_by(id),
            last_seen: newest.and_then(|window| time(window.start_ms)),
            windows,
        })
    }

    fn told_open(&self, window: Window, samples: &Accumulator) -> Option<ObservedWindow> {
        let statistics = Statistic::ALL.into_iter().filter_map(|statistic| {
            Some((statistic, samples.statistic(statistic, self.source.interval_ms)?))
        });
        told(window, true, statistics.collect())
    }
}

fn told(window: Window, open: bool, statistics: BTreeMap<Statistic, f64>) -> Option<ObservedWindow> {
    Some(ObservedWindow { start: time(window.start_ms)?, end: time(window.end_ms)?, open, statistics })
}

fn time(ms: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(ms).ok()
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of whole numbers are exact")]
mod tests {
    use std::collections::HashMap;

    use kinetic_api::{plan::AnalyticKind, resources::topology::Stddev};

    use super::*;
    use crate::{
        engine::{EngineLimits, Input},
        test_plan::{analytic, topology},
    };

    const START: i64 = 1_700_000_000_000;

    /// An engine whose only analytic looks at the mean of `page.**`.
    fn engine() -> Engine {
        let kind = AnalyticKind::Stddev(Stddev::default());
        let plan = topology(vec![analytic("odd", "page.**", kind)]);
        Engine::new(&plan, 0, EngineLimits { max_series: 100 }, HashMap::new())
    }

    fn send(engine: &mut Engine, origin: &str, at_ms: i64, body: &str) {
        let input = Input {
            body: body.as_bytes(),
            routing_key: "statsd.web.x",
            origin: Some(origin),
            timestamp_in_ms: Some(at_ms),
            ..Input::default()
        };
        engine.message(&input, &mut Vec::new());
    }

    fn ask(engine: &Engine, metric: &str, origin: &str, limit: usize) -> SeriesPage {
        let query = SeriesQuery { metric: metric.parse().unwrap(), origin: Glob::flat(origin), limit };
        engine.series(&query)
    }

    #[test]
    fn open_windows_are_told_in_full_and_closed_ones_as_they_were_looked_at() {
        let mut engine = engine();
        send(
            &mut engine,
            "web-1",
            START,
            "page.home.time:100|ms|#env:prod\npage.home.time:101|ms|@0.5|#env:prod",
        );
        let page = ask(&engine, "page.*.time", "web-*", 10);
        assert_eq!((page.total, page.series.len()), (1, 1));
        let series = &page.series[0];
        assert_eq!(series.name, "page.home.time{env=prod}@web-1");
        assert_eq!(
            (series.topology.as_str(), series.source.as_str(), series.kind.as_str()),
            ("web", "pages", "timer")
        );
        assert_eq!(series.analytics, ["odd"]);
        assert_eq!(series.last_seen, time(START));
        let [window] = series.windows.as_slice() else { panic!("{series:?}") };
        assert_eq!(
            (Some(window.start), Some(window.end), window.open),
            (time(START), time(START + 10_000), true)
        );
        let told: Vec<_> =
            [Statistic::Count, Statistic::Sum, Statistic::Mean, Statistic::Max, Statistic::Rate]
                .map(|statistic| window.statistics[&statistic])
                .into();
        assert_eq!(told, [3.0, 302.0, 302.0 / 3.0, 101.0, 0.3]);
        // Two windows on, the first has closed.
        send(&mut engine, "web-1", START + 10_000, "page.home.time:7|ms|#env:prod");
        send(&mut engine, "web-1", START + 20_000, "page.home.time:8|ms|#env:prod");
        let windows = ask(&engine, "**", "*", 10).series.remove(0).windows;
        let starts: Vec<_> = windows.iter().map(|window| (window.start, window.open)).collect();
        let expected = [(0, false), (10_000, true), (20_000, true)];
        assert_eq!(starts, expected.map(|(after, open)| (time(START + after).unwrap(), open)));
        assert_eq!(windows[0].statistics, BTreeMap::from([(Statistic::Mean, 100.666_664)]));
        assert_eq!(windows[2].statistics[&Statistic::Last], 8.0);
    }

    #[test]
    fn series_that_nobody_looks_at_are_told_by_name_and_no_more_than_asked_for() {
        let mut engine = engine();
        for n in 0..20 {
            send(&mut engine, &format!("web-{n:02}"), START, "cpu:1|g\npage.home:1|g");
        }
        let page = ask(&engine, "cpu", "*", 3);
        let origins: Vec<_> = page.series.iter().map(|series| series.origin.as_str()).collect();
        assert_eq!((page.total, origins), (20, vec!["web-00", "web-01", "web-02"]));
        assert!(page.series.iter().all(|series| series.analytics.is_empty() && series.windows.is_empty()));
        assert_eq!(page.series[0].last_seen, time(START));
        assert_eq!(ask(&engine, "*", "web-07", 10).total, 1, "`*` is one part of a metric");
        assert_eq!(ask(&engine, "**", "web-07", 10).total, 2);
        assert_eq!(ask(&engine, "**", "*", 0), SeriesPage { total: 40, series: vec![] });
    }
}
