//! What an edit changed.

use std::fmt;

use crate::{
    problem::ResourceId,
    snapshot::{Entry, Snapshot},
};

/// The resources that an edit touched; displayed as `added Alert checkout; changed Topology web`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New ones.
    pub added: Vec<ResourceId>,
    /// Those that say something else now.
    pub changed: Vec<ResourceId>,
    /// Those that are gone.
    pub removed: Vec<ResourceId>,
}

impl Changes {
    /// What is different in `new`; where a resource is written does not matter.
    pub(crate) fn between(old: &Snapshot, new: &Snapshot) -> Self {
        let mut changes = Self::default();
        changes.add(&old.customers, &new.customers);
        changes.add(&old.topologies, &new.topologies);
        changes.add(&old.alerts, &new.alerts);
        changes
    }

    fn add<R: PartialEq, P>(&mut self, old: &[Entry<R, P>], new: &[Entry<R, P>]) {
        let same = |a: &Entry<R, P>, b: &Entry<R, P>| a.id == b.id;
        for entry in new {
            match old.iter().find(|known| same(known, entry)) {
                None => self.added.push(entry.id.clone()),
                Some(known) if known.resource != entry.resource => self.changed.push(entry.id.clone()),
                Some(_) => {}
            }
        }
        self.removed.extend(old.iter().filter(|e| !new.iter().any(|n| same(n, e))).map(|e| e.id.clone()));
    }

    /// Whether nothing is different.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        let mut first = true;
        for (verb, ids) in [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)] {
            if ids.is_empty() {
                continue;
            }
            write!(f, "{}{verb} ", if first { "" } else { "; " })?;
            first = false;
            for (n, id) in ids.iter().enumerate() {
                write!(f, "{}{id}", if n == 0 { "" } else { ", " })?;
            }
        }
        Ok(())
    }
}
