use jiff::Timestamp;
use kinetic_api::{
    anomaly::{Anomaly, Found, State},
    plan::{AlertPlan, GroupKey},
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    fixture,
    group::{Phase, Reason},
    incident::{DeliveryState, IncidentState, Silence},
    notification::Notification,
    plans::Plans,
};

const NOW: i64 = 1_795_257_200_000;

async fn open(folder: &TempDir, clock: Clock) -> Store {
    Store::open(folder.path(), clock, NOW).await.unwrap()
}

fn plans(plans: Vec<AlertPlan>) -> Plans {
    let mut all = Plans::default();
    all.replace("acme", std::sync::Arc::new(plans));
    all
}

/// Every message that was decided, in the order of their decisions.
async fn decided(store: &Store) -> Vec<Notification> {
    let contents: Vec<String> =
        sqlx::query_scalar("SELECT content FROM notifications ORDER BY decided_ms, receiver, id")
            .fetch_all(&store.write)
            .await
            .unwrap();
    contents.iter().map(|content| serde_json::from_str(content).unwrap()).collect()
}

fn said(notification: &Notification) -> (Reason, Vec<(&str, Phase)>) {
    (notification.reason, notification.entries.iter().map(|e| (e.origin.as_str(), e.phase)).collect())
}

fn at(seconds: i64) -> Timestamp {
    fixture::time() + jiff::SignedDuration::from_secs(seconds)
}

#[tokio::test]
async fn a_known_finding_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Event).await;
    let plan = [fixture::plan()];
    let anomaly = fixture::anomaly("web-3", State::Firing, 0);
    assert_eq!(store.take(&anomaly, &plan).await.unwrap().result, TakeResult::Opened);
    let again = store.take(&anomaly, &plan).await.unwrap();
    assert_eq!((again.result, again.events), (TakeResult::Known, vec![]));
    assert_eq!(store.history().incidents(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_open_incident_is_not_opened_twice_and_a_stray_end_is_recorded() {
    use TakeResult::{Opened, Recorded, Resolved, StillOpen};
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Event).await;
    let plan = [fixture::plan()];
    let mut results = vec![];
    for (state, seconds) in [
        (State::Resolved, -10),
        (State::Firing, 0),
        (State::Firing, 10),
        (State::Resolved, 20),
        (State::Resolved, 30),
    ] {
        results.push(store.take(&fixture::anomaly("web-3", state, seconds), &plan).await.unwrap().result);
    }
    assert_eq!(results, [Recorded, Opened, StillOpen, Resolved, Recorded]);
    let incidents = store.history().incidents(None).await.unwrap();
    assert_eq!(incidents.len(), 1);
    assert_eq!((incidents[0].state, incidents[0].ends_at), (IncidentState::Resolved, Some(at(20))));
}

#[tokio::test]
async fn a_low_score_ends_what_a_high_one_began() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Event).await;
    let plan = [AlertPlan { min_score: 1.2, ..fixture::plan() }];
    store.take(&fixture::anomaly("web-3", State::Firing, 0), &plan).await.unwrap();
    let mut end = fixture::anomaly("web-3", State::Resolved, 60);
    end.data.score = 0.1;
    assert_eq!(store.take(&end, &plan).await.unwrap().result, TakeResult::Resolved);
}

#[tokio::test]
async fn what_is_history_only_is_never_told() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Event).await;
    let active = [fixture::plan()];
    let inactive = [AlertPlan { active: false, ..fixture::plan() }];
    let warm = |origin, state, seconds| {
        let mut anomaly = fixture::anomaly(origin, state, seconds);
        anomaly.data.found = Found::Warmup;
        anomaly
    };
    store.take(&warm("web-1", State::Firing, 0), &active).await.unwrap();
    store.take(&warm("web-1", State::Resolved, 10), &active).await.unwrap();
    store.take(&warm("web-2", State::Firing, 0), &active).await.unwrap();
    store.take(&fixture::anomaly("web-2", State::Resolved, 20), &active).await.unwrap();
    store.take(&fixture::anomaly("web-3", State::Firing, 0), &inactive).await.unwrap();
    store.take(&fixture::anomaly("web-3", State::Resolved, 30), &active).await.unwrap();
    store.fire_changes(&plans(active.to_vec())).await.unwrap();
    assert_eq!(decided(&store).await, []);
    let silences: Vec<_> = store.history().incidents(None).await.unwrap().iter().map(|i| i.silence).collect();
    assert_eq!(silences.len(), 3);
    assert_eq!(silences.iter().filter(|s| **s == Some(Silence::Warmup)).count(), 2);
    assert_eq!(silences.iter().filter(|s| **s == Some(Silence::Inactive)).count(), 1);
}

#[tokio::test]
async fn what_begins_anew_after_warm_up_is_told() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Event).await;
    let plan = [fixture::plan()];
    let mut warm = fixture::anomaly("web-3", State::Firing, 0);
    warm.data.found = Found::Warmup;
    store.take(&warm, &plan).await.unwrap();
    store.take(&fixture::anomaly("web-3", State::Firing, 60), &plan).await.unwrap();
    store.fire_changes(&plans(plan.to_vec())).await.unwrap();
    assert_eq!(decided(&store).await.len(), 1);
    assert_eq!(store.history().incidents(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_replay_is_packed_as_it_would_have_been_live() {
    use Phase::{New, Ongoing, Passed, Resolved};
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Event).await;
    let plan = [fixture::plan()];
    for (origin, state, seconds) in [
        ("web-3", State::Firing, 0),
        ("web-5", State::Firing, 20),
        // 30: the first message. 330: the next one may come.
        ("web-7", State::Firing, 100),
        ("web-3", State::Resolved, 400),
        // 430: a message about the end.
        ("web-1", State::Firing, 2_000),
        ("web-1", State::Resolved, 2_010),
    ] {
        store.take(&fixture::anomaly(origin, state, seconds), &plan).await.unwrap();
    }
    store.fire_changes(&plans(plan.to_vec())).await.unwrap();
    let messages = decided(&store).await;
    let expected = [
        (30, Reason::FirstNotification, vec![("web-3", New), ("web-5", New)]),
        (330, Reason::NewIncidents, vec![("web-7", New), ("web-3", Ongoing), ("web-5", Ongoing)]),
        (630, Reason::Resolved, vec![("web-3", Resolved), ("web-5", Ongoing), ("web-7", Ongoing)]),
        (2_030, Reason::NewIncidents, vec![("web-1", Passed), ("web-5", Ongoing), ("web-7", Ongoing)]),
    ];
    assert_eq!(messages.len(), expected.len());
    for (message, (seconds, reason, entries)) in messages.iter().zip(expected) {
        assert_eq!(message.at, at(seconds));
        assert_eq!(said(message), (reason, entries));
    }
    assert!(messages.iter().all(|message| message.group == messages[0].group));
}

#[tokio::test]
async fn groups_are_apart_by_their_labels() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Event).await;
    let plan = [AlertPlan { group_by: vec![GroupKey::Origin], ..fixture::plan() }];
    for origin in ["web-3", "web-5"] {
        store.take(&fixture::anomaly(origin, State::Firing, 0), &plan).await.unwrap();
    }
    store.fire_changes(&plans(plan.to_vec())).await.unwrap();
    let messages = decided(&store).await;
    assert_eq!(messages.len(), 2);
    assert_ne!(messages[0].id(), messages[1].id());
}

#[tokio::test]
async fn timers_on_the_walls_clock_fire_when_they_are_due() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Wall).await;
    let plan = plans(vec![fixture::plan()]);
    store.take(&fixture::anomaly("web-3", State::Firing, 0), &plan.of("acme")).await.unwrap();
    let due = store.next_timer().await.unwrap().unwrap();
    assert_eq!(store.fire_due(&plan, due - 1).await.unwrap(), (vec![], false));
    assert_eq!(store.fire_due(&plan, due + 5_000).await.unwrap().0.len(), 1);
    let messages = decided(&store).await;
    assert_eq!(messages[0].at.as_millisecond(), due + 5_000, "late is late");
    assert_eq!(store.fire_due(&plan, due + 5_000).await.unwrap(), (vec![], false));
    let repeat = store.next_timer().await.unwrap().unwrap();
    assert_eq!(repeat, due + 5_000 + fixture::plan().repeat_interval_ms);
}

#[tokio::test]
async fn a_group_sleeps_while_its_alert_is_gone_or_inactive() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Wall).await;
    let plan = fixture::plan();
    store.take(&fixture::anomaly("web-3", State::Firing, 0), std::slice::from_ref(&plan)).await.unwrap();
    let due = store.next_timer().await.unwrap();
    for asleep in [vec![], vec![AlertPlan { active: false, ..plan.clone() }]] {
        store.adopt("acme", &[], &asleep).await.unwrap();
        assert_eq!(store.next_timer().await.unwrap(), None);
    }
    store.adopt("acme", &[], std::slice::from_ref(&plan)).await.unwrap();
    assert_eq!(store.next_timer().await.unwrap(), due);
    let sooner = AlertPlan { group_wait_ms: 1, ..plan };
    store.adopt("acme", &[], &[sooner]).await.unwrap();
    assert!(store.next_timer().await.unwrap() < due);
}

#[tokio::test]
async fn what_waits_for_a_removed_recipient_is_dropped() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Event).await;
    let receiver = fixture::receiver("oncall", &["a@acme.example", "b@acme.example"]);
    let before = AlertPlan { receivers: vec![receiver], ..fixture::plan() };
    store.take(&fixture::anomaly("web-3", State::Firing, 0), std::slice::from_ref(&before)).await.unwrap();
    store.fire_changes(&plans(vec![before.clone()])).await.unwrap();
    let after =
        AlertPlan { receivers: vec![fixture::receiver("oncall", &["b@acme.example"])], ..before.clone() };
    store.adopt("acme", &[], std::slice::from_ref(&after)).await.unwrap();
    assert_eq!(store.due("acme/checkout/oncall", i64::MAX, 9).await.unwrap().len(), 2, "not at the start");
    store.adopt("acme", &[before], &[after]).await.unwrap();
    let due = store.due("acme/checkout/oncall", i64::MAX, 9).await.unwrap();
    assert_eq!(due.iter().map(|due| due.recipient.as_str()).collect::<Vec<_>>(), ["b@acme.example"]);
}

#[tokio::test]
async fn a_waiting_repeat_gives_way_to_what_comes_later() {
    use DeliveryState::{Dropped, Waiting};
    use Reason::{FirstNotification, Repeat};
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Wall).await;
    let plan = plans(vec![fixture::plan()]);
    store.take(&fixture::anomaly("web-3", State::Firing, 0), &plan.of("acme")).await.unwrap();
    for _ in 0..4 {
        let due = store.next_timer().await.unwrap().unwrap();
        store.fire_due(&plan, due).await.unwrap();
    }
    let states: Vec<_> = store.history().incidents(None).await.unwrap()[0]
        .notifications
        .iter()
        .map(|n| (n.reason, n.state))
        .collect();
    assert_eq!(
        states,
        [(FirstNotification, Waiting), (Repeat, Dropped), (Repeat, Dropped), (Repeat, Waiting)]
    );
}

#[tokio::test]
async fn a_crash_while_sending_sends_again_and_a_recorded_end_does_not() {
    let folder = TempDir::new().unwrap();
    let plan = [fixture::plan()];
    let due = {
        let store = open(&folder, Clock::Event).await;
        store.take(&fixture::anomaly("web-3", State::Firing, 0), &plan).await.unwrap();
        store.fire_changes(&plans(plan.to_vec())).await.unwrap();
        let due = store.due("acme/checkout/oncall", i64::MAX, 9).await.unwrap().remove(0);
        assert!(store.begin_sending(&due).await.unwrap());
        assert!(!store.begin_sending(&due).await.unwrap(), "once");
        assert_eq!(store.due("acme/checkout/oncall", i64::MAX, 9).await.unwrap(), []);
        store.close().await;
        due
    };
    let store = open(&folder, Clock::Event).await;
    assert_eq!(store.due("acme/checkout/oncall", NOW, 9).await.unwrap(), std::slice::from_ref(&due));
    assert!(store.begin_sending(&due).await.unwrap());
    store.finish(&due, DeliveryState::Sent, NOW, None).await.unwrap();
    store.close().await;
    drop(store);
    let store = open(&folder, Clock::Event).await;
    assert_eq!(store.due_lanes(i64::MAX).await.unwrap(), Vec::<String>::new());
    let notifications = &store.history().incidents(None).await.unwrap()[0].notifications;
    assert_eq!((notifications[0].state, notifications[0].attempts), (DeliveryState::Sent, 1));
}

#[tokio::test]
async fn history_is_read_beside_the_writer_and_after_it() {
    let folder = TempDir::new().unwrap();
    assert!(matches!(History::open(folder.path()).await, Err(AlertError::NoHistory { .. })));
    let store = open(&folder, Clock::Event).await;
    let plan = [fixture::plan()];
    store.take(&fixture::anomaly("web-3", State::Firing, 0), &plan).await.unwrap();
    let history = History::open(folder.path()).await.unwrap();
    assert_eq!(history.incidents(None).await.unwrap().len(), 1);
    store.take(&fixture::anomaly("web-3", State::Resolved, 60), &plan).await.unwrap();
    assert_eq!(history.incidents(Some(at(60))).await.unwrap().len(), 1);
    assert_eq!(history.incidents(Some(at(61))).await.unwrap().len(), 0);
    store.close().await;
    drop(store);
    let incident = History::open(folder.path()).await.unwrap().incidents(None).await.unwrap().remove(0);
    let json = serde_json::to_value(&incident).unwrap();
    assert_eq!((&json["startsAt"], &json["state"]), (&"2026-11-21T10:33:10Z".into(), &"resolved".into()));
}

#[tokio::test]
async fn a_second_process_and_a_later_schema_are_refused() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Wall).await;
    let second = Store::open(folder.path(), Clock::Wall, NOW).await;
    assert!(matches!(second, Err(AlertError::InUse { .. })));
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&store.write).await.unwrap();
    store.close().await;
    drop(store);
    let later = Store::open(folder.path(), Clock::Wall, NOW).await.unwrap_err();
    assert!(later.to_string().contains("schema 99"), "{later}");
    std::fs::write(folder.path().join("file"), "").unwrap();
    let not_a_folder = Store::open(&folder.path().join("file"), Clock::Wall, NOW).await.unwrap_err();
    assert!(not_a_folder.to_string().contains("--data"), "{not_a_folder}");
}

#[tokio::test]
async fn what_is_old_is_forgotten_but_not_what_fires_or_waits() {
    const DAY: i64 = 86_400_000;
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Event).await;
    let plan = [fixture::plan()];
    for (origin, state, seconds) in
        [("web-3", State::Firing, 0), ("web-3", State::Resolved, 60), ("web-5", State::Firing, 90_000)]
    {
        store.take(&fixture::anomaly(origin, state, seconds), &plan).await.unwrap();
    }
    store.fire_changes(&plans(plan.to_vec())).await.unwrap();
    let count =
        async |what: &'static str| -> i64 { sqlx::query_scalar(what).fetch_one(&store.write).await.unwrap() };
    let soon = crate::clock::wall_ms() + 29 * DAY;
    while store.prune(soon).await.unwrap() {}
    assert_eq!(count("SELECT COUNT(*) FROM incidents").await, 2);
    let later = crate::clock::wall_ms() + 31 * DAY;
    while store.prune(later).await.unwrap() {}
    assert_eq!(count("SELECT COUNT(*) FROM incidents").await, 1, "web-5 fires still");
    assert_eq!(count("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'").await, 3, "what waits is kept");
    assert_eq!(count("SELECT COUNT(*) FROM anomalies WHERE body IS NOT NULL").await, 0);
    let known = store.take(&fixture::anomaly("web-3", State::Firing, 0), &plan).await.unwrap();
    assert_eq!(known.result, TakeResult::Known, "ids are known for longer");
    for due in store.due("acme/checkout/oncall", i64::MAX, 9).await.unwrap() {
        store.finish(&due, DeliveryState::Sent, NOW, None).await.unwrap();
    }
    while store.prune(later).await.unwrap() {}
    assert_eq!(count("SELECT COUNT(*) FROM outbox").await, 1, "of the incident that fires");
    while store.prune(later + 400 * DAY).await.unwrap() {}
    assert_eq!(count("SELECT COUNT(*) FROM anomalies").await, 0);
}

#[tokio::test]
async fn odd_plans_and_times_stop_nothing() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Event).await;
    let twice = || fixture::receiver("oncall", &["a@acme.example", "a@acme.example"]);
    let plan = [AlertPlan { receivers: vec![twice(), twice()], ..fixture::plan() }];
    let mut last = fixture::anomaly("web-3", State::Firing, 0);
    last.time = Timestamp::MAX;
    for finding in [last, fixture::anomaly("web-5", State::Firing, 0)] {
        assert_eq!(store.take(&finding, &plan).await.unwrap().result, TakeResult::Opened);
    }
    store.fire_changes(&plans(plan.to_vec())).await.unwrap();
    assert_eq!(store.due("acme/checkout/oncall", i64::MAX, 9).await.unwrap().len(), 1);
    assert_eq!(decided(&store).await.len(), 1);
}

#[tokio::test]
async fn an_outbox_that_overflows_drops_its_oldest_and_says_so() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, Clock::Event).await;
    let many: Vec<String> = (0..2_500).map(|n| format!("{n}@acme.example")).collect();
    let to: Vec<&str> = many.iter().map(String::as_str).collect();
    let plan = AlertPlan { receivers: vec![fixture::receiver("oncall", &to)], ..fixture::plan() };
    let all = plans(vec![plan]);
    let mut dropped = 0;
    for n in 0..6 {
        let finding = fixture::anomaly(&format!("web-{n}"), State::Firing, n * 1_000);
        store.take(&finding, &all.of("acme")).await.unwrap();
        for event in store.fire_changes(&all).await.unwrap() {
            if let crate::IncidentEvent::Dropped { count, .. } = event {
                dropped += count;
            }
        }
    }
    assert_eq!(dropped, 5_000, "6 messages to 2,500 recipients, of which 10,000 may wait");
    assert_eq!(store.backlog().await.unwrap().unfinished, enqueue::MAX_WAITING);
    let oldest = &store.history().incidents(None).await.unwrap()[0].notifications;
    let lost: Vec<u32> =
        oldest.iter().filter(|n| n.state == DeliveryState::Dropped).map(|n| n.sequence).collect();
    assert!(lost.iter().all(|sequence| *sequence <= 2), "the oldest go first");
}

/// Findings of three hosts in order of their time, each host's beginnings and ends in turn.
fn findings() -> impl Strategy<Value = Vec<Anomaly>> {
    prop::collection::vec((0_usize..3, 10_i64..900), 1..16).prop_map(|steps| {
        let (mut time, mut open) = (0, [false; 3]);
        let step = |(host, pause): (usize, i64)| {
            time += pause;
            open[host] = !open[host];
            let state = if open[host] { State::Firing } else { State::Resolved };
            fixture::anomaly(&format!("web-{host}"), state, time)
        };
        steps.into_iter().map(step).collect()
    })
}

/// Takes the findings; at each crash the store is opened anew and the last findings arrive again.
async fn replay(findings: &[Anomaly], crashes: &[(usize, usize)]) -> Vec<Notification> {
    let folder = TempDir::new().unwrap();
    let plan = [fixture::plan()];
    let mut store = open(&folder, Clock::Event).await;
    for (n, finding) in findings.iter().enumerate() {
        store.take(finding, &plan).await.unwrap();
        for (_, back) in crashes.iter().filter(|(at, _)| *at == n) {
            store.close().await;
            drop(store);
            store = open(&folder, Clock::Event).await;
            for again in &findings[n.saturating_sub(*back)..=n] {
                assert_eq!(store.take(again, &plan).await.unwrap().result, TakeResult::Known);
            }
        }
    }
    store.fire_changes(&plans(plan.to_vec())).await.unwrap();
    decided(&store).await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn crashes_and_redeliveries_change_no_message(
        findings in findings(),
        crashes in prop::collection::vec((0_usize..16, 0_usize..5), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (calm, stormy) = runtime.block_on(async { (replay(&findings, &[]).await, replay(&findings, &crashes).await) });
        prop_assert_eq!(&calm, &stormy);
        let firing = findings.iter().filter(|finding| finding.data.state == State::Firing).count();
        let told = calm
            .iter()
            .flat_map(|message| &message.entries)
            .filter(|entry| matches!(entry.phase, Phase::New | Phase::Passed))
            .count();
        prop_assert_eq!(told, firing, "every incident is told of once");
    }
}
