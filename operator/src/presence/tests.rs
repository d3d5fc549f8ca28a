use kinetic_api::resources::customer::ClientState::{Absent, Connected};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{ask::Asked, http};

fn clients(customers: &serde_json::Value) -> Clients {
    serde_json::from_value(json!({"customers": customers})).unwrap()
}

fn web() -> Clients {
    clients(&json!({"acme": ["web"]}))
}

/// Looks, each so many seconds after the beginning; then what is said of acme's web, where it was `before`.
fn said(
    looks: Vec<(u64, Vec<Option<Clients>>)>,
    before: Option<ClientState>,
    now: u64,
) -> Option<ClientState> {
    let begin = Instant::now();
    let at = |seconds| begin + Duration::from_secs(seconds);
    let mut told = Told::new(at(0));
    for (seconds, answers) in looks {
        told.hear(answers, at(seconds));
    }
    told.state("acme", "web", before, at(now))
}

#[test]
fn whoever_is_connected_to_one_of_them_is_connected() {
    assert_eq!(said(vec![(0, vec![Some(Clients::default()), Some(web())])], None, 1), Some(Connected));
    // It is enough that one of them says so.
    assert_eq!(said(vec![(0, vec![None, Some(web())])], Some(Absent), 1), Some(Connected));
    // From one front door to another, or away for a moment.
    let nobody = Some(Clients::default());
    let moved =
        [(0, vec![Some(web()), nobody.clone()]), (25, vec![nobody.clone()]), (50, vec![nobody, Some(web())])];
    for now in [1, 26, 51, 75, 109] {
        let looks = moved.iter().filter(|(at, _)| *at <= now).cloned().collect();
        assert_eq!(said(looks, None, now), Some(Connected), "after {now} s");
    }
}

#[test]
fn absent_is_who_was_at_none_of_them_for_a_minute() {
    let looks = |last: u64| {
        (0..=last)
            .step_by(25)
            .map(|at| (at, vec![Some(Clients::default()), Some(Clients::default())]))
            .collect()
    };
    // Just started: those who were connected may not have come back yet.
    assert_eq!(said(looks(50), None, 51), None);
    assert_eq!(said(looks(50), Some(Connected), 51), Some(Connected));
    assert_eq!(said(looks(75), Some(Connected), 76), Some(Absent));
    let left = |last| [vec![(0, vec![Some(web())])], looks(last)[1..].to_vec()].concat();
    assert_eq!(said(left(50), Some(Connected), 59), Some(Connected));
    assert_eq!(said(left(75), Some(Connected), 76), Some(Absent));
}

#[test]
fn nobody_is_absent_because_a_front_door_does_not_answer() {
    let mut looks = vec![(0, vec![Some(Clients::default()), Some(web())])];
    looks.extend((25..=300).step_by(25).map(|at| (at, vec![Some(Clients::default()), None])));
    let mut before = None;
    for now in 1..=300 {
        let seen = looks.iter().filter(|(at, _)| *at <= now).cloned().collect();
        before = said(seen, before, now);
        assert_eq!(before, (now < 120).then_some(Connected), "after {now} s");
    }
    // None at all is no front door that has told.
    let none = (0..=300).step_by(25).map(|at| (at, vec![])).collect();
    assert_eq!(said(none, Some(Connected), 300), None);
    // Every other look is enough to see that somebody is gone.
    let mut looks = vec![(0, vec![Some(web())])];
    looks.extend((25..=300).step_by(25).map(|at| (at, vec![(at % 50 == 0).then(Clients::default)])));
    assert_eq!(said(looks, Some(Connected), 301), Some(Absent));
}

#[test]
fn what_is_long_over_is_forgotten() {
    let begin = Instant::now();
    let mut told = Told::new(begin);
    told.hear(vec![Some(web()), None], begin);
    told.hear(vec![None], begin + Duration::from_secs(179));
    assert_eq!(told.seen.len(), 1);
    told.hear(vec![None], begin + LATELY + BELIEVED);
    assert!(told.seen.is_empty());
}

#[test]
fn pods_are_asked_that_somebody_may_be_connected_to() {
    let pod = |instance: &str, component: &str, status: serde_json::Value| {
        let labels = labels::of(component, instance);
        Arc::new(
            serde_json::from_value(json!({"metadata": {"name": "p", "labels": labels}, "status": status}))
                .unwrap(),
        )
    };
    let pods = [
        pod("door", "redirector", json!({"podIP": "10.0.0.1", "phase": "Running"})),
        pod("door", "redirector", json!({"podIP": "fd00::1", "phase": "Running"})),
        pod("door", "redirector", json!({"podIP": "10.0.0.2", "phase": "Failed"})),
        pod("door", "redirector", json!({"phase": "Pending"})),
        pod("other", "redirector", json!({"podIP": "10.0.0.3"})),
        pod("door", "alert", json!({"podIP": "10.0.0.4"})),
    ];
    let expected: Vec<SocketAddr> = vec!["10.0.0.1:8184".parse().unwrap(), "[fd00::1]:8184".parse().unwrap()];
    assert_eq!(addresses(&pods, "door"), expected);
}

/// A front door that answers so, a piece after the other, again and again if it is to be endless.
async fn door(answer: String, endless: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = socket.read(&mut [0; 4096]).await;
                while socket.write_all(answer.as_bytes()).await.is_ok() && endless {}
                // Whoever says nothing more does not hang up, either.
                sleep(Duration::from_hours(1)).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn front_doors_that_lie_or_are_slow_make_nobody_absent() {
    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let elsewhere = door(ok(r#"{"customers": {"acme": ["web"]}}"#), false).await;
    let asked = Asked::new(http::plain().unwrap());
    assert_eq!(asked.clients(elsewhere).await, Some(web()));
    let foul = [
        (String::new(), false),
        (ok("{\"customers\": {\"acme\": \"web\"}}"), false),
        (ok("<html>"), false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"customers\"".to_owned(), false),
        ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_owned(), false),
        (format!("HTTP/1.1 302 Found\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n"), false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_owned() + &" ".repeat(1 << 20), true),
    ];
    let all = join_all(foul.into_iter().map(|(answer, endless)| door(answer, endless))).await;
    let mut answers = join_all(all.into_iter().map(|at| asked.clients(at))).await;
    assert!(answers.iter().all(Option::is_none), "{answers:?}");
    answers.push(Some(Clients::default()));
    let looks = (0..=100).step_by(25).map(|at| (at, answers.clone())).collect();
    assert_eq!(said(looks, Some(Connected), 101), Some(Connected));
}
