//! Kinetic's resources, messages and identifiers as plain types; no I/O, nothing of ours below it.
//!
//! [`resources`] holds what a user writes (the wire form, with schemas), [`plan`] what the roles act on (parsed once,
//! wrong states gone), [`anomaly`] what analyzers tell the alert service,
//! [`control`] what analyzers are asked, [`names`] how things are called on a broker,
//! [`observed`] what an analyzer tells of the series that it sees.

pub mod address;
pub mod anomaly;
pub mod control;
pub mod duration;
pub mod fitness;
pub mod glob;
pub mod machine;
pub mod names;
pub mod observed;
pub mod plan;
pub mod quantity;
pub mod registry;
pub mod resources;
pub mod role;
pub mod series;
pub mod statistic;
pub mod suggest;

/// The API group of every resource.
pub const GROUP: &str = "kinetic.dev";
/// The API version of every resource.
pub const VERSION: &str = "v1alpha1";
