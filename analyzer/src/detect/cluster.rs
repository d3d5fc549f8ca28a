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
use serde::{Deserialize, Serialize};

use super::{
    analysis::{Analysis, Sample},
    expectation::{Excess, Expectation, UNREACHABLE, score, strays},
    explain::Topic,
    figures::{Unit, number},
    finding::{Band, Closing, Telling, history},
    groups::{Group, GroupId, GroupName, Groups},
    history::{History, WINDOWS},
    leave_one_out::{LeaveOneOut, degrees_of_freedom, others},
    measure::Measure,
    roster::{Roster, Turned},
    subjects::{Slot, Subjects},
    tail::Lines,
    verdict::Verdict,
};
use crate::{
    image::{ImageError, Reader, Writer},
    window::{Accumulator, Name, Names, Scatter, SeriesId},
};

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
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Feed {
    group: GroupId,
    /// The only series, as nearly always; of several `joined` has them all.
    only: SeriesId,
    /// The value in the window `latest`, and how sure it is.
    value: f64,
    scatter: Option<Scatter>,
    latest: i64,
    /// Of a feed of several series.
    joined: Option<Box<Joined>>,
}

/// A feed of several series.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Joined {
    /// In the order in which they appeared.
    series: Vec<SeriesId>,
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
        for slot in &self.groups.get(id).feeds {
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
            let mut expected = Expectation::new(others.centre, others.spread, count, min_stddev);
            let reach = expected.reach(&mut self.lines);
            let fires = self.roster.fires(slot);
            let mut odd = if fires {
                expected.lingers(value, &self.lines, direction)
            } else {
                strays(value - expected.centre, reach, direction)
            };
            // Only of what is odd it is worth asking whether it merely had few samples.
            if odd && let Some(scatter) = self.roster.get(slot).scatter {
                expected = expected.allowing_for(excess(scatter, slot, &self.slots, &self.roster));
                odd = if fires {
                    expected.lingers(value, &self.lines, direction)
                } else {
                    expected.is_odd(value, &self.lines, direction)
                };
            }
            let lines = &self.lines;
            self.roster.judge(slot, number, odd, || {
                let off = expected.deviation(value, lines);
                Verdict {
                    value: Some(value),
                    expected: Some(expected.centre),
                    stddev: Some(expected.assumed_spread()),
                    reach: Some(reach),
                    deviation: Some(off),
                    score: score(off, odd, direction, deviation),
                    above: off > 0.0,
                }
            });
        }
    }
}

/// By how much the variance of a feed's mean is larger than that of its peers' means, because it is of fewer samples; judged by
/// how samples scatter among the peers, whatever they do at the feed itself.
fn excess(scatter: Scatter, slot: Slot, slots: &[Slot], roster: &Roster<Feed>) -> Excess {
    let (mut squares, mut freedom, mut thinness, mut count) = (0.0, 0.0, 0.0, 0.0);
    for peer in slots.iter().filter(|other| **other != slot).filter_map(|other| roster.get(*other).scatter) {
        squares += peer.squares();
        freedom += peer.freedom();
        thinness += peer.thinness();
        count += 1.0;
    }
    Excess { variance: squares / freedom * (scatter.thinness() - thinness / count), freedom }
}

fn lines(cluster: &Cluster) -> Lines {
    Lines::new(cluster.deviation, degrees_of_freedom(cluster.center))
}

impl Feed {
    /// Puts the samples of several series together; whether there is a value.
    fn join(&mut self, number: i64, settings: &Settings) -> bool {
        let Some(joined) = &mut self.joined else { return true };
        let samples = joined.samples.take();
        let value = samples.as_ref().and_then(|s| s.statistic(settings.statistic, settings.interval_ms));
        self.scatter = samples.filter(|_| settings.statistic == Statistic::Mean).and_then(|s| s.scatter());
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
            None => subjects.history(self.only, statistic),
        }
    }

    fn series(&self) -> &[SeriesId] {
        self.joined.as_ref().map_or(std::slice::from_ref(&self.only), |joined| &joined.series)
    }

    /// Who sends it.
    fn origin<'a>(&self, names: &'a Names) -> &'a str {
        let first = self.series().first().and_then(|id| names.get(*id));
        first.map(Name::origin).unwrap_or_default()
    }

    /// Its name: the metric and the tags that make the group; all tags if it is one series.
    fn name(&self, group_by: &[String], names: &Names) -> SeriesName {
        match self.series() {
            [first, _, ..] => GroupName::of(*first, names, group_by)
                .map(|group| group.feed(self.origin(names)))
                .unwrap_or_default(),
            [only] => names.name(*only),
            [] => SeriesName::default(),
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
        let subject = match fired {
            Some(fired) => fired.data.series(),
            None => feed.name(&self.cluster.group_by, closing.names),
        };
        let peers: Vec<(&str, &Feed)> = group
            .feeds
            .iter()
            .filter(|slot| **slot != turned.slot)
            .map(|slot| roster.get(*slot))
            .filter(|peer| peer.latest == number)
            .map(|peer| (peer.origin(closing.names), peer))
            .collect();
        let measure = Measure::of(closing.plan);
        let unit = feed.series().first().map(|id| closing.unit(*id, &measure));
        let topic = Topic {
            subject: &subject,
            measure,
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
        let peers: Vec<&History> =
            group.feeds.iter().filter(|slot| **slot != turned.slot).filter_map(|slot| trace(*slot)).collect();
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
    fn bind(&mut self, id: SeriesId, subjects: &Subjects, names: &Names) -> Slot {
        let Self { groups, roster, settings, .. } = self;
        let group_by = &settings.cluster.group_by;
        let (Some(name), Some(packed)) = (GroupName::of(id, names, group_by), names.get(id)) else {
            unreachable!("a series has its name before it is bound")
        };
        let group_id = groups.find_or_make(name, |group| {
            GroupName::of(*roster.get(*group.feeds.first()?).series().first()?, names, group_by)
        });
        let group = groups.get_mut(group_id);
        match group.feeds.binary_search_by(|slot| roster.get(*slot).origin(names).cmp(packed.origin())) {
            Ok(place) => {
                let slot = group.feeds[place];
                let feed = roster.get_mut(slot);
                if feed.joined.is_none() {
                    let history = feed.history(subjects, settings.statistic).cloned().unwrap_or_default();
                    feed.joined = Some(Box::new(Joined { series: vec![feed.only], samples: None, history }));
                }
                if let Some(joined) = &mut feed.joined {
                    joined.series.push(id);
                }
                slot
            }
            Err(place) => {
                let feed = Feed {
                    group: group_id,
                    only: id,
                    value: f64::NAN,
                    scatter: None,
                    latest: i64::MIN,
                    joined: None,
                };
                let slot = roster.insert(feed);
                if group.feeds.is_empty() {
                    // Many groups never have a second feed.
                    group.feeds.reserve_exact(1);
                }
                group.feeds.insert(place, slot);
                slot
            }
        }
    }

    fn unbind(&mut self, slot: Slot, id: SeriesId, closing: &Closing<'_>, found: &mut Vec<Anomaly>) {
        let feed = self.roster.get_mut(slot);
        if let Some(joined) = &mut feed.joined {
            joined.series.retain(|other| *other != id);
        }
        if feed.joined.as_ref().is_none_or(|joined| joined.series.is_empty()) {
            let group = feed.group;
            self.roster.dismiss(slot, closing, found);
            self.groups.leave(group, slot);
        }
    }

    fn observe(&mut self, slot: Slot, sample: &Sample<'_>) {
        let feed = self.roster.get_mut(slot);
        if let (Some(joined), Some(samples)) = (&mut feed.joined, sample.samples) {
            match &mut joined.samples {
                Some(together) => together.merge(samples),
                none => *none = Some(samples.clone()),
            }
        } else if let Some(value) = sample.value {
            feed.value = value;
            feed.scatter = sample.scatter;
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

    fn save(&self, image: &mut Writer<'_>) {
        image.put(&(&self.groups, &self.roster));
    }

    fn restore(&mut self, image: &mut Reader<'_>) -> Result<(), ImageError> {
        let (groups, roster) = image.get::<(Groups, Roster<Feed>)>()?;
        self.groups = groups.named();
        self.roster.restore(roster);
        Ok(())
    }

    fn edit(&mut self, plan: &AnalyticPlan) {
        if let AnalyticKind::Cluster(cluster) = &plan.kind {
            self.settings.cluster = cluster.clone();
            self.lines = lines(cluster);
        }
        self.roster.set_persistence(plan.persistence);
    }

    fn keep_verdicts(&mut self) {
        self.roster.keep_verdicts();
    }

    fn take_verdicts(&mut self, out: &mut Vec<(Slot, Verdict)>) {
        self.roster.take_verdicts(out);
    }
}

/// A value whose square still is a number.
#[must_use]
pub fn usable(value: f64) -> Option<f64> {
    (value.abs() < 1e150).then_some(value)
}

#[cfg(test)]
mod tests;
