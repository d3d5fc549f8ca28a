//! Where resources live: files of YAML, or a Kubernetes API server; listed, checked against each other and watched.
//!
//! ```text
//! files ─▶ yaml (trees that know their lines) ─▶ document (schema, plan, CEL rules) ─▶ references ─▶ Snapshot
//! ```
//!
//! Files: [`load()`] lists what there is with every problem at once, [`watch()`] follows the edits; editing a file is applying a resource.
//! An API server: [`cluster::watch()`] follows what there is, by the same receivers.

mod adjust;
pub mod cluster;
mod definition;
mod document;
mod edit;
mod field;
mod files;
pub mod folder;
mod load;
mod problem;
mod references;
mod schema;
mod snapshot;
mod watch;
mod written;
mod yaml;

pub use self::{
    adjust::adjust,
    field::check_field,
    load::load,
    problem::{DEFAULT_NAMESPACE, Kind, Place, Position, Problem, ResourceId},
    snapshot::{CustomerPlan, Entry, Snapshot},
    watch::{Changes, Reload, watch},
    written::{Written, written, written_in},
};
