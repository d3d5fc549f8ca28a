//! `kinetic token list` and `revoke` beside `create`.

use std::process::Output;

use jiff::{Timestamp, ToSpan};
use kinetic_enroll::{Token, TokenRecord};
use kinetic_redirector::enroll::IntakeSettings;
use serde_json::Value;

use crate::rig::{ALLOW, Rig, err, out, rig};

async fn token(rig: &Rig, args: &[&str]) -> Output {
    let data = rig.data().display().to_string();
    rig.kinetic(&[&["token"], args, &["--dir", &data]].concat(), None).await
}

async fn listed(rig: &Rig, more: &[&str]) -> Vec<Value> {
    let listed = token(rig, &[&["list", "--json"], more].concat()).await;
    serde_json::from_str(&out(&listed)).unwrap_or_else(|error| panic!("{error}: {}", err(&listed)))
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_listed_by_what_came_of_them() {
    let rig = rig(ALLOW, IntakeSettings::default()).await;
    assert!(listed(&rig, &[]).await.is_empty());
    let old = Timestamp::now() - 2.hours();
    let over = TokenRecord::of(&Token::generate(), "acme".parse().unwrap(), old, old + 1.hour());
    rig.store.keep_token(&over).unwrap();
    let (acme, _beta) = (rig.token("acme").await, rig.token("beta").await);
    assert!(rig.enroll("web-1", "web-1", &acme, &["--wait"]).await.status.success());
    assert_eq!(rig.enroll("db-1", "db-1", &acme, &[]).await.status.code(), Some(75));

    let all = listed(&rig, &[]).await;
    let told = |one: &Value| {
        (one["customer"].clone(), one["valid"].clone(), one["requests"].clone(), one["issued"].clone())
    };
    let expected = [("acme", false, 0, 0), ("acme", true, 2, 1), ("beta", true, 0, 0)];
    let expected = expected.map(|(customer, valid, requests, issued)| {
        (Value::from(customer), Value::from(valid), Value::from(requests), Value::from(issued))
    });
    assert_eq!(all.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(listed(&rig, &["--customer", "beta"]).await.len(), 1);
    let text = out(&token(&rig, &["list"]).await);
    assert!(
        text.starts_with("3 tokens in the folder ") && text.contains("; 2 requests, 1 certificates"),
        "{text}"
    );
    assert!(text.contains("ran out") && !text.contains("ket_"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_lets_nobody_in() {
    let rig = rig(ALLOW, IntakeSettings::default()).await;
    let (leaked, other) = (rig.token("acme").await, rig.token("acme").await);
    assert_eq!(rig.enroll("db-1", "db-1", &leaked, &[]).await.status.code(), Some(75));
    let id = leaked.parse::<Token>().unwrap().id().to_string();

    // What names none, or the secret itself, changes nothing, also beside one that is right.
    let by_itself = token(&rig, &["revoke", &id, &leaked]).await;
    assert!(
        err(&by_itself).contains("name its id") && !err(&by_itself).contains(&leaked),
        "{}",
        err(&by_itself)
    );
    let unknown = token(&rig, &["revoke", &id, "xyz"]).await;
    assert!(!unknown.status.success() && err(&unknown).contains("no token's id begins"), "{}", err(&unknown));
    assert_eq!(listed(&rig, &[]).await.len(), 2);

    let revoked = token(&rig, &["revoke", &id[..10]]).await;
    assert!(revoked.status.success(), "{}", err(&revoked));
    let said = out(&revoked);
    assert!(said.contains(&format!("revoked: token {id} for acme")) && said.contains("1 requests"), "{said}");
    let refused = rig.enroll("web-1", "web-1", &leaked, &[]).await;
    assert!(err(&refused).contains("No valid enrolment token"), "{}", err(&refused));
    assert!(rig.enroll("web-1", "web-1", &other, &["--wait"]).await.status.success());
    let again = token(&rig, &["revoke", &id]).await;
    assert!(!again.status.success(), "{}", out(&again));
}
