//! A connection's life: limits, holds, a broker that goes, the end of the front door.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kinetic_api::registry::Hold;
use kinetic_redirector::{amqp::Tune, door::DoorSettings};
use lapin::{
    BasicProperties, Channel, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};

use crate::rig::{Rig, customer, until};

async fn publishing(connection: &Connection) -> Channel {
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

async fn publish(channel: &Channel, messages: usize, size: usize) -> lapin::Result<()> {
    let body = vec![b'x'; size];
    let mut confirms = Vec::new();
    for _ in 0..messages {
        let published = channel
            .basic_publish(
                "kinetic.metrics".into(),
                "statsd.web.x".into(),
                BasicPublishOptions::default(),
                &body,
                BasicProperties::default(),
            )
            .await?;
        confirms.push(published);
    }
    for confirmed in join_all(confirms).await {
        confirmed?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_keeps_to_its_limits_and_slows_nobody_down() {
    let tune = Tune { heartbeat: 1, ..DoorSettings::default().tune };
    let settings = DoorSettings { connections_per_second: 4, tune, ..DoorSettings::default() };
    let rig = Rig::with(settings).await;
    let limits = "  limits: {connections: 3, messagesPerSecond: 500}\n";
    rig.lead(&[customer(&rig.region, "acme", limits), customer(&rig.region, "beta", "")]);
    let (acme, beta) = (rig.vhost("acme"), rig.vhost("beta"));
    let web = rig.certificate("/customers/acme/clients/web");
    let other = rig.certificate("/customers/beta/clients/web");

    let connection = rig.connect(&web, &acme).await.unwrap();
    let channel = publishing(&connection).await;
    let began = Instant::now();
    // Slowed down by not being read, and nothing is lost.
    let slowed = async {
        publish(&channel, 4_000, 20).await.unwrap();
        began.elapsed()
    };
    let unslowed = async {
        let connection = rig.connect(&other, &beta).await.unwrap();
        let channel = publishing(&connection).await;
        publish(&channel, 4_000, 20).await.unwrap();
        began.elapsed()
    };
    let (slowed, unslowed) = tokio::join!(slowed, unslowed);
    assert!(slowed > Duration::from_secs(3), "4,000 at 500 a second took {slowed:?}");
    assert!(unslowed < slowed, "{unslowed:?}");

    tokio::time::sleep(Duration::from_secs(1)).await;
    let _second = rig.connect(&web, &acme).await.unwrap();
    let _third = rig.connect(&web, &acme).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let error = rig.connect(&web, &acme).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("NOT_ALLOWED") && error.contains("limits.connections"), "{error}");
    let mut fast = 0;
    for _ in 0..20 {
        let error = rig.connect(&web, &acme).await.map(|_| ()).unwrap_err().to_string();
        fast += usize::from(error.contains("too fast"));
    }
    assert!(fast > 5, "{fast} of 20");

    // Paused: nothing is read, and the connection stays. Disconnected: it goes, and none is taken.
    assert!(rig.door.hold("acme", Hold::Paused));
    let waiting = publish(&channel, 1, 20);
    tokio::pin!(waiting);
    // For many of the heartbeats' intervals.
    let passed = tokio::time::timeout(Duration::from_secs(6), &mut waiting).await;
    assert!(passed.is_err(), "{passed:?}");
    assert!(connection.status().connected());
    assert!(rig.door.hold("acme", Hold::No));
    waiting.await.unwrap();
    assert!(rig.door.hold("acme", Hold::Disconnected));
    until("the connection to end", || !connection.status().connected()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let error = rig.connect(&web, &acme).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("disconnected by its operator"), "{error}");
    assert!(!rig.door.hold("nobody", Hold::Paused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_by_telling_everybody_and_what_is_on_its_way_settles() {
    let mut rig = Rig::start().await;
    let vhost = rig.vhost("acme");
    let web = rig.certificate("/customers/acme/clients/web");
    let connections = join_all((0..10).map(|_| rig.connect(&web, &vhost))).await;
    let connections: Vec<_> = connections.into_iter().map(Result::unwrap).collect();
    let channel = publishing(&connections[0]).await;
    // Away: another port, where nobody listens.
    rig.lead_to(&[customer(&rig.region, "beta", "")], 9);
    let beta = rig.certificate("/customers/beta/clients/web");
    let error = rig.connect(&beta, &rig.vhost("beta")).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("CONNECTION_FORCED") && error.contains("cannot be reached"), "{error}");
    until("those without a way to end", || connections.iter().all(|c| !c.status().connected())).await;
    assert!(publish(&channel, 1, 1).await.is_err());

    rig.lead(&[customer(&rig.region, "acme", "")]);
    let connection = rig.connect(&web, &vhost).await.unwrap();
    let channel = publishing(&connection).await;
    let published = tokio::spawn(async move {
        let mut confirmed = 0;
        while publish(&channel, 1, 100).await.is_ok() {
            confirmed += 1;
        }
        confirmed
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    rig.stop.cancel();
    rig.serving.take().unwrap().await.unwrap();
    let confirmed = published.await.unwrap();
    assert!(confirmed > 10, "{confirmed}");
    assert_eq!(rig.counted("ended_connections", "drained"), 1);
    assert!(rig.door.connections().is_empty());
}
