//! lapin, the client that Kinetic's own parts use.

use std::{collections::HashMap, fs};

use futures_util::{StreamExt, future::join_all};
use kinetic_api::names::METRICS_EXCHANGE;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    },
    tcp::{OwnedIdentity, OwnedTLSConfig},
    types::{AMQPValue, FieldTable},
};
use tokio::time::timeout;

use super::site::{Issued, PATIENCE, STREAM, Site, VHOST};

/// A connection by certificate. `options` go behind the address, such as `&heartbeat=2`.
pub(crate) async fn connect(site: &Site, who: &Issued, options: &str) -> lapin::Result<Connection> {
    connect_to(site.port, Credentials::read(site, who), options).await
}

/// What a connection shows and trusts, as it was in the files.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) trust: String,
}

impl Credentials {
    pub(crate) fn read(site: &Site, who: &Issued) -> Self {
        Self {
            certificate: fs::read(&who.certificate).unwrap(),
            key: fs::read(&who.key).unwrap(),
            trust: fs::read_to_string(site.trust()).unwrap(),
        }
    }
}

pub(crate) async fn connect_to(port: u16, who: Credentials, options: &str) -> lapin::Result<Connection> {
    let uri = format!("amqps://localhost:{port}/{VHOST}?auth_mechanism=external{options}");
    let identity = Some(OwnedIdentity::PKCS8 { pem: who.certificate, key: who.key });
    let config = OwnedTLSConfig { identity, cert_chain: Some(who.trust) };
    let runtime = lapin::runtime::default_runtime().unwrap();
    Connection::connect_with_config(&uri, ConnectionProperties::default(), config, runtime).await
}

/// A channel with confirms.
pub(crate) async fn publishing(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Publishes, mandatory; the confirm says whether it came back.
pub(crate) async fn publish(channel: &Channel, key: &str, body: &[u8]) -> lapin::Result<Confirmation> {
    let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties = BasicProperties::default().with_delivery_mode(2);
    channel.basic_publish(METRICS_EXCHANGE.into(), key.into(), mandatory, body, properties).await?.await
}

/// Reads the stream from its beginning.
pub(crate) async fn read_stream(connection: &Connection) -> Consumer {
    let channel = connection.create_channel().await.unwrap();
    channel.basic_qos(100, BasicQosOptions::default()).await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
    channel.basic_consume(STREAM.into(), "".into(), BasicConsumeOptions::default(), arguments).await.unwrap()
}

/// Reads on until it has seen enough; gives each message's routing key and body to `take`, which says so.
pub(crate) async fn read_until(
    messages: &mut Consumer,
    what: &str,
    mut take: impl FnMut(&str, &[u8]) -> bool,
) {
    loop {
        let message = timeout(PATIENCE, messages.next()).await;
        let Ok(message) = message else { panic!("nothing more came, waiting for {what}") };
        let message = message.expect("the stream goes on").unwrap();
        message.ack(BasicAckOptions::default()).await.unwrap();
        if take(message.routing_key.as_str(), &message.data) {
            return;
        }
    }
}

/// Reads until there were so many messages of each key.
pub(crate) async fn read_counts(messages: &mut Consumer, expected: &[(&str, usize)]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    read_until(messages, &format!("{expected:?}"), |key, _| {
        *seen.entry(key.to_owned()).or_default() += 1;
        expected.iter().all(|(key, number)| seen.get(*key).is_some_and(|seen| seen >= number))
    })
    .await;
    for (key, number) in expected {
        assert_eq!(seen[*key], *number, "{key}: {seen:?}");
    }
}

/// A consumer, confirms and returns, messages of many frames, and 500 channels that publish at a time.
pub(crate) async fn everything(site: &Site, web: &Issued, analyzer: &Issued) {
    let connection = connect(site, web, "").await.unwrap();
    let channel = publishing(&connection).await.unwrap();
    let reader = connect(site, analyzer, "").await.unwrap();
    let mut messages = read_stream(&reader).await;

    // From nothing to ten megabytes: around the largest frame, and many of them.
    for size in [0, 1, 1_000, 131_064, 131_065, 10_000_000] {
        let body: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
        let confirmed = publish(&channel, "statsd.web.sizes", &body).await.unwrap();
        assert!(matches!(confirmed, Confirmation::Ack(None)), "{size} bytes: {confirmed:?}");
        read_until(&mut messages, &format!("{size} bytes"), |key, came| {
            key == "statsd.web.sizes" && {
                assert_eq!(came, body, "{size} bytes");
                true
            }
        })
        .await;
    }
    let confirmed = publish(&channel, "graphite.web.nowhere", b"x").await.unwrap();
    let Confirmation::Ack(Some(returned)) = confirmed else { panic!("not returned: {confirmed:?}") };
    assert_eq!((returned.reply_code, &returned.delivery.data[..]), (312, &b"x"[..]));

    let channels = join_all((0..500).map(|_| publishing(&connection))).await;
    let channels: Vec<_> = channels.into_iter().map(Result::unwrap).collect();
    for _ in 0..4 {
        let published =
            join_all(channels.iter().map(|channel| publish(channel, "statsd.web.channels", b"c"))).await;
        assert!(published.iter().all(|confirmed| matches!(confirmed, Ok(Confirmation::Ack(None)))));
    }
    read_counts(&mut messages, &[("statsd.web.channels", 2_000)]).await;
    connection.close(200, "".into()).await.unwrap();
    reader.close(200, "".into()).await.unwrap();
}
