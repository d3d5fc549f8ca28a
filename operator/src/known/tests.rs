use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};

use super::*;

fn key() -> Key {
    Key::new::<Secret>("shops", "web")
}

fn at(version: &str) -> ObjectMeta {
    ObjectMeta {
        resource_version: Some(version.to_owned()),
        uid: Some("uid-web".to_owned()),
        owner_references: Some(vec![OwnerReference { uid: "owner".to_owned(), ..OwnerReference::default() }]),
        labels: Some([(COMPONENT.to_owned(), "analyzer".to_owned())].into()),
        ..ObjectMeta::default()
    }
}

fn learn(known: &Known, version: &str) {
    known.learned(key(), Some(version), |memo| memo.asked = Some(version.to_owned()));
}

fn asked(known: &Known) -> Option<String> {
    known.memo(&key()).and_then(|memo| memo.asked)
}

/// Watching a namespace that holds these already.
fn watching(there: &[ObjectMeta]) -> (Known, Scope) {
    let (known, scope) = (Known::default(), Scope::new::<Secret>(Some("shops")));
    known.listing(&scope);
    for metadata in there {
        known.seen(&scope, &key(), metadata);
    }
    known.listed(&scope);
    (known, scope)
}

#[test]
fn nothing_is_believed_that_no_watch_vouches_for() {
    let known = Known::default();
    learn(&known, "5");
    assert!(asked(&known).is_none() && !known.absent(&key()));
    let (known, _) = watching(&[]);
    assert!(known.absent(&key()));
    learn(&known, "5");
    assert_eq!(asked(&known).as_deref(), Some("5"), "its own write, before the watch tells of it");
    assert!(!known.absent(&key()));
    let elsewhere = Key::new::<Secret>("other", "web");
    known.learned(elsewhere.clone(), Some("5"), |_| {});
    assert!(known.memo(&elsewhere).is_none(), "another namespace is not watched");
    known.learned(key(), Some("unheard of"), |memo| memo.asked = None);
    assert_eq!(asked(&known).as_deref(), Some("5"));
}

#[test]
fn what_somebody_else_does_is_news_and_its_own_writes_are_none() {
    let (known, scope) = watching(&[at("3")]);
    learn(&known, "5");
    assert!(!known.seen(&scope, &key(), &at("4")), "older than its own write");
    assert!(!known.seen(&scope, &key(), &at("5")));
    assert!(asked(&known).is_some());
    assert!(known.seen(&scope, &key(), &at("6")));
    assert!(asked(&known).is_none());
    learn(&known, "5");
    assert!(asked(&known).is_none(), "an answer that came late");
    learn(&known, "6");
    assert!(asked(&known).is_some());
}

#[test]
fn what_is_gone_is_read_anew() {
    let (known, scope) = watching(&[at("3")]);
    learn(&known, "3");
    known.gone(&key(), &at("7"));
    assert!(asked(&known).is_none() && known.absent(&key()));
    learn(&known, "5");
    assert!(asked(&known).is_none(), "an answer from before it went");
    learn(&known, "8");
    assert!(asked(&known).is_some(), "made anew");
    // What a list does not bring has gone while nobody watched.
    known.listing(&scope);
    known.listed(&scope);
    assert!(asked(&known).is_none());
}

#[test]
fn owners_have_what_the_watches_show() {
    let (known, scope) = watching(&[at("3")]);
    let its = || known.owned::<Secret>("shops", "owner", "analyzer");
    assert_eq!(its(), Some(vec![("web".to_owned(), "uid-web".to_owned())]));
    assert_eq!(known.owned::<Secret>("shops", "owner", "client"), Some(vec![]));
    assert_eq!(known.owned::<ConfigMap>("shops", "owner", "analyzer"), None, "not watched");
    known.seen(&scope, &key(), &ObjectMeta { owner_references: None, ..at("4") });
    assert_eq!(its(), Some(vec![]));
    known.seen(&scope, &key(), &at("5"));
    known.gone(&key(), &at("6"));
    assert_eq!(its(), Some(vec![]));
}
