//! What is allowed passes as if nobody stood between.

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Confirmation,
    options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions},
    types::FieldTable,
};

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_publishes_an_analyzer_reads() {
    let rig = Rig::start().await;
    let vhost = rig.vhost("acme");
    let web = rig.certificate("/customers/acme/clients/web");
    let publisher = rig.connect(&web, &vhost).await.unwrap();
    let channel = publisher.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();

    let analyzer = rig.certificate("/customers/acme/topologies/pages/analyzers/0");
    let reader = rig.connect(&analyzer, &vhost).await.unwrap();
    let reading = reader.create_channel().await.unwrap();
    let mut messages = reading
        .basic_consume(
            "kinetic.metrics.pages.pages".into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();

    // From nothing to several frames.
    let sizes = [0, 1, 100, 1_000, 16_384, 131_064, 131_065, 1_000_000, 3];
    for (n, size) in sizes.into_iter().enumerate() {
        let body = vec![u8::try_from(n).unwrap(); size];
        let confirmed = channel
            .basic_publish(
                "kinetic.metrics".into(),
                "statsd.web.web-1".into(),
                BasicPublishOptions { mandatory: true, ..Default::default() },
                &body,
                BasicProperties::default(),
            )
            .await
            .unwrap()
            .await
            .unwrap();
        assert!(matches!(confirmed, Confirmation::Ack(None)), "{size} bytes: {confirmed:?}");
        let delivery = messages.next().await.unwrap().unwrap();
        assert_eq!(delivery.data, body, "{size} bytes");
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    assert_eq!(rig.door.connections().len(), 2);
    publisher.close(200, "".into()).await.unwrap();
    reader.close(200, "".into()).await.unwrap();
    crate::rig::until("both to end", || rig.counted("ended_connections", "closed") == 2).await;
    assert!(rig.door.connections().is_empty());
}
