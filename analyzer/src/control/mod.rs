//! An analyzer's live configuration object: the parameters of its plan that can change in place, as a flat map of keys to values
//! (`slow-host.deviation: 1.0`), and the overrides that people put over them; pure.
//!
//! A key is the name of an analytic or a source and the path of the field as the resource has it, without the kind of the analytic:
//! `slow-host.minStddev.relative`, `slow-host.persistence.windows`, `pages.lateness`. What decides which windows of which series are
//! looked at (see [`structure`](crate::detect::structure)) is no key: it needs the stream to be read again, which is an edit of the Topology.

mod configuration;
mod overrides;
mod part;
mod refusal;

pub use self::{
    configuration::{Configuration, apply},
    overrides::{Decided, Ended, Followed, Override, Overrides, changes},
};

#[cfg(test)]
mod tests;
