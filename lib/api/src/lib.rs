//! Kinetic's resources, messages and identifiers as plain types; no I/O, nothing of ours below it.
//!
//! [`resources`] holds what a user writes (the wire form, with schemas), [`plan`] what the roles act on (parsed once,
//! wrong states gone), [`anomaly`] what analyzers tell the alert service, [`names`] how things are called on a broker.

pub mod anomaly;
pub mod duration;
pub mod glob;
pub mod names;
pub mod plan;
pub mod quantity;
pub mod resources;
pub mod series;
pub mod statistic;

/// The API group of every resource.
pub const GROUP: &str = "kinetic.dev";
/// The API version of every resource.
pub const VERSION: &str = "v1alpha1";
