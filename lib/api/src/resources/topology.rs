//! A topology: which metrics are watched, and what counts as odd.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{condition::Condition, name::Name};
use crate::{duration::Duration, quantity::Bytes, statistic::Statistic};

/// Which of a customer's metrics are watched, and what counts as odd.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "kinetic.dev",
    version = "v1alpha1",
    kind = "Topology",
    plural = "topologies",
    namespaced,
    shortname = "ktopo",
    category = "kinetic",
    status = "TopologyStatus",
    derive = "PartialEq",
    cel,
    doc = "Which of a customer's metrics are watched, and what counts as odd.",
    printcolumn(name = "Customer", type_ = "string", json_path = ".spec.customer"),
    printcolumn(name = "Analyzers", type_ = "string", json_path = ".status.analyzers.ready"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = ("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 40", "metadata.name must be a DNS label of at most 40 characters: it becomes a part of routing keys")
)]
#[x_kube(validation = ("self.analytics.all(a, self.sources.exists(s, s.name == a.source))", "every analytic's source must be the name of one of spec.sources"))]
#[serde(rename_all = "camelCase")]
pub struct TopologySpec {
    /// The Customer whose metrics these are.
    #[x_kube(validation = ("self == oldSelf", "customer is immutable: create another Topology instead"))]
    pub customer: Name,
    /// The streams of metrics that are read.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(min = 1, max = 20))]
    pub sources: Vec<Source>,
    /// What is looked for in them.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(max = 100))]
    #[serde(default)]
    pub analytics: Vec<Analytic>,
    /// How the work is carried out.
    #[serde(default)]
    pub analyzer: Analyzer,
}

/// A stream of metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("duration(self.interval) >= duration('100ms') && duration(self.interval) <= duration('24h')", "interval must be 100ms to 24h"))]
#[x_kube(validation = ("duration(self.lateness) <= duration('24h')", "lateness must be 24h at most"))]
#[x_kube(validation = ("duration(self.retention.age) >= duration('1s')", "retention.age must be at least 1s"))]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The source's name.
    pub name: Name,
    /// What the messages hold: the first word of their routing key.
    #[serde(rename = "type")]
    pub kind: SourceType,
    /// Whose messages feed it; all profiles where absent.
    #[schemars(length(max = 50))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<Name>,
    /// The windows' length.
    #[serde(default = "ten_seconds")]
    pub interval: Duration,
    /// How long a window waits for samples that come late.
    #[serde(default = "ten_seconds")]
    pub lateness: Duration,
    /// How much of the stream stays replayable.
    #[serde(default)]
    pub retention: Retention,
    /// Which feed a sample belongs to; the message's `origin` header where absent.
    #[serde(default)]
    pub origin: Origin,
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// What a source's messages hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceType {
    /// statsd lines.
    Statsd,
    /// What collectd sends: its amqp plugin (PUTVAL, JSON or Graphite) or its network plugin.
    Collectd,
    /// Graphite's plaintext protocol.
    Graphite,
    /// `InfluxDB`'s line protocol.
    Influx,
    /// What Telegraf sends: `InfluxDB`'s line protocol or its JSON.
    Telegraf,
    /// Vector's metric events in JSON.
    Vector,
}

impl SourceType {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Statsd, Self::Collectd, Self::Graphite, Self::Influx, Self::Telegraf, Self::Vector];

    /// As resources and routing keys spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Statsd => "statsd",
            Self::Collectd => "collectd",
            Self::Graphite => "graphite",
            Self::Influx => "influx",
            Self::Telegraf => "telegraf",
            Self::Vector => "vector",
        }
    }
}

/// How much of a stream stays replayable; both bounds hold, age as a minimum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retention {
    /// How long.
    pub age: Duration,
    /// How many bytes.
    pub size: Bytes,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Duration::from_secs(86_400), size: one_gibibyte() }
    }
}

/// The pattern of [`Origin::pattern`]: the place once, as a whole segment, with no `**` before it.
pub const ORIGIN_PATTERN: &str = r"^(([^.{}*]|\*[^.{}*])*\*?\.)*\{origin\}(\.[^{}]*)?$";

/// Which feed a sample belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("(has(self.header) ? 1 : 0) + (has(self.tag) ? 1 : 0) + (has(self.pattern) ? 1 : 0) == 1", "exactly one of header, tag, pattern must be set"))]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The value of this message header.
    #[schemars(length(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The value of this tag, which is taken out of the series' tags.
    #[schemars(length(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The part of the metric's name that stands at `{origin}`, which is taken out of the name: `servers.{origin}.*`.
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = ORIGIN_PATTERN)
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

impl Default for Origin {
    fn default() -> Self {
        Self { header: Some("origin".into()), tag: None, pattern: None }
    }
}

/// Something that is looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("(has(self.cluster) ? 1 : 0) + (has(self.stddev) ? 1 : 0) + (has(self.threshold) ? 1 : 0) + (has(self.absence) ? 1 : 0) == 1", "exactly one of cluster, stddev, threshold, absence must be set"))]
// Schemas alone would let a deviation of 0 in: of a whole number an API server compares a bound's whole part only.
#[x_kube(validation = ("!has(self.cluster) || self.cluster.deviation >= 0.1", "cluster.deviation must be at least 0.1"))]
#[x_kube(validation = ("!has(self.stddev) || self.stddev.deviation >= 0.1", "stddev.deviation must be at least 0.1"))]
#[x_kube(validation = ("!has(self.absence) || !(has(self.ratio) || has(self.change))", "absence looks at whether samples come, not at numbers: ratio and change do not go with it"))]
#[serde(rename_all = "camelCase")]
pub struct Analytic {
    /// The analytic's name.
    pub name: Name,
    /// The source that it looks at.
    pub source: Name,
    /// The series that it looks at.
    #[serde(rename = "match")]
    pub matches: Match,
    /// The number that it looks at.
    #[serde(default)]
    pub statistic: Statistic,
    /// Divides the number by that of another series: errors ÷ requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
    /// Looks at how the number (or the ratio) changes from one window to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// How often a series must be odd to be told of.
    #[serde(default)]
    pub persistence: Persistence,
    /// Any one feed against the other feeds of its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// A series against its own past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stddev: Option<Stddev>,
    /// A series against a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
    /// A series, or the whole source, gone silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absence: Option<Absence>,
}

/// The series that an analytic looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// A glob over the metric: `*` within a dotted segment, `**` across segments.
    #[schemars(length(min = 1, max = 200))]
    pub metric: String,
    /// Globs over tags; all must fit.
    #[schemars(extend("maxProperties" = 20))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, TagGlob>,
}

/// A glob over a tag's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct TagGlob(#[schemars(length(max = 200))] pub String);

/// Divides an analytic's number by that of another series of the same origin and tags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ratio {
    /// The metric to divide by, with as many wildcards as `match.metric`: each stands for what the one in its place there does.
    #[schemars(length(min = 1, max = 200))]
    pub denominator: String,
    /// The number of it to divide by; the analytic's own statistic where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<Statistic>,
    /// Where there is less to divide by, the window has no value.
    #[schemars(range(min = 0.0))]
    #[serde(default = "one")]
    pub min_denominator: f64,
    /// Tags that one of the two may have without the other: series that differ in nothing else are put together.
    #[schemars(length(max = 10), inner(length(min = 1, max = 100)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_tags: Vec<String>,
}

const fn one() -> f64 {
    1.0
}

/// How a number changes from one window to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Change {
    /// The difference to the window before, by the seconds between them.
    PerSecond,
    /// The difference to the window before.
    PerWindow,
}

/// A series is told of when `windows` of its last `of` windows were odd, and clears when none of the last `of` was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("self.windows <= self.of", "windows must not be more than of"))]
#[serde(rename_all = "camelCase")]
pub struct Persistence {
    /// So many windows must be odd.
    #[schemars(range(min = 1, max = 60))]
    #[serde(default = "two")]
    pub windows: u8,
    /// Of so many.
    #[schemars(range(min = 1, max = 60))]
    #[serde(default = "three")]
    pub of: u8,
}

const fn two() -> u8 {
    2
}

const fn three() -> u8 {
    3
}

impl Default for Persistence {
    fn default() -> Self {
        Self { windows: 2, of: 3 }
    }
}

/// To which side a series may stray to be odd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Direction {
    /// Upwards only.
    Above,
    /// Downwards only.
    Below,
    /// Both ways.
    #[default]
    Both,
}

/// What a feed's peers are summed up by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Center {
    /// Mean and standard deviation.
    #[default]
    Mean,
    /// Median and 1.4826 × the median absolute deviation: a second odd feed does not hide the first.
    Median,
}

/// The least spread that is assumed, so that identical peers do not make noise an anomaly: the larger of the two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MinStddev {
    /// In the metric's own unit.
    #[schemars(range(min = 0.0))]
    pub absolute: f64,
    /// As a part of the expected value.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub relative: f64,
}

impl Default for MinStddev {
    fn default() -> Self {
        Self { absolute: 0.001, relative: 0.01 }
    }
}

/// Any one feed against the other feeds of its group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Cluster {
    /// How many standard deviations of a normal distribution are odd.
    #[schemars(range(min = 0.1, max = 100.0))]
    pub deviation: f64,
    /// To which side.
    pub direction: Direction,
    /// What the peers are summed up by.
    pub center: Center,
    /// Tags that make a group of their own; the metric always does.
    #[schemars(length(max = 10), inner(length(min = 1, max = 100)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// With fewer feeds nothing is said.
    #[schemars(range(min = 3, max = 1000))]
    pub min_feeds: u32,
    /// The least spread that is assumed.
    pub min_stddev: MinStddev,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            deviation: 4.0,
            direction: Direction::Both,
            center: Center::Mean,
            group_by: Vec::new(),
            min_feeds: 3,
            min_stddev: MinStddev::default(),
        }
    }
}

/// A series against its own past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Stddev {
    /// How many standard deviations of a normal distribution are odd.
    #[schemars(range(min = 0.1, max = 100.0))]
    pub deviation: f64,
    /// To which side.
    pub direction: Direction,
    /// How far the past reaches: the time over which weights fall to a third (1/e).
    pub baseline: Duration,
    /// So many windows are learned before anything is said.
    #[schemars(range(min = 3, max = 10_000))]
    pub warmup: u32,
    /// The least spread that is assumed.
    pub min_stddev: MinStddev,
}

impl Default for Stddev {
    fn default() -> Self {
        Self {
            deviation: 4.0,
            direction: Direction::Both,
            baseline: Duration::from_secs(3600),
            warmup: 30,
            min_stddev: MinStddev::default(),
        }
    }
}

/// A series against a number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("has(self.above) != has(self.below)", "exactly one of above, below must be set"))]
#[x_kube(validation = ("!has(self.clearBelow) || (has(self.above) && self.clearBelow <= self.above)", "clearBelow goes with above, and must not be more than it"))]
#[x_kube(validation = ("!has(self.clearAbove) || (has(self.below) && self.clearAbove >= self.below)", "clearAbove goes with below, and must not be less than it"))]
#[serde(rename_all = "camelCase")]
pub struct Threshold {
    /// Odd when above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Odd when below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// Once above, over only when below this (hysteresis); `above` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_below: Option<f64>,
    /// Once below, over only when above this (hysteresis); `below` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_above: Option<f64>,
}

/// A series, or the whole source, gone silent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("duration(self.after) >= duration('100ms')", "after must be at least 100ms, and no shorter than its source's interval"))]
#[serde(rename_all = "camelCase")]
pub struct Absence {
    /// After so long without a sample.
    pub after: Duration,
    /// What must be silent.
    #[serde(default)]
    pub of: AbsenceOf,
}

/// What an absence is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AbsenceOf {
    /// Any one series that matches, once it has been seen.
    #[default]
    Series,
    /// All of them together, whether one was ever seen or not.
    Source,
}

/// How the work is carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Analyzer {
    /// The work on a stream is shared out over so many analyzers.
    #[schemars(range(min = 1, max = 64))]
    pub partitions: u32,
    /// What an analyzer's container may use, as a container's `resources`; what the platform gives all analyzers where absent.
    #[schemars(schema_with = "open_object")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<serde_json::Value>,
    /// Another image than Kinetic's own: any program that speaks AMQP to localhost.
    #[schemars(length(min = 1, max = 500), regex(pattern = r"^\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Keeps what an analyzer knows on a `PersistentVolumeClaim`; with its pod where absent. Without it an analyzer that starts reads its streams again, as far as
    /// they are retained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
}

impl Default for Analyzer {
    fn default() -> Self {
        Self { partitions: 1, resources: None, image: None, checkpoint: None }
    }
}

/// A `PersistentVolumeClaim` for each partition, called as its `StatefulSet`. It is deleted, with what is on it, when the partition or this field goes: what was
/// there can be made again from the streams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("quantity(self.size).compareTo(quantity('1Mi')) >= 0", "size must be at least 1Mi"))]
#[x_kube(validation = ("quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0", "size can only grow, as a claim's: take checkpoint out, and put it back when the claims are gone"))]
#[x_kube(validation = ("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)", "storageClassName is immutable, as a claim's: take checkpoint out, and put it back when the claims are gone"))]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// How large it is. It can grow, where the storage class allows that.
    #[serde(default = "one_gibibyte")]
    pub size: Bytes,
    /// Of which storage class it is; of the cluster's default where absent.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

const fn one_gibibyte() -> Bytes {
    Bytes::new(1 << 30)
}

fn open_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// What is known of a Topology.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopologyStatus {
    /// How many analyzers there are and should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analyzers: Option<AnalyzersStatus>,
    /// The analytics, one by one.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analytics: Vec<AnalyticStatus>,
    /// `Ready`, `AnalyzersReady`, `SourcesLive`.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 20))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// How many analyzers there are and should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalyzersStatus {
    /// Analyzers that are connected.
    pub ready: u32,
    /// Analyzers that should be.
    pub wanted: u32,
}

/// What is known of an analytic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalyticStatus {
    /// The analytic.
    #[schemars(length(max = 40))]
    pub name: String,
    /// Whether it can say anything.
    pub state: AnalyticState,
    /// Why not.
    #[schemars(length(max = 1000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Findings of windows that ended before (RFC 3339) are history.
    #[schemars(length(max = 40))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_since: Option<String>,
    /// What the analytic was then, as a hash: an edit makes its past history.
    #[schemars(length(max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

/// Whether an analytic can say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AnalyticState {
    /// It learns, and says nothing yet.
    WarmingUp,
    /// It watches.
    Active,
    /// With these settings, or so few feeds, it can never fire.
    Unsatisfiable,
}
