//! A front door before a real RabbitMQ, with an authority, a customer or two, and clients.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use kinetic_api::{
    resources::{Customer, Topology},
    role::Role,
};
use kinetic_bus::Admin;
use kinetic_pki::{Authority, ClientAuth, Files, Identity, Leaf, PrivateKey, Server, TlsMetrics};
use kinetic_redirector::door::{
    Brokers, Door, DoorMetrics, DoorSettings,
    broker::{Broker, Node},
    credentials::Credentials,
    routes::{PlacementBrokers, Routes},
};
use kinetic_tests::rabbitmq::RabbitMq;
use lapin::{
    Connection, ConnectionProperties,
    tcp::{OwnedIdentity, OwnedTLSConfig},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub const TRUST_DOMAIN: &str = "kinetic.local";
pub const MASTER_KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const DAY: Duration = Duration::from_hours(24);

/// A door, and what it leads to.
pub struct Rig {
    pub door: Arc<Door>,
    pub address: SocketAddr,
    pub authority: Authority,
    pub broker: &'static RabbitMq,
    _folder: TempDir,
    pub metrics: DoorMetrics,
    pub stop: CancellationToken,
    pub serving: Option<JoinHandle<()>>,
    /// Makes vhosts of this rig its own.
    pub region: String,
}

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Certificate {
    pub chain: String,
    pub key: String,
    pub serial: String,
}

pub fn customer(region: &str, name: &str, more: &str) -> Customer {
    let text = format!(
        "apiVersion: kinetic.dev/v1alpha1\nkind: Customer\nmetadata: {{name: {name}}}\nspec:\n  region: {region}\n  provider: test\n  \
         clients: [{{name: web, profile: web}}, {{name: db, profile: store}}]\n{more}"
    );
    serde_saphyr::from_str(&text).unwrap()
}

pub fn topology(customer: &str) -> Topology {
    let text = format!(
        "apiVersion: kinetic.dev/v1alpha1\nkind: Topology\nmetadata: {{name: pages}}\nspec:\n  customer: {customer}\n  \
         sources: [{{name: pages, type: statsd}}]\n  analytics: []\n"
    );
    serde_saphyr::from_str(&text).unwrap()
}

impl Rig {
    pub async fn start() -> Self {
        Self::with(DoorSettings::default()).await
    }

    pub async fn with(settings: DoorSettings) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let region = format!("r{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let broker = tokio::task::spawn_blocking(RabbitMq::shared).await.unwrap();
        let folder = TempDir::new().unwrap();
        let authority =
            Authority::generate(&TRUST_DOMAIN.parse().unwrap(), 365 * DAY, Timestamp::now()).unwrap();
        let files = write_server(&authority, folder.path());
        let tls = Server::watch(files, ClientAuth::Optional, &TlsMetrics::default()).unwrap();
        let metrics = DoorMetrics::default();
        let credentials = Credentials::Roles { master_key: MASTER_KEY.to_vec(), version: 1 };
        let door = Door::new(settings, tls, credentials, metrics.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = Some(tokio::spawn(Arc::clone(&door).serve(listener, stop.clone())));
        let rig = Self { door, address, authority, broker, _folder: folder, metrics, stop, serving, region };
        for name in ["acme", "beta"] {
            rig.make_vhost(&rig.vhost(name)).await;
        }
        rig.lead(&[customer(&rig.region, "acme", ""), customer(&rig.region, "beta", "")]);
        rig
    }

    pub fn vhost(&self, customer: &str) -> String {
        format!("{}.test.{customer}", self.region)
    }

    /// As an operator would.
    async fn make_vhost(&self, vhost: &str) {
        let broker = self.broker;
        let owned = vhost.to_owned();
        tokio::task::spawn_blocking(move || broker.add_vhost(&owned)).await.unwrap();
        let admin = Admin::new(&self.broker.admin_url()).unwrap();
        let client =
            |client: &str, profile: &str| Role::Client { client: client.into(), profile: profile.into() };
        for role in [client("web", "web"), client("db", "store"), Role::Analyzer, Role::Alert, Role::Control]
        {
            admin.create_user(vhost, &role, &role.password(MASTER_KEY, vhost, 1)).await.unwrap();
        }
        let connection =
            Connection::connect(&self.broker.amqp_url(vhost), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let durable = lapin::options::ExchangeDeclareOptions { durable: true, ..Default::default() };
        for (exchange, kind) in [
            ("kinetic.metrics", lapin::ExchangeKind::Topic),
            ("kinetic.anomalies", lapin::ExchangeKind::Topic),
            ("kinetic.control", lapin::ExchangeKind::Topic),
            ("kinetic.replies", lapin::ExchangeKind::Direct),
            ("kinetic.config", lapin::ExchangeKind::Fanout),
        ] {
            channel
                .exchange_declare(exchange.into(), kind, durable, lapin::types::FieldTable::default())
                .await
                .unwrap();
        }
        for (queue, exchange) in [
            ("kinetic.metrics.pages.pages", "kinetic.metrics"),
            ("kinetic.anomalies.alert", "kinetic.anomalies"),
        ] {
            let durable = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
            channel.queue_declare(queue.into(), durable, lapin::types::FieldTable::default()).await.unwrap();
            channel
                .queue_bind(
                    queue.into(),
                    exchange.into(),
                    "#".into(),
                    lapin::options::QueueBindOptions::default(),
                    lapin::types::FieldTable::default(),
                )
                .await
                .unwrap();
        }
        connection.close(200, "".into()).await.unwrap();
    }

    pub fn lead(&self, customers: &[Customer]) {
        self.lead_to(customers, self.broker.amqp_port());
    }

    pub fn lead_to(&self, customers: &[Customer], port: u16) {
        let placement = PlacementBrokers {
            region: self.region.clone(),
            provider: "test".into(),
            brokers: vec!["one".into()],
        };
        let topologies: Vec<_> =
            customers.iter().map(|c| topology(c.metadata.name.as_deref().unwrap())).collect();
        let node = Node { host: "127.0.0.1".into(), port };
        let brokers: Brokers =
            [("one".to_owned(), Arc::new(Broker::new("one".into(), vec![node], None, false)))].into();
        self.door.lead(Routes::new(TRUST_DOMAIN, &[placement], customers, &topologies), brokers);
    }

    pub fn certificate(&self, path: &str) -> Certificate {
        issue(&self.authority, path, Timestamp::now(), DAY)
    }

    pub async fn connect(&self, certificate: &Certificate, vhost: &str) -> lapin::Result<Connection> {
        self.connect_as(Some(certificate), vhost, "", "external").await
    }

    pub async fn connect_as(
        &self,
        certificate: Option<&Certificate>,
        vhost: &str,
        user: &str,
        mechanism: &str,
    ) -> lapin::Result<Connection> {
        let uri =
            format!("amqps://{user}@localhost:{}/{vhost}?auth_mechanism={mechanism}", self.address.port());
        let identity = certificate.map(|certificate| OwnedIdentity::PKCS8 {
            pem: certificate.chain.clone().into_bytes(),
            key: certificate.key.clone().into_bytes(),
        });
        let config = OwnedTLSConfig { identity, cert_chain: Some(self.authority.certificate().to_owned()) };
        let runtime = lapin::runtime::default_runtime().unwrap();
        Connection::connect_with_config(&uri, ConnectionProperties::default(), config, runtime).await
    }

    /// What the counter of this reason says.
    pub fn counted(&self, family: &str, reason: &str) -> u64 {
        let mut registry = prometheus_client::registry::Registry::default();
        self.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let line = format!("kinetic_door_{family}_total{{reason=\"{reason}\"}} ");
        text.lines().find_map(|l| l.strip_prefix(&line)).map_or(0, |number| number.parse().unwrap())
    }
}

pub fn issue(authority: &Authority, path: &str, now: Timestamp, lifetime: Duration) -> Certificate {
    let identity: Identity = format!("spiffe://{TRUST_DOMAIN}{path}").parse().unwrap();
    let key = PrivateKey::generate().unwrap();
    let issued = authority.issue(&Leaf::new(identity.subject, lifetime), key.public(), now).unwrap();
    Certificate { chain: issued.certificate, key: key.pem(), serial: issued.serial.to_string() }
}

/// The server's files: certificate for localhost, key, trust.
pub fn write_server(authority: &Authority, folder: &Path) -> Files {
    let key = PrivateKey::generate().unwrap();
    let mut leaf = Leaf::new(kinetic_pki::Subject::Redirector, DAY);
    leaf.dns = vec!["localhost".try_into().unwrap()];
    leaf.addresses = vec!["127.0.0.1".parse().unwrap()];
    let issued = authority.issue(&leaf, key.public(), Timestamp::now()).unwrap();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    Files {
        certificate: write("server.crt", &issued.certificate),
        key: write("server.key", &key.pem()),
        trust: write("trust.crt", authority.certificate()),
    }
}

/// Waits for something.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain for {what}");
}
