//! What the watches tell of the objects that the operator makes or refers to: only their metadata, and of that only what is needed to see that one is still
//! as it was last read or written. So nothing is asked of the API server while nothing changes.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Resource, ResourceExt};

use crate::{build::labels::COMPONENT, certify::Kept};

/// What an object is called, among all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    kind: Cow<'static, str>,
    namespace: String,
    name: String,
}

impl Key {
    /// Of this kind.
    #[must_use]
    pub fn new<K: Resource<DynamicType = ()>>(namespace: &str, name: &str) -> Self {
        Self { kind: K::kind(&()), namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Of this object.
    #[must_use]
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        Self {
            kind: K::kind(&()),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }
}

/// A kind that is watched in one namespace, or in all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    kind: Cow<'static, str>,
    namespace: Option<String>,
}

impl Scope {
    /// Of this kind; `None` for all namespaces.
    #[must_use]
    pub fn new<K: Resource<DynamicType = ()>>(namespace: Option<&str>) -> Self {
        Self { kind: K::kind(&()), namespace: namespace.map(str::to_owned) }
    }

    fn holds(&self, key: &Key) -> bool {
        self.kind == key.kind && self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
    }
}

/// What was learned of an object when it was last read or written.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    /// What it was asked to be, as a hash.
    pub asked: Option<String>,
    /// So many of its pods are ready.
    pub ready: Option<u32>,
    /// The certificate in it.
    pub certificate: Option<Arc<Kept>>,
    /// What it holds: a Secret that a resource names, or of the operator's own.
    pub secret: Option<Arc<Secret>>,
}

/// All objects that are known.
#[derive(Debug, Default)]
pub struct Known(Mutex<Objects>);

#[derive(Debug, Default)]
struct Objects {
    all: HashMap<Key, Object>,
    /// By owner's UID.
    owned: HashMap<String, BTreeSet<Key>>,
    listed: HashSet<Scope>,
    /// What a list that is under way has brought so far.
    listing: HashMap<Scope, HashSet<Key>>,
    gone: VecDeque<(Instant, Key)>,
}

#[derive(Debug, Default)]
struct Object {
    seen: Seen,
    memo: Option<(u64, Memo)>,
}

/// What a watch said last of an object.
#[derive(Debug, Default)]
enum Seen {
    /// Nothing yet.
    #[default]
    Nothing,
    /// It is there.
    There { version: u64, uid: String, owner: Option<String>, component: Option<String> },
    /// It is not: what was read before is void.
    Gone { version: u64 },
}

/// The answer to a request may be so much later than what a watch tells of it: for so long it is remembered that something is gone.
const LATE: Duration = Duration::from_mins(5);

impl Known {
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was learned of an object, if a watch vouches that it is still so.
    #[must_use]
    pub fn memo(&self, key: &Key) -> Option<Memo> {
        let objects = self.objects();
        if !objects.watches(key) {
            return None;
        }
        let object = objects.all.get(key)?;
        let (version, memo) = object.memo.as_ref()?;
        (*version > 0 && *version >= object.seen.version()).then(|| memo.clone())
    }

    /// Whether a watch vouches that there is no such object.
    #[must_use]
    pub fn absent(&self, key: &Key) -> bool {
        let objects = self.objects();
        let unseen = |object: &Object| !matches!(object.seen, Seen::There { .. }) && object.memo.is_none();
        objects.watches(key) && objects.all.get(key).is_none_or(unseen)
    }

    /// Keeps what was learned of an object. `version` is its `resourceVersion`.
    pub fn learned(&self, key: Key, version: Option<&str>, learn: impl FnOnce(&mut Memo)) {
        let version = number(version);
        let mut objects = self.objects();
        let object = objects.all.entry(key).or_default();
        let mut memo = match object.memo.take() {
            Some((same, memo)) if same == version => memo,
            Some((newer, memo)) if newer > version => {
                object.memo = Some((newer, memo));
                return;
            }
            _ => Memo::default(),
        };
        learn(&mut memo);
        object.memo = Some((version, memo));
    }

    /// Adds to what was learned of an object just now.
    pub fn amend(&self, key: &Key, learn: impl FnOnce(&mut Memo)) {
        if let Some((_, memo)) = self.objects().all.get_mut(key).and_then(|object| object.memo.as_mut()) {
            learn(memo);
        }
    }

    /// Forgets what was learned of an object.
    pub fn forget(&self, key: &Key) {
        if let Some(object) = self.objects().all.get_mut(key) {
            object.memo = None;
        }
    }

    /// The objects of a kind and component that somebody owns: names and UIDs. `None` where they are not watched.
    #[must_use]
    pub fn owned<K: Resource<DynamicType = ()>>(
        &self,
        namespace: &str,
        owner: &str,
        of_component: &str,
    ) -> Option<Vec<(String, String)>> {
        let objects = self.objects();
        let kind = K::kind(&());
        if !objects.watches(&Key { kind: kind.clone(), namespace: namespace.to_owned(), name: String::new() })
        {
            return None;
        }
        let its = objects.owned.get(owner).into_iter().flatten().filter(|key| key.kind == kind);
        Some(
            its.filter_map(|key| match &objects.all.get(key)?.seen {
                Seen::There { uid, component, .. } if component.as_deref() == Some(of_component) => {
                    Some((key.name.clone(), uid.clone()))
                }
                _ => None,
            })
            .collect(),
        )
    }

    /// A watch begins anew with a list.
    pub fn listing(&self, scope: &Scope) {
        self.objects().listing.insert(scope.clone(), HashSet::new());
    }

    /// The list is complete: what it has not brought is gone.
    pub fn listed(&self, scope: &Scope) {
        let mut objects = self.objects();
        let brought = objects.listing.remove(scope).unwrap_or_default();
        let lost: Vec<_> =
            objects.all.keys().filter(|key| scope.holds(key) && !brought.contains(*key)).cloned().collect();
        for key in lost {
            objects.gone(&key, 0);
            // Whether it was made after the list or has gone before it is not known.
            if let Some(object) = objects.all.get_mut(&key) {
                object.memo = None;
            }
        }
        objects.listed.insert(scope.clone());
    }

    /// A watch tells that an object is there. Says whether that is news: neither read nor written by the operator itself.
    pub fn seen(&self, scope: &Scope, key: &Key, metadata: &ObjectMeta) -> bool {
        let mut objects = self.objects();
        if let Some(brought) = objects.listing.get_mut(scope) {
            brought.insert(key.clone());
        }
        let version = number(metadata.resource_version.as_deref());
        let owner = metadata.owner_references.as_ref().and_then(|all| all.first()).map(|o| o.uid.clone());
        let component = metadata.labels.as_ref().and_then(|labels| labels.get(COMPONENT)).cloned();
        objects.disown(key);
        if let Some(owner) = &owner {
            objects.owned.entry(owner.clone()).or_default().insert(key.clone());
        }
        let object = objects.all.entry(key.clone()).or_default();
        let uid = metadata.uid.clone().unwrap_or_default();
        object.seen = Seen::There { version, uid, owner, component };
        object.memo.as_ref().is_none_or(|(known, _)| *known < version)
    }

    /// A watch tells that an object is gone.
    pub fn gone(&self, key: &Key, metadata: &ObjectMeta) {
        self.objects().gone(key, number(metadata.resource_version.as_deref()));
    }

    /// So many objects are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects().all.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Objects {
    fn watches(&self, key: &Key) -> bool {
        let of = |namespace| self.listed.contains(&Scope { kind: key.kind.clone(), namespace });
        of(None) || of(Some(key.namespace.clone()))
    }

    fn disown(&mut self, key: &Key) {
        if let Some(Object { seen: Seen::There { owner: Some(owner), .. }, .. }) = self.all.get(key)
            && let Some(its) = self.owned.get_mut(owner)
        {
            its.remove(key);
            if its.is_empty() {
                let owner = owner.clone();
                self.owned.remove(&owner);
            }
        }
    }

    fn gone(&mut self, key: &Key, version: u64) {
        self.disown(key);
        let now = Instant::now();
        while let Some((_, past)) = self.gone.pop_front_if(|(since, _)| now.duration_since(*since) > LATE) {
            if self.all.get(&past).is_some_and(|object| matches!(object.seen, Seen::Gone { .. })) {
                self.all.remove(&past);
            }
        }
        let object = self.all.entry(key.clone()).or_default();
        let version = version.max(object.seen.version());
        object.seen = Seen::Gone { version };
        object.memo.take_if(|(known, _)| *known <= version);
        self.gone.push_back((now, key.clone()));
    }
}

impl Seen {
    fn version(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::There { version, .. } | Self::Gone { version } => *version,
        }
    }
}

/// A `resourceVersion`. Those of one kind can be compared as numbers (Kubernetes 1.35 promises what always held); one that is none is older than all.
fn number(version: Option<&str>) -> u64 {
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
