//! The second home of resources: a Kubernetes API server.
//!
//! ```text
//! watches (a store a kind and namespace) ─▶ sift (what fits together, and what is left out) ─▶ Snapshot
//! ```
//!
//! Reading is lenient where files are strict: what cannot be read, or does not fit, is left out and told of; the rest goes on.

mod sift;
pub mod store;
mod watch;

use crate::problem::Kind;

pub use self::watch::watch;

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The namespaces; all of them where empty.
    pub namespaces: Vec<String>,
    /// The kinds: who need not know Alerts needs no right to read them.
    pub kinds: Vec<Kind>,
}
