//! From a resource that was validated to the objects that it wants: pure, a file an object.

pub mod alert_keys;
pub mod api_keys;
pub mod certificate;
pub mod claim;
pub mod client_files;
pub mod config_map;
pub mod disruption_budget;
pub mod labels;
pub mod leaf_secret;
pub mod network_policy;
pub mod pod;
pub mod redirector;
pub mod settings;
pub mod stateful_set;
