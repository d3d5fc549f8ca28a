//! What the roles act on: resources parsed once into types in which wrong states cannot be written down.

mod alert;
mod problem;
mod topology;

pub use self::{
    alert::{AlertPlan, GroupKey, ReceiverPlan},
    problem::Problem,
    topology::{
        AnalyticKind, AnalyticPlan, OriginRule, SeriesMatch, SourcePlan, ThresholdRule, TopologyPlan,
    },
};
