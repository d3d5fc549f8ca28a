//! What the roles act on: resources parsed once into types in which wrong states cannot be written down.

mod alert;
mod problem;
mod ratio;
mod topology;

pub use self::{
    alert::{AlertPlan, GroupKey, ReceiverPlan},
    problem::Problem,
    ratio::RatioPlan,
    topology::{
        AnalyticKind, AnalyticPlan, MAX_PARTITIONS, OriginRule, SeriesMatch, SourcePlan, ThresholdRule,
        TopologyPlan,
    },
};
