//! What a watch has told of the objects of a kind: each as it was last.

use std::{
    collections::BTreeMap,
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{Stream, StreamExt};
use kube::{
    Resource, ResourceExt,
    runtime::watcher::{self, Event},
};
use tokio::sync::watch;
use tracing::warn;

/// Name, then namespace.
type Id = (String, String);

/// The objects of a namespace, or of all; clones share it.
#[derive(Debug)]
pub(super) struct Table<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    rows: Mutex<BTreeMap<Id, Arc<T>>>,
    listed: watch::Sender<bool>,
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Table<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner { rows: Mutex::default(), listed: watch::Sender::new(false) }))
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<Id, Arc<T>>> {
        self.0.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything has been listed once.
    pub(super) async fn listed(&self) {
        // The sender lives as long as the table.
        let _ = self.0.listed.subscribe().wait_for(|listed| *listed).await;
    }

    pub(super) fn all(&self) -> Vec<Arc<T>> {
        self.rows().values().cloned().collect()
    }

    /// Those of a name, one a namespace.
    pub(super) fn named(&self, name: &str) -> Vec<Arc<T>> {
        let rows = self.rows();
        let from = rows.range((name.to_owned(), String::new())..);
        from.take_while(|((other, _), _)| other == name).map(|(_, row)| Arc::clone(row)).collect()
    }

    /// Follows a watch for as long as it goes; `changed` is called after each change. While it tells nothing, what it told holds. What cannot be `read` is
    /// left out.
    pub(super) async fn follow<K: Resource>(
        self,
        events: impl Stream<Item = watcher::Result<Event<K>>>,
        read: impl Fn(K) -> Option<T>,
        changed: impl Fn(),
    ) {
        let mut events = pin!(events);
        let (mut away, mut listing) = (false, BTreeMap::new());
        let mut complete = false;
        let id = |object: &K| (object.name_any(), object.namespace().unwrap_or_default());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listing.clear(),
                Ok(Event::InitApply(object)) => {
                    let id = id(&object);
                    listing.extend(read(object).map(|row| (id, Arc::new(row))));
                    continue;
                }
                Ok(Event::InitDone) => {
                    *self.rows() = mem::take(&mut listing);
                    complete = true;
                }
                Ok(Event::Apply(object)) => {
                    let id = id(&object);
                    match read(object) {
                        Some(row) => self.rows().insert(id, Arc::new(row)),
                        None => self.rows().remove(&id),
                    };
                }
                Ok(Event::Delete(object)) => drop(self.rows().remove(&id(&object))),
                Err(error) => {
                    if !mem::replace(&mut away, true) {
                        warn!(%error, "the API server does not tell of enrolments: what was known of them holds, and it is tried again");
                    }
                    continue;
                }
            }
            away = false;
            changed();
            // Whoever waited for the list finds also what was made of it.
            if mem::take(&mut complete) {
                self.0.listed.send_replace(true);
            }
        }
    }
}
