//! Any one feed against the other feeds of its group.
//!
//! A feed is what one origin sends of a metric within a group; if that is several series, their samples are put together.
//! It is held against mean and standard deviation of *the others*: with itself among them no deviation above (n−1)/√n could
//! ever show. Two feeds that stray at once widen each other's band, though, and may hide each other (masking): the median
//! does not let them, up to nearly half of the group.

use kinetic_api::{
    anomaly::{Anomaly, HISTORY_WINDOWS, HistoryWindow, PEER_LINES, PEER_NAMES, PeerLine, Peers},
    plan::{AnalyticKind, AnalyticPlan},
    resources::topology::{AnalyticState, Cluster},
    series::SeriesName,
    statistic::Statistic,
};

use super::{
    analysis::{Analysis, Sample},
    expectation::{Expectation, UNREACHABLE, score, strays},
    explain::Topic,
    figures::{Unit, number},
    finding::{Band, Closing, Telling, history},
    groups::{Group, GroupId, GroupName, Groups},
    history::{History, WINDOWS},
    leave_one_out::{LeaveOneOut, degrees_of_freedom, others},
    roster::{Roster, Turned},
    subjects::{Slot, Subjects},
    tail::Lines,
    verdict::Verdict,
};
use crate::window::{Accumulator, SeriesId};

/// Fewer feeds have no spread: a feed needs two others.
const LEAST_FEEDS: usize = 3;

/// Any one feed against the other feeds of its group.
#[derive(Debug)]
pub struct ClusterAnalysis {
    settings: Settings,
    lines: Lines,
    groups: Groups,
    roster: Roster<Feed>,
    /// The groups that have values in the window that is closing.
    touched: Vec<GroupId>,
    work: LeaveOneOut,
    /// Values of the group that is looked at, and whose they are.
    values: Vec<f64>,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Settings {
    cluster: Cluster,
    statistic: Statistic,
    interval_ms: i64,
}

/// What one origin sends of a metric within a group.
#[derive(Clone, Debug)]
struct Feed {
    group: GroupId,
    /// In the order in which they appeared; nearly always one.
    series: Vec<SeriesId>,
    /// The value in the window `latest`.
    value: f64,
    latest: i64,
    /// Of a feed of several series.
    joined: Option<Box<Joined>>,
}

/// A feed of several series.
#[derive(Clone, Debug, Default)]
struct Joined {
    /// What they have in the window that is closing.
    samples: Option<Accumulator>,
    /// Their last windows together.
    history: History,
}

impl ClusterAnalysis {
    /// Of a plan, for windows of this many milliseconds.
    #[must_use]
    pub fn new(plan: &AnalyticPlan, cluster: &Cluster, interval_ms: i64) -> Self {
        Self {
            settings: Settings { cluster: cluster.clone(), statistic: plan.statistic, interval_ms },
            lines: lines(cluster),
            groups: Groups::default(),
            roster: Roster::new(plan.persistence),
            touched: Vec::new(),
            work: LeaveOneOut::default(),
            values: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// Judges each feed of a group against the others.
    fn judge(&mut self, id: GroupId, number: i64) {
        self.values.clear();
        self.slots.clear();
        for (_, slot) in &self.groups.get(id).feeds {
            let feed = self.roster.get_mut(*slot);
            if feed.latest == number && feed.join(number, &self.settings) {
                self.values.push(feed.value);
                self.slots.push(*slot);
            }
        }
        if self.values.len() < self.settings.least_feeds() {
            return;
        }
        let Cluster { center, direction, deviation, min_stddev, .. } = self.settings.cluster;
        let count = (self.values.len() - 1) as f64;
        let others = self.work.others(center, &self.values);
        for ((&slot, &value), others) in self.slots.iter().zip(&self.values).zip(others) {
            let expected = Expectation::new(others.centre, others.spread, count, min_stddev);
            let odd = if self.roster.fires(slot) {
                expected.lingers(value, &self.lines, direction)
            } else {
                strays(value - expected.centre, expected.reach(&mut self.lines), direction)
            };
            let lines = &self.lines;
            self.roster.judge(slot, number, odd, || {
                let off = expected.deviation(value, lines);
                Verdict {
                    value: Some(value),
                    expected: Some(expected.centre),
                    stddev: Some(expected.assumed_spread()),
                    deviation: Some(off),
                    score: score(off, odd, direction, deviation),
                    above: off > 0.0,
                }
            });
        }
    }
}

fn lines(cluster: &Cluster) -> Lines {
    Lines::new(cluster.deviation, degrees_of_freedom(cluster.center))
}

impl Feed {
    /// Puts the samples of several series together; whether there is a value.
    fn join(&mut self, number: i64, settings: &Settings) -> bool {
        let Some(joined) = &mut self.joined else { return true };
        let value = joined.samples.take().and_then(|s| s.statistic(settings.statistic, settings.interval_ms));
        if let Some(value) = value.and_then(usable) {
            joined.history.push(number, value);
            self.value = value;
            return true;
        }
        self.latest = number - 1;
        false
    }

    fn history<'a>(&'a self, subjects: &'a Subjects, statistic: Statistic) -> Option<&'a History> {
        match &self.joined {
            Some(joined) => Some(&joined.history),
            None => subjects.history(*self.series.first()?, statistic),
        }
    }

    /// Its name: the metric and the tags that make the group; all tags if it is one series.
    fn name(&self, group: &Group, origin: &str, subjects: &Subjects) -> SeriesName {
        match self.series[..] {
            [only] => subjects.name(only),
            _ => SeriesName {
                metric: group.name.metric.clone(),
                tags: group.name.tags.clone(),
                origin: origin.to_owned(),
            },
        }
    }
}

impl Settings {
    fn least_feeds(&self) -> usize {
        LEAST_FEEDS.max(self.cluster.min_feeds as usize)
    }

    fn tell(
        &self,
        closing: &Closing<'_>,
        group: &Group,
        roster: &Roster<Feed>,
        lines: &mut Lines,
        turned: &Turned,
        fired: Option<&Anomaly>,
    ) -> Telling {
        let (feed, verdict, number) = (roster.get(turned.slot), turned.verdict, closing.number());
        let origin =
            group.feeds.iter().find(|(_, slot)| *slot == turned.slot).map_or("", |(origin, _)| origin);
        let subject = match fired {
            Some(fired) => fired.data.series(),
            None => feed.name(group, origin, closing.subjects),
        };
        let peers: Vec<(&str, &Feed)> = group
            .feeds
            .iter()
            .filter(|(_, slot)| *slot != turned.slot)
            .map(|(origin, slot)| (origin.as_str(), roster.get(*slot)))
            .filter(|(_, peer)| peer.latest == number)
            .collect();
        let unit = feed.series.first().map(|id| closing.subjects.unit(*id, self.statistic));
        let topic = Topic {
            subject: &subject,
            statistic: self.statistic,
            unit: unit.unwrap_or(Unit::None),
            interval_ms: self.interval_ms,
        };
        let explanation = match fired {
            None => topic.among_peers(&verdict, peers.len()),
            Some(fired) if verdict.value.is_some() => {
                topic.back(&verdict, "among its peers", closing.lasted_ms(fired))
            }
            Some(fired) if feed.latest == number => {
                let why = format!("only {} of {} feeds are there", peers.len() + 1, self.least_feeds());
                topic.unjudged(&why, closing.lasted_ms(fired))
            }
            Some(fired) => topic.unjudged("it has sent nothing", closing.lasted_ms(fired)),
        };
        let history = self.history(closing, group, roster, lines, turned);
        let lines = peers.iter().take(PEER_LINES).map(|(origin, peer)| {
            let trace = peer.history(closing.subjects, self.statistic);
            let value = |n: i64| trace.and_then(|trace| trace.get(n));
            let windows = (number - WINDOWS + 1..=number).skip(HISTORY_WINDOWS - history.len());
            let values = windows.map(value).collect();
            PeerLine { origin: (*origin).to_owned(), values }
        });
        let lines = lines.collect();
        let origins = peers.iter().take(PEER_NAMES).map(|(origin, _)| (*origin).to_owned()).collect();
        let peers = Some(Peers { count: peers.len(), origins, lines });
        Telling { subject, verdict, peers, history, explanation }
    }

    /// The feed's last windows, with the band worked out again from what its peers had in them.
    fn history(
        &self,
        closing: &Closing<'_>,
        group: &Group,
        roster: &Roster<Feed>,
        lines: &mut Lines,
        turned: &Turned,
    ) -> Vec<HistoryWindow> {
        let trace = |slot: Slot| roster.get(slot).history(closing.subjects, self.statistic);
        let own = trace(turned.slot);
        let peers: Vec<&History> = group
            .feeds
            .iter()
            .filter(|(_, slot)| *slot != turned.slot)
            .filter_map(|(_, slot)| trace(*slot))
            .collect();
        let mut values = Vec::with_capacity(peers.len());
        history(closing.number(), self.interval_ms, |n| {
            values.clear();
            values.extend(peers.iter().filter_map(|peer| peer.get(n)));
            let band = if values.len() + 1 < self.least_feeds() {
                Band::default()
            } else {
                let others = others(self.cluster.center, &mut values);
                let (count, floor) = (values.len() as f64, self.cluster.min_stddev);
                let expected = Expectation::new(others.centre, others.spread, count, floor);
                Band::around(expected.centre, expected.reach(lines))
            };
            (own.and_then(|own| own.get(n)), band)
        })
    }
}

impl Analysis for ClusterAnalysis {
    fn bind(&mut self, id: SeriesId, subjects: &Subjects) -> Slot {
        let Some(watched) = subjects.get(id) else { unreachable!("a series is put in before it is bound") };
        let group_id = self.groups.find_or_make(GroupName::of(watched, &self.settings.cluster.group_by));
        let group = self.groups.get_mut(group_id);
        match group.feeds.binary_search_by(|(origin, _)| origin.cmp(&watched.name.origin)) {
            Ok(place) => {
                let slot = group.feeds[place].1;
                let feed = self.roster.get_mut(slot);
                if feed.joined.is_none() {
                    let history =
                        feed.history(subjects, self.settings.statistic).cloned().unwrap_or_default();
                    feed.joined = Some(Box::new(Joined { samples: None, history }));
                }
                feed.series.push(id);
                slot
            }
            Err(place) => {
                let feed = Feed {
                    group: group_id,
                    series: vec![id],
                    value: f64::NAN,
                    latest: i64::MIN,
                    joined: None,
                };
                let slot = self.roster.insert(feed);
                group.feeds.insert(place, (watched.name.origin.clone(), slot));
                slot
            }
        }
    }

    fn unbind(&mut self, slot: Slot, id: SeriesId, closing: &Closing<'_>, found: &mut Vec<Anomaly>) {
        let feed = self.roster.get_mut(slot);
        feed.series.retain(|other| *other != id);
        if feed.series.is_empty() {
            let group = feed.group;
            self.roster.dismiss(slot, closing, found);
            self.groups.leave(group, slot);
        }
    }

    fn observe(&mut self, slot: Slot, sample: &Sample<'_>) {
        let feed = self.roster.get_mut(slot);
        if let Some(joined) = &mut feed.joined {
            match &mut joined.samples {
                Some(samples) => samples.merge(sample.samples),
                none => *none = Some(sample.samples.clone()),
            }
        } else if let Some(value) = sample.value {
            feed.value = value;
        } else {
            return;
        }
        feed.latest = sample.number;
        let group = self.groups.get_mut(feed.group);
        if group.latest != sample.number {
            group.latest = sample.number;
            self.touched.push(feed.group);
        }
    }

    fn close(&mut self, closing: &Closing<'_>, found: &mut Vec<Anomaly>) {
        let mut touched = std::mem::take(&mut self.touched);
        for id in touched.drain(..) {
            self.judge(id, closing.number());
        }
        self.touched = touched;
        let Self { settings, groups, lines, .. } = self;
        self.roster.close(closing, found, |roster, turned, fired| {
            let group = groups.get(roster.get(turned.slot).group);
            settings.tell(closing, group, roster, lines, turned, fired)
        });
    }

    fn firing(&self) -> Box<dyn Iterator<Item = &Anomaly> + '_> {
        Box::new(self.roster.firing())
    }

    fn state(&self) -> (AnalyticState, Option<String>) {
        let Cluster { deviation, .. } = self.settings.cluster;
        let least = self.settings.least_feeds();
        let (mut groups, mut small, mut most) = (0_usize, 0_usize, 0_usize);
        for group in self.groups.iter() {
            groups += 1;
            small += usize::from(group.feeds.len() < least);
            most = most.max(group.feeds.len());
        }
        if groups == 0 {
            return (AnalyticState::WarmingUp, Some("no series has matched yet".into()));
        }
        if most < least {
            let reason = format!("{most} of {least} feeds: no group has enough for its feeds to be compared");
            return (AnalyticState::Unsatisfiable, Some(reason));
        }
        if self.lines.clone().at(most - 1) > UNREACHABLE {
            let reason = format!(
                "among {most} feeds {} standard deviations never show, so uncertain is the spread of so few: lower \
                 the deviation, or group more feeds",
                number(deviation, 3)
            );
            return (AnalyticState::Unsatisfiable, Some(reason));
        }
        let reason = (small > 0)
            .then(|| format!("{small} of {groups} groups have fewer than {least} feeds: not looked at"));
        (AnalyticState::Active, reason)
    }

    fn edit(&mut self, plan: &AnalyticPlan) {
        if let AnalyticKind::Cluster(cluster) = &plan.kind {
            self.settings.cluster = cluster.clone();
            self.lines = lines(cluster);
        }
        self.roster.set_persistence(plan.persistence);
    }
}

/// A value whose square still is a number.
#[must_use]
pub fn usable(value: f64) -> Option<f64> {
    (value.abs() < 1e150).then_some(value)
}

#[cfg(test)]
mod tests;
