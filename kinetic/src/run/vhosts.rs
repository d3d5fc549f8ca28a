//! The customers' vhosts that a process is connected to, for those who ask its analyzers.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use kinetic_bus::Bus;

/// The ways to the vhosts, by name; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vhosts(Arc<RwLock<BTreeMap<String, Bus>>>);

impl Vhosts {
    pub(crate) fn insert(&self, name: String, bus: Bus) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name, bus);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    pub(crate) fn list(&self) -> Vec<(String, Bus)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|(name, bus)| (name.clone(), bus.clone())).collect()
    }
}
