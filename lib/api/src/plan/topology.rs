//! A Topology, ready to be run.

use std::collections::HashSet;

use super::{problem::Problem, ratio::RatioPlan};
use crate::{
    glob::Glob,
    names,
    resources::topology::{
        Absence, AbsenceOf, Analytic, Change, Cluster, Persistence, Retention, Source, SourceType, Stddev,
        Threshold, Topology,
    },
    statistic::Statistic,
};

/// A Topology, ready to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct TopologyPlan {
    /// The Topology's name.
    pub name: String,
    /// The customer's name.
    pub customer: String,
    /// Its sources, in the order in which they were written.
    pub sources: Vec<SourcePlan>,
    /// Its analytics, in the order in which they were written.
    pub analytics: Vec<AnalyticPlan>,
    /// How many analyzers share the work on each stream: 1 to [`MAX_PARTITIONS`].
    pub partitions: u8,
}

/// So many analyzers share a stream at most: one a shard.
pub const MAX_PARTITIONS: u8 = 64;

/// A source, ready to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcePlan {
    /// The source's name.
    pub name: String,
    /// The stream that holds it.
    pub stream: String,
    /// What its messages hold.
    pub kind: SourceType,
    /// Whose messages feed it; empty for all.
    pub profiles: Vec<String>,
    /// The windows' length in milliseconds; at least 1.
    pub interval_ms: i64,
    /// How long a window waits for late samples, in milliseconds.
    pub lateness_ms: i64,
    /// How much stays replayable.
    pub retention: Retention,
    /// Which feed a sample belongs to.
    pub origin: OriginRule,
}

/// Which feed a sample belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginRule {
    /// The value of a message header.
    Header(String),
    /// The value of a tag, which is taken out of the series' tags.
    Tag(String),
    /// The dotted segment of the metric with this number (from 0), which is taken out, if the metric fits the glob.
    Pattern {
        /// What the metric must fit, with `*` for the origin.
        glob: Glob,
        /// Which segment is the origin.
        segment: usize,
    },
}

/// An analytic, ready to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalyticPlan {
    /// The analytic's name.
    pub name: String,
    /// The source's place in [`TopologyPlan::sources`].
    pub source: usize,
    /// The series that it looks at.
    pub matches: SeriesMatch,
    /// The number that it looks at.
    pub statistic: Statistic,
    /// By what that is divided.
    pub ratio: Option<RatioPlan>,
    /// Whether it is the number's change that is looked at.
    pub change: Option<Change>,
    /// How often a series must be odd.
    pub persistence: Persistence,
    /// What counts as odd.
    pub kind: AnalyticKind,
}

/// What counts as odd.
#[derive(Clone, Debug, PartialEq)]
pub enum AnalyticKind {
    /// Any one feed against the other feeds of its group.
    Cluster(Cluster),
    /// A series against its own past.
    Stddev(Stddev),
    /// A series against a number.
    Threshold(ThresholdRule),
    /// A series, or the whole source, gone silent.
    Absence {
        /// After so many milliseconds.
        after_ms: i64,
        /// What must be silent.
        of: AbsenceOf,
    },
}

/// A threshold with hysteresis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ThresholdRule {
    /// Odd above `line`; once odd, over only below `clear` (≤ `line`).
    Above {
        /// Where it begins.
        line: f64,
        /// Where it ends.
        clear: f64,
    },
    /// Odd below `line`; once odd, over only above `clear` (≥ `line`).
    Below {
        /// Where it begins.
        line: f64,
        /// Where it ends.
        clear: f64,
    },
}

/// The series that an analytic looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesMatch {
    /// What the metric must fit.
    pub metric: Glob,
    /// What tags must fit: all of them.
    pub tags: Vec<(String, Glob)>,
}

impl SeriesMatch {
    /// Whether a series of this metric and these tags is looked at.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "iterators are passed by value, as everywhere")]
    pub fn matches<'a>(&self, metric: &str, tags: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> bool {
        self.metric.matches(metric)
            && self.tags.iter().all(|(key, glob)| tags.clone().any(|(k, v)| k == key && glob.matches(v)))
    }
}

impl TopologyPlan {
    /// Turns a Topology that its schema accepts into a plan.
    ///
    /// # Errors
    /// Everything that is wrong with it, field by field.
    pub fn new(topology: &Topology) -> Result<Self, Vec<Problem>> {
        let spec = &topology.spec;
        let name = topology.metadata.name.clone().unwrap_or_default();
        let mut problems = Vec::new();
        let partitions = u8::try_from(spec.analyzer.partitions).unwrap_or(u8::MAX);
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            problems.push(Problem::new(
                "spec.analyzer.partitions",
                format!("{} analyzers cannot share a stream", spec.analyzer.partitions),
                format!("use 1 to {MAX_PARTITIONS}"),
            ));
        }
        duplicates("spec.sources", spec.sources.iter().map(|s| &*s.name), &mut problems);
        duplicates("spec.analytics", spec.analytics.iter().map(|a| &*a.name), &mut problems);
        let sources: Vec<_> = spec
            .sources
            .iter()
            .enumerate()
            .filter_map(|(n, s)| source(&name, s, &format!("spec.sources[{n}]"), &mut problems))
            .collect();
        let analytics: Vec<_> = spec
            .analytics
            .iter()
            .enumerate()
            .filter_map(|(n, a)| analytic(a, &spec.sources, &format!("spec.analytics[{n}]"), &mut problems))
            .collect();
        if problems.is_empty() {
            Ok(Self { name, customer: spec.customer.to_string(), sources, analytics, partitions })
        } else {
            Err(problems)
        }
    }
}

fn duplicates<'a>(list: &str, names: impl Iterator<Item = &'a str>, problems: &mut Vec<Problem>) {
    let mut seen = HashSet::new();
    for (n, name) in names.enumerate() {
        if !seen.insert(name) {
            problems.push(Problem::new(
                format!("{list}[{n}].name"),
                format!("there is another `{name}`"),
                "give each a name of its own",
            ));
        }
    }
}

fn source(topology: &str, source: &Source, at: &str, problems: &mut Vec<Problem>) -> Option<SourcePlan> {
    let before = problems.len();
    let interval_ms = source.interval.as_millis();
    if !(100..=86_400_000).contains(&interval_ms) {
        problems.push(Problem::new(
            format!("{at}.interval"),
            format!("`{}` is no usable window", source.interval),
            "use 100ms to 24h; 10s is usual",
        ));
    }
    if source.lateness.as_millis() > 86_400_000 {
        problems.push(Problem::new(
            format!("{at}.lateness"),
            format!("`{}` would hold every window back for over a day", source.lateness),
            "use 24h at most; 10s is usual",
        ));
    }
    let origin = origin(source, at, problems)?;
    (problems.len() == before).then(|| SourcePlan {
        name: source.name.to_string(),
        stream: names::stream(topology, &source.name),
        kind: source.kind,
        profiles: source.profiles.iter().map(ToString::to_string).collect(),
        interval_ms,
        lateness_ms: source.lateness.as_millis(),
        retention: source.retention,
        origin,
    })
}

fn origin(source: &Source, at: &str, problems: &mut Vec<Problem>) -> Option<OriginRule> {
    let origin = &source.origin;
    match (&origin.header, &origin.tag, &origin.pattern) {
        (Some(header), None, None) => Some(OriginRule::Header(header.clone())),
        (None, Some(tag), None) => Some(OriginRule::Tag(tag.clone())),
        (None, None, Some(pattern)) => {
            let mut places = pattern.split('.').enumerate().filter(|(_, part)| part.contains("{origin}"));
            if let (Some((segment, "{origin}")), None) = (places.next(), places.next()) {
                let before_has_run = pattern.split('.').take(segment).any(|part| part.contains("**"));
                if !before_has_run && let Ok(glob) = pattern.replace("{origin}", "*").parse() {
                    return Some(OriginRule::Pattern { glob, segment });
                }
            }
            problems.push(Problem::new(
                format!("{at}.origin.pattern"),
                format!("`{pattern}` does not say which segment is the origin"),
                "write {origin} once, as a whole dotted segment with no ** before it, such as servers.{origin}.**",
            ));
            None
        }
        _ => {
            problems.push(Problem::new(
                format!("{at}.origin"),
                "exactly one of header, tag, pattern must be set",
                "keep one of them",
            ));
            None
        }
    }
}

fn analytic(a: &Analytic, sources: &[Source], at: &str, problems: &mut Vec<Problem>) -> Option<AnalyticPlan> {
    let before = problems.len();
    let source = sources.iter().position(|s| s.name == a.source);
    if source.is_none() {
        let known: Vec<_> = sources.iter().map(|s| &*s.name).collect();
        problems.push(Problem::new(
            format!("{at}.source"),
            format!("there is no source `{}`", a.source),
            format!("use one of: {}", known.join(", ")),
        ));
    }
    if a.persistence.windows == 0 || a.persistence.windows > a.persistence.of {
        problems.push(Problem::new(
            format!("{at}.persistence"),
            format!("{} of {} windows can never be odd", a.persistence.windows, a.persistence.of),
            "set windows to at least 1 and at most `of`",
        ));
    }
    let metric = a.matches.metric.parse::<Glob>();
    if metric.is_err() {
        problems.push(Problem::new(
            format!("{at}.match.metric"),
            "the pattern is empty",
            "write ** for everything",
        ));
    }
    let ratio = a
        .ratio
        .as_ref()
        .and_then(|ratio| RatioPlan::new(ratio, metric.as_ref().ok()?, a.statistic, at, problems));
    if a.absence.is_some() && (a.ratio.is_some() || a.change.is_some()) {
        problems.push(Problem::new(
            format!("{at}.{}", if a.ratio.is_some() { "ratio" } else { "change" }),
            "absence looks at whether samples come, not at numbers",
            "remove ratio and change, or use threshold, stddev or cluster",
        ));
    }
    let kind = kind(a, source.map(|n| &sources[n]), at, problems);
    if problems.len() > before {
        return None;
    }
    Some(AnalyticPlan {
        name: a.name.to_string(),
        source: source?,
        matches: SeriesMatch {
            metric: metric.ok()?,
            tags: a.matches.tags.iter().map(|(key, glob)| (key.clone(), Glob::flat(&glob.0))).collect(),
        },
        statistic: a.statistic,
        ratio,
        change: a.change,
        persistence: a.persistence,
        kind: kind?,
    })
}

fn kind(
    a: &Analytic,
    source: Option<&Source>,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<AnalyticKind> {
    match (&a.cluster, &a.stddev, &a.threshold, &a.absence) {
        (Some(cluster), None, None, None) => Some(AnalyticKind::Cluster(cluster.clone())),
        (None, Some(stddev), None, None) => self::stddev(stddev, source, at, problems),
        (None, None, Some(threshold), None) => self::threshold(threshold, at, problems),
        (None, None, None, Some(absence)) => self::absence(absence, source, at, problems),
        _ => {
            problems.push(Problem::new(
                at,
                "exactly one of cluster, stddev, threshold, absence must be set",
                "keep one of them; make an analytic of its own of each other",
            ));
            None
        }
    }
}

fn stddev(
    stddev: &Stddev,
    source: Option<&Source>,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<AnalyticKind> {
    if let Some(source) = source
        && stddev.baseline.as_millis() < 3 * source.interval.as_millis()
    {
        problems.push(Problem::new(
            format!("{at}.stddev.baseline"),
            format!("`{}` holds fewer than three windows of `{}`", stddev.baseline, source.interval),
            "use a longer baseline; 1h is usual",
        ));
        return None;
    }
    Some(AnalyticKind::Stddev(stddev.clone()))
}

fn threshold(threshold: &Threshold, at: &str, problems: &mut Vec<Problem>) -> Option<AnalyticKind> {
    let rule = match (threshold.above, threshold.below, threshold.clear_below, threshold.clear_above) {
        (Some(line), None, clear, None) if clear.is_none_or(|c| c <= line) => {
            ThresholdRule::Above { line, clear: clear.unwrap_or(line) }
        }
        (None, Some(line), None, clear) if clear.is_none_or(|c| c >= line) => {
            ThresholdRule::Below { line, clear: clear.unwrap_or(line) }
        }
        _ => {
            problems.push(Problem::new(
                format!("{at}.threshold"),
                "exactly one of above, below must be set, clearBelow (≤ above) only with above, clearAbove (≥ below) only with below",
                "write for example {above: 90, clearBelow: 85}",
            ));
            return None;
        }
    };
    Some(AnalyticKind::Threshold(rule))
}

fn absence(
    absence: &Absence,
    source: Option<&Source>,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<AnalyticKind> {
    let after_ms = absence.after.as_millis();
    if let Some(source) = source
        && after_ms < source.interval.as_millis()
    {
        problems.push(Problem::new(
            format!("{at}.absence.after"),
            format!("`{}` is shorter than a window of `{}`", absence.after, source.interval),
            "use at least the source's interval; a few times as long is usual",
        ));
        return None;
    }
    Some(AnalyticKind::Absence { after_ms, of: absence.of })
}
