use std::os::unix::fs::PermissionsExt;

use kinetic_api::resources::enrollment::EnrollmentState;

use super::*;
use crate::token::Token;

fn spec(machine: &str) -> EnrollmentSpec {
    EnrollmentSpec {
        customer: "acme".parse().unwrap(),
        client: "web".parse().unwrap(),
        name: machine.to_owned(),
        csr: "-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n".to_owned(),
        key_fingerprint: format!("sha256:{}", "0".repeat(64)),
        address: "2001:db8::1".to_owned(),
        requested_at: "2026-11-21T12:00:00Z".to_owned(),
        token: Some("0123456789abcdef".to_owned()),
        renewal: None,
    }
}

fn id(digit: char) -> EnrollmentId {
    digit.to_string().repeat(32).parse().unwrap()
}

#[tokio::test]
async fn what_is_added_is_found_by_every_process() {
    let place = tempfile::tempdir().unwrap();
    let (one, other) = (FolderStore::open(place.path()).unwrap(), FolderStore::open(place.path()).unwrap());
    let added = one.add(&id('a'), spec("a")).await.unwrap();
    assert_eq!(other.find(&id('a')).await.unwrap(), Some(added.clone()));
    // The first stands.
    assert_eq!(other.add(&id('a'), spec("b")).await.unwrap(), added);
    assert_eq!(other.find(&id('b')).await.unwrap(), None);
    let mode = fs::metadata(place.path().join("enrollments")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
}

#[tokio::test]
async fn who_saw_an_older_one_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (one, other) = (FolderStore::open(place.path()).unwrap(), FolderStore::open(place.path()).unwrap());
    let seen = one.add(&id('a'), spec("a")).await.unwrap();
    let denied = EnrollmentStatus { state: EnrollmentState::Denied, ..EnrollmentStatus::default() };
    let now = other.set_status(&seen, denied.clone()).await.unwrap();
    assert!(matches!(one.set_status(&seen, denied).await, Err(StoreError::Changed(_))));
    assert!(matches!(one.remove(&seen).await, Err(StoreError::Changed(_))));
    assert_eq!(one.find(&id('a')).await.unwrap(), Some(now.clone()));
    one.remove(&now).await.unwrap();
    assert!(matches!(one.remove(&now).await, Err(StoreError::Changed(_))));
    assert_eq!(one.list().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_unreadable_does_not_hide_the_rest() {
    let place = tempfile::tempdir().unwrap();
    let store = FolderStore::open(place.path()).unwrap();
    let added = store.add(&id('a'), spec("a")).await.unwrap();
    let broken = place.path().join("enrollments").join(format!("{}.yaml", id('b')));
    fs::write(&broken, "{").unwrap();
    fs::write(broken.with_file_name("notes.txt"), "mine").unwrap();
    assert_eq!(store.list().await.unwrap(), [added]);
    let error = store.find(&id('b')).await.unwrap_err().to_string();
    assert!(error.contains(&id('b').to_string()), "{error}");
}

#[tokio::test]
async fn changes_of_others_are_seen() {
    let place = tempfile::tempdir().unwrap();
    let (one, other) = (FolderStore::open(place.path()).unwrap(), FolderStore::open(place.path()).unwrap());
    let mut changes = one.changes();
    other.add(&id('a'), spec("a")).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_mins(1), changes.changed()).await.unwrap().unwrap();
}

#[tokio::test]
async fn tokens_are_kept_hashed_and_for_their_owner() {
    let place = tempfile::tempdir().unwrap();
    let store = FolderStore::open(place.path()).unwrap();
    let token = Token::generate();
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    let record = TokenRecord::of(&token, "acme".parse().unwrap(), now, now);
    store.keep_token(&record).unwrap();
    assert_eq!(store.token(&token.id()).await.unwrap(), Some(record));
    assert_eq!(store.token(&Token::generate().id()).await.unwrap(), None);
    let file = place.path().join("tokens").join(format!("{}.yaml", token.id()));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(file).unwrap().contains(token.reveal()));
}
