use kinetic_api::{
    anomaly::{Anomaly, State},
    names,
};
use kinetic_bus::{Message, needs};
use tempfile::TempDir;

use super::*;
use crate::{fixture, incident::IncidentState};

const PATIENCE: Duration = Duration::from_mins(1);

async fn bus() -> Bus {
    let bus = Bus::local();
    bus.declare(&needs::anomalies()).await.unwrap();
    bus
}

async fn publish(bus: &Bus, body: Vec<u8>) {
    let message = Message { routing_key: "web.slow-host".into(), body: body.into(), ..Message::default() };
    bus.publish(names::ANOMALIES_EXCHANGE, message).await.unwrap();
}

async fn find(bus: &Bus, anomaly: &Anomaly) -> String {
    publish(bus, serde_json::to_vec(anomaly).unwrap()).await;
    anomaly.id.clone()
}

async fn open(folder: &TempDir, clock: Clock) -> AlertService {
    let config = AlertConfig {
        data_dir: folder.path().join("data"),
        mail: MailTransport::Folder(folder.path().join("mail")),
        mail_from: "kinetic@mail.example".into(),
        clock,
    };
    AlertService::open(config).await.unwrap()
}

fn mails(folder: &TempDir) -> usize {
    std::fs::read_dir(folder.path().join("mail")).unwrap().count()
}

#[tokio::test]
async fn a_replay_from_the_bus_to_the_folder() {
    let (folder, bus) = (TempDir::new().unwrap(), bus().await);
    let service = open(&folder, Clock::Event).await;
    let cancel = CancellationToken::new();
    let (_plans, plans) = watch::channel(Arc::new(vec![fixture::plan()]));
    let serving = tokio::spawn({
        let (service, bus, cancel) = (service.clone(), bus.clone(), cancel.clone());
        async move { service.serve("acme".into(), bus, plans, cancel).await }
    });
    let delivering = tokio::spawn({
        let (service, cancel) = (service.clone(), cancel.clone());
        async move { service.deliver(cancel).await }
    });
    publish(&bus, b"poison".to_vec()).await;
    let ids = [
        find(&bus, &fixture::anomaly("web-3", State::Firing, 0)).await,
        find(&bus, &fixture::anomaly("web-3", State::Resolved, 7_200)).await,
    ];
    tokio::time::timeout(PATIENCE, service.wait_processed(&ids)).await.unwrap();
    let report = service.flush(PATIENCE).await.unwrap();
    assert_eq!(report, FlushReport { delivered: 2, refused: 0, waiting: 0 });
    assert_eq!(mails(&folder), 2, "one when it began, one when it was over");
    let incidents = service.history().incidents(None).await.unwrap();
    assert_eq!((incidents.len(), incidents[0].state), (1, IncidentState::Resolved));

    let mut registry = Registry::default();
    service.register(&mut registry);
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).unwrap();
    for line in [
        "kinetic_alert_anomalies_total{result=\"poison\"} 1",
        "kinetic_alert_anomalies_total{result=\"opened\"} 1",
        "kinetic_alert_anomalies_total{result=\"resolved\"} 1",
        "kinetic_alert_decisions_total{reason=\"FirstNotification\"} 1",
        "kinetic_alert_notifications_total{state=\"sent\"} 2",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    cancel.cancel();
    serving.await.unwrap().unwrap();
    delivering.await.unwrap();
    service.close().await;
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_and_changes_nothing() {
    let (folder, bus) = (TempDir::new().unwrap(), bus().await);
    let anomaly = fixture::anomaly("web-3", State::Firing, 0);
    {
        // Commits, and dies before the bus hears of it.
        let service = open(&folder, Clock::Event).await;
        service.adopt("acme", &Arc::new(vec![fixture::plan()])).await.unwrap();
        service.take(&anomaly).await.unwrap();
        service.close().await;
    }
    find(&bus, &anomaly).await;
    let later = find(&bus, &fixture::anomaly("web-5", State::Firing, 10)).await;
    let service = open(&folder, Clock::Event).await;
    let cancel = CancellationToken::new();
    let (_plans, plans) = watch::channel(Arc::new(vec![fixture::plan()]));
    let serving = tokio::spawn({
        let (service, bus, cancel) = (service.clone(), bus.clone(), cancel.clone());
        async move { service.serve("acme".into(), bus, plans, cancel).await }
    });
    tokio::time::timeout(PATIENCE, service.wait_processed(&[later])).await.unwrap();
    assert_eq!(service.history().incidents(None).await.unwrap().len(), 2);
    cancel.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn changed_alerts_hold_at_once_and_a_closed_bus_ends_it() {
    let (folder, bus) = (TempDir::new().unwrap(), bus().await);
    let service = open(&folder, Clock::Event).await;
    let (edit, plans) = watch::channel(Arc::new(vec![]));
    let serving = tokio::spawn({
        let (service, bus) = (service.clone(), bus.clone());
        async move { service.serve("acme".into(), bus, plans, CancellationToken::new()).await }
    });
    let first = find(&bus, &fixture::anomaly("web-3", State::Firing, 0)).await;
    tokio::time::timeout(PATIENCE, service.wait_processed(&[first])).await.unwrap();
    edit.send(Arc::new(vec![fixture::plan()])).unwrap();
    let second = find(&bus, &fixture::anomaly("web-5", State::Firing, 10)).await;
    tokio::time::timeout(PATIENCE, service.wait_processed(&[second])).await.unwrap();
    let incidents = service.history().incidents(None).await.unwrap();
    assert_eq!(incidents.iter().map(|i| i.origin.as_str()).collect::<Vec<_>>(), ["web-5"]);
    bus.close().await;
    let ended = tokio::time::timeout(PATIENCE, serving).await.unwrap().unwrap();
    assert!(matches!(ended, Err(AlertError::Bus(kinetic_bus::BusError::Closed))));
}

#[tokio::test]
async fn while_the_database_fails_nothing_is_acknowledged() {
    let (folder, bus) = (TempDir::new().unwrap(), bus().await);
    let service = open(&folder, Clock::Event).await;
    let cancel = CancellationToken::new();
    let (_plans, plans) = watch::channel(Arc::new(vec![fixture::plan()]));
    let serving = tokio::spawn({
        let (service, bus, cancel) = (service.clone(), bus.clone(), cancel.clone());
        async move { service.serve("acme".into(), bus, plans, cancel).await }
    });
    let first = find(&bus, &fixture::anomaly("web-3", State::Firing, 0)).await;
    tokio::time::timeout(PATIENCE, service.wait_processed(&[first])).await.unwrap();
    service.close().await;
    let lost = fixture::anomaly("web-5", State::Firing, 10);
    find(&bus, &lost).await;
    // Time to fail; however long it is, the finding must still be there.
    tokio::time::sleep(Duration::from_millis(200)).await;
    cancel.cancel();
    serving.await.unwrap().unwrap();
    let mut left = bus.consume(names::ANOMALIES_QUEUE, 1).await.unwrap();
    let delivery = tokio::time::timeout(PATIENCE, left.next()).await.unwrap().unwrap();
    let kept: Anomaly = serde_json::from_slice(&delivery.message.body).unwrap();
    assert_eq!(kept, lost);
}
