//! What collectd sends: value lists, as text ([`putval`]), as JSON ([`json`](super::json)), as Graphite paths
//! ([`graphite`](super::graphite)) and as packets ([`network`]).
//!
//! A value list is named `host/plugin[-instance]/type[-instance]` ([`identifier`]); how many values it has, what they are called and
//! what they mean follows from its type ([`types_db`]).

pub mod data_source;
pub mod identifier;
pub mod network;
pub mod putval;
mod standard_types;
pub mod types_db;
