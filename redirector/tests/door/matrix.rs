//! Who may do what where: every identity, every vhost, every operation of DESIGN.md's table. Exactly the allowed ones succeed.

use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    options::{
        BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
        QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable},
};

use crate::rig::Rig;

/// What somebody may try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    PublishOwnProfile,
    PublishOtherProfile,
    PublishTick,
    PublishWithCc,
    PublishAnomaly,
    PublishControl,
    PublishReply,
    PublishConfig,
    PublishDefaultExchange,
    ConsumeStream,
    ConsumeAnomalies,
    DeclareOwnQueue,
    BindControl,
    BindReplies,
    BindConfig,
    BindMetrics,
    DeclareLock,
    DeclareNamedQueue,
    DeclareExchange,
    DeleteStream,
    PurgeAnomalies,
}

use Operation::*;

const ALL: [Operation; 21] = [
    PublishOwnProfile,
    PublishOtherProfile,
    PublishTick,
    PublishWithCc,
    PublishAnomaly,
    PublishControl,
    PublishReply,
    PublishConfig,
    PublishDefaultExchange,
    ConsumeStream,
    ConsumeAnomalies,
    DeclareOwnQueue,
    BindControl,
    BindReplies,
    BindConfig,
    BindMetrics,
    DeclareLock,
    DeclareNamedQueue,
    DeclareExchange,
    DeleteStream,
    PurgeAnomalies,
];

/// What each identity of `acme` may do on its own vhost. Nobody may do anything on another's, but for the alert service, which serves all.
const IDENTITIES: [(&str, &[Operation]); 6] = [
    ("/customers/acme/clients/web", &[PublishOwnProfile]),
    ("/customers/acme/clients/web/machines/web-1.acme.example", &[PublishOwnProfile]),
    ("/customers/acme/clients/db", &[PublishOtherProfile]),
    (
        "/customers/acme/topologies/pages/analyzers/0",
        &[
            PublishTick,
            PublishAnomaly,
            PublishReply,
            PublishConfig,
            ConsumeStream,
            DeclareOwnQueue,
            BindControl,
            DeclareLock,
        ],
    ),
    // To RabbitMQ whoever may read a queue may empty it.
    ("/alert", &[ConsumeAnomalies, PurgeAnomalies]),
    ("/customers/acme/control/ann", &[PublishControl, DeclareOwnQueue, BindReplies, BindConfig]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_what_the_table_allows() {
    let rig = Rig::start().await;
    let mut wrong = Vec::new();
    for (path, allowed) in IDENTITIES {
        let certificate = rig.certificate(path);
        for customer in ["acme", "beta"] {
            let vhost = rig.vhost(customer);
            let opened = rig.connect(&certificate, &vhost).await;
            let may_open = customer == "acme" || path == "/alert";
            if opened.is_ok() != may_open {
                wrong.push(format!("{path} opens {customer}: {}", opened.is_ok()));
            }
            let Ok(mut connection) = opened else { continue };
            for operation in ALL {
                if !connection.status().connected() {
                    connection = rig.connect(&certificate, &vhost).await.unwrap();
                }
                let outcome = attempt(&connection, operation).await;
                if outcome.is_ok() != allowed.contains(&operation) {
                    wrong.push(format!("{path} on {customer}: {operation:?}: {outcome:?}"));
                }
            }
        }
    }
    // Who has nothing to do on a broker at all.
    for path in [
        "/redirector",
        "/operator",
        "/console",
        "/customers/gone/clients/web",
        "/customers/acme/clients/gone",
    ] {
        let certificate = rig.certificate(path);
        for customer in ["acme", "beta"] {
            if rig.connect(&certificate, &rig.vhost(customer)).await.is_ok() {
                wrong.push(format!("{path} opens {customer}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn attempt(connection: &Connection, operation: Operation) -> Result<(), lapin::Error> {
    let channel = connection.create_channel().await?;
    let outcome = tried(&channel, operation).await;
    if outcome.is_ok() {
        let _ = channel.close(200, "".into()).await;
    }
    outcome
}

async fn tried(channel: &Channel, operation: Operation) -> Result<(), lapin::Error> {
    let none = FieldTable::default;
    match operation {
        PublishOwnProfile => publish(channel, "kinetic.metrics", "statsd.web.x", none()).await,
        PublishOtherProfile => publish(channel, "kinetic.metrics", "statsd.store.x", none()).await,
        PublishTick => publish(channel, "kinetic.metrics", "tick.web.pages", none()).await,
        PublishWithCc => {
            let mut headers = none();
            headers.insert(
                "CC".into(),
                AMQPValue::FieldArray(vec![AMQPValue::LongString("statsd.store.x".into())].into()),
            );
            publish(channel, "kinetic.metrics", "statsd.web.x", headers).await
        }
        PublishAnomaly => publish(channel, "kinetic.anomalies", "pages.slow", none()).await,
        PublishControl => publish(channel, "kinetic.control", "pages.0", none()).await,
        PublishReply => publish(channel, "kinetic.replies", "x", none()).await,
        PublishConfig => publish(channel, "kinetic.config", "", none()).await,
        PublishDefaultExchange => publish(channel, "", "kinetic.anomalies.alert", none()).await,
        ConsumeStream => consume(channel, "kinetic.metrics.pages.pages").await,
        ConsumeAnomalies => consume(channel, "kinetic.anomalies.alert").await,
        DeclareOwnQueue => own_queue(channel).await.map(|_| ()),
        BindControl => bind(channel, "kinetic.control", "pages.0").await,
        BindReplies => bind(channel, "kinetic.replies", "x").await,
        BindConfig => bind(channel, "kinetic.config", "").await,
        BindMetrics => {
            channel
                .queue_bind(
                    "kinetic.metrics.pages.pages".into(),
                    "kinetic.metrics".into(),
                    "x.y.#".into(),
                    QueueBindOptions::default(),
                    none(),
                )
                .await
        }
        DeclareLock => {
            let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
            let declared =
                channel.queue_declare("kinetic.lock.pages.0".into(), exclusive, none()).await.map(|_| ());
            if declared.is_ok() {
                channel.queue_delete("kinetic.lock.pages.0".into(), QueueDeleteOptions::default()).await?;
            }
            declared
        }
        DeclareNamedQueue => {
            let durable = QueueDeclareOptions { durable: true, ..Default::default() };
            channel.queue_declare("mine".into(), durable, none()).await.map(|_| ())
        }
        DeclareExchange => {
            let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
            channel.exchange_declare("mine".into(), lapin::ExchangeKind::Fanout, options, none()).await
        }
        DeleteStream => {
            let only = QueueDeleteOptions { if_empty: true, ..Default::default() };
            channel.queue_delete("kinetic.metrics.pages.pages".into(), only).await.map(|_| ())
        }
        PurgeAnomalies => channel
            .queue_purge("kinetic.anomalies.alert".into(), QueuePurgeOptions::default())
            .await
            .map(|_| ()),
    }
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    headers: FieldTable,
) -> Result<(), lapin::Error> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let properties = BasicProperties::default().with_headers(headers);
    let confirmed = channel
        .basic_publish(exchange.into(), key.into(), BasicPublishOptions::default(), b"x:1|c", properties)
        .await?
        .await?;
    assert!(matches!(confirmed, Confirmation::Ack(_)), "{confirmed:?}");
    Ok(())
}

async fn consume(channel: &Channel, queue: &str) -> Result<(), lapin::Error> {
    channel
        .basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await
        .map(|_| ())
}

async fn own_queue(channel: &Channel) -> Result<String, lapin::Error> {
    let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let queue = channel.queue_declare("".into(), exclusive, FieldTable::default()).await?;
    Ok(queue.name().to_string())
}

async fn bind(channel: &Channel, exchange: &str, key: &str) -> Result<(), lapin::Error> {
    let queue = own_queue(channel).await?;
    channel
        .queue_bind(
            queue.as_str().into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}
