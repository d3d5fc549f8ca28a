//! The front door's configuration file.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use kinetic_api::{duration::Duration, quantity::Bytes, resources::Name};
use kinetic_enroll::IdKey;
use kinetic_pki::{
    Client, ClientAuth, ClientFiles, Files, Server, ServerIdentity, TlsMetrics, Trust,
    client::ClientIdentity, material::Pem,
};
use kinetic_redirector::{
    amqp::Tune,
    door::{
        Brokers, DoorSettings,
        broker::{Broker, Node},
        credentials::Credentials,
        routes::PlacementBrokers,
    },
};
use kinetic_resources::Kind;
use serde::Deserialize;

use crate::home::{Home, KubernetesConfig};

/// What the file says. Paths are relative to it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Config {
    /// Where AMQP over TLS is taken.
    pub(super) listen: SocketAddr,
    /// Where /healthz, /readyz and /metrics are served.
    #[serde(default)]
    pub(super) admin: Option<SocketAddr>,
    /// Where its own connections are told of, over HTTPS, to the operator, the console and controllers.
    #[serde(default)]
    pub(super) registry: Option<SocketAddr>,
    /// Where machines' requests for certificates are taken in. Whoever signs looks into its folder; on Kubernetes they are objects beside the other resources.
    #[serde(default)]
    pub(super) enroll: Option<EnrollConfig>,
    /// Who the front door is, and whom it lets in.
    tls: TlsConfig,
    /// What the passwords of roles follow from.
    master_key: MasterKey,
    /// A folder of API keys' hashes.
    #[serde(default)]
    api_keys: Option<PathBuf>,
    /// Files, or folders, that hold the resources.
    #[serde(default)]
    files: Vec<PathBuf>,
    /// An API server in place of files.
    #[serde(default)]
    kubernetes: Option<KubernetesConfig>,
    /// Where customers' vhosts are.
    placements: Vec<PlacementConfig>,
    #[serde(default)]
    limits: LimitsConfig,
    #[serde(default)]
    amqp: AmqpConfig,
    /// How long a connection may outlive its certificate.
    #[serde(default)]
    grace: Option<Duration>,
    #[serde(default)]
    drain: DrainConfig,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TlsConfig {
    certificate: PathBuf,
    key: PathBuf,
    trust: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EnrollConfig {
    pub(super) listen: SocketAddr,
    /// Where the resources are files.
    #[serde(default)]
    folder: Option<PathBuf>,
}

/// Where requests for certificates are kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EnrollPlace {
    /// In a folder.
    Folder(PathBuf),
    /// As objects, in these namespaces.
    Cluster(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MasterKey {
    file: PathBuf,
    #[serde(default = "first")]
    version: u32,
}

fn first() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlacementConfig {
    region: Name,
    provider: Name,
    brokers: Vec<BrokerConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BrokerConfig {
    name: String,
    /// `host:port` of each node, tried in turn.
    nodes: Vec<String>,
    /// Plain where absent; `{}` for the front door's own certificate and trust.
    #[serde(default)]
    tls: Option<BrokerTlsConfig>,
    #[serde(default)]
    proxy_protocol: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct BrokerTlsConfig {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    trust: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct LimitsConfig {
    handshake_timeout: Option<Duration>,
    handshakes: Option<u32>,
    handshakes_per_address: Option<u32>,
    bytes_per_second: Option<Bytes>,
    connections_per_second: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct AmqpConfig {
    channel_max: Option<u16>,
    frame_max: Option<u32>,
    heartbeat: Option<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct DrainConfig {
    connections_per_second: Option<u32>,
}

/// The smallest frame that both sides must take (specification 4.2.3).
const LEAST_FRAME: u32 = 4096;

/// The configuration, and where its relative paths begin.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) config: Config,
    file: PathBuf,
}

impl Settings {
    /// Reads the file.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("--config {}", file.display()))?;
        let config: Config = serde_saphyr::from_str(&text).with_context(|| file.display().to_string())?;
        let settings = Self { config, file: file.to_owned() };
        let config = &settings.config;
        settings.home()?;
        if config.placements.is_empty() {
            bail!("{}: placements: name a region, a provider and its brokers", file.display());
        }
        for (number, placement) in config.placements.iter().enumerate() {
            if placement.brokers.is_empty() {
                bail!("{}: placements[{number}].brokers: name a broker and its nodes", file.display());
            }
        }
        if config.amqp.frame_max.is_some_and(|max| max < LEAST_FRAME) {
            bail!("{}: amqp.frameMax: AMQP 0-9-1 wants {LEAST_FRAME} or more", file.display());
        }
        Ok(settings)
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.file.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    /// Where the resources live. Alerts are none of the front door's.
    pub(super) fn home(&self) -> anyhow::Result<Home> {
        let kinds = [Kind::Customer, Kind::Topology];
        Home::of(&self.file, &self.config.files, self.config.kubernetes.clone(), &kinds)
    }

    /// Where requests for certificates are kept.
    pub(super) fn enrollments(&self, enroll: &EnrollConfig) -> anyhow::Result<EnrollPlace> {
        match (&enroll.folder, self.home()?) {
            (Some(folder), Home::Files(_)) => Ok(EnrollPlace::Folder(self.path(folder))),
            (None, Home::Cluster(scope)) => Ok(EnrollPlace::Cluster(scope.namespaces)),
            (None, Home::Files(_)) => {
                bail!("{}: enroll.folder: name the folder that whoever signs looks into", self.file.display())
            }
            (Some(_), Home::Cluster(_)) => bail!(
                "{}: enroll.folder: requests are kept by the API server, as the other resources are: leave it out",
                self.file.display()
            ),
        }
    }

    /// The authorities that machines are given to trust.
    pub(super) fn trust(&self) -> PathBuf {
        self.path(&self.config.tls.trust)
    }

    /// What requests are called by, in every replica.
    pub(super) fn id_key(&self) -> anyhow::Result<IdKey> {
        let path = self.path(&self.config.master_key.file);
        let secret = std::fs::read(&path).with_context(|| format!("masterKey: {}", path.display()))?;
        Ok(IdKey::derived(&secret))
    }

    /// The folder of API keys.
    pub(super) fn api_keys(&self) -> Option<PathBuf> {
        self.config.api_keys.as_ref().map(|folder| self.path(folder))
    }

    /// The TLS that clients meet.
    pub(super) fn server(&self, metrics: &TlsMetrics) -> anyhow::Result<Server> {
        let TlsConfig { certificate, key, trust } = &self.config.tls;
        let files =
            Files { certificate: self.path(certificate), key: self.path(key), trust: self.path(trust) };
        Server::watch(files, ClientAuth::Optional, metrics)
            .with_context(|| format!("{}: tls", self.file.display()))
    }

    /// The trust domain: that of the front door's own certificate.
    pub(super) fn trust_domain(&self) -> anyhow::Result<String> {
        let path = self.path(&self.config.tls.certificate);
        let chain = Pem::read(&path)?.certificates()?;
        let own = chain.first().with_context(|| format!("{}: holds no certificate", path.display()))?;
        let peer = kinetic_pki::Peer::of(own).with_context(|| path.display().to_string())?;
        Ok(peer.identity.trust_domain.to_string())
    }

    /// As whom to log in at brokers.
    pub(super) fn credentials(&self) -> anyhow::Result<Credentials> {
        let MasterKey { file, version } = &self.config.master_key;
        Credentials::read(&self.path(file), *version)
            .with_context(|| format!("{}: masterKey", self.file.display()))
    }

    /// The placements, by their brokers' names.
    pub(super) fn placements(&self) -> Vec<PlacementBrokers> {
        let of = |placement: &PlacementConfig| PlacementBrokers {
            region: placement.region.to_string(),
            provider: placement.provider.to_string(),
            brokers: placement.brokers.iter().map(|broker| broker.name.clone()).collect(),
        };
        self.config.placements.iter().map(of).collect()
    }

    /// All brokers.
    pub(super) fn brokers(&self, metrics: &TlsMetrics) -> anyhow::Result<Brokers> {
        let mut brokers = Brokers::new();
        for broker in self.config.placements.iter().flat_map(|placement| &placement.brokers) {
            let place = format!("{}: broker {}", self.file.display(), broker.name);
            let nodes: Vec<Node> = broker
                .nodes
                .iter()
                .map(|node| self::node(node).with_context(|| place.clone()))
                .collect::<anyhow::Result<_>>()?;
            if nodes.is_empty() {
                bail!("{place}: nodes: name one, as host:port");
            }
            let tls = match &broker.tls {
                Some(tls) => Some(self.client(tls, metrics).with_context(|| format!("{place}: tls"))?),
                None => None,
            };
            let made = Broker::new(broker.name.clone(), nodes, tls, broker.proxy_protocol);
            if brokers.insert(broker.name.clone(), Arc::new(made)).is_some() {
                bail!("{place}: there are two of this name");
            }
        }
        Ok(brokers)
    }

    fn client(&self, tls: &BrokerTlsConfig, metrics: &TlsMetrics) -> anyhow::Result<Client> {
        let own = &self.config.tls;
        let (certificate, key) = match (&tls.certificate, &tls.key) {
            (None, None) => (&own.certificate, &own.key),
            (Some(certificate), Some(key)) => (certificate, key),
            _ => bail!("certificate and key belong together: name both, or neither for the front door's own"),
        };
        let files = ClientFiles {
            identity: Some(ClientIdentity { certificate: self.path(certificate), key: self.path(key) }),
            trust: Trust::File(self.path(tls.trust.as_ref().unwrap_or(&own.trust))),
        };
        Ok(Client::watch(files, ServerIdentity::Name, metrics)?)
    }

    /// What the front door keeps to.
    pub(super) fn door(&self) -> DoorSettings {
        let Config { limits, amqp, grace, drain, .. } = &self.config;
        let default = DoorSettings::default();
        let duration = |set: Option<Duration>, default| set.map_or(default, Duration::std);
        let heartbeat = amqp.heartbeat.map(|h| h.std().as_secs().clamp(1, 3600));
        DoorSettings {
            tune: Tune {
                channel_max: amqp.channel_max.unwrap_or(default.tune.channel_max),
                frame_max: amqp.frame_max.unwrap_or(default.tune.frame_max),
                heartbeat: heartbeat.and_then(|h| u16::try_from(h).ok()).unwrap_or(default.tune.heartbeat),
            },
            handshake: duration(limits.handshake_timeout, default.handshake),
            handshakes: limits.handshakes.unwrap_or(default.handshakes),
            handshakes_per_address: limits.handshakes_per_address.unwrap_or(default.handshakes_per_address),
            bytes_per_second: limits.bytes_per_second.map_or(default.bytes_per_second, Bytes::get),
            connections_per_second: limits.connections_per_second.unwrap_or(default.connections_per_second),
            grace: duration(*grace, default.grace),
            drained_per_second: drain.connections_per_second.unwrap_or(default.drained_per_second),
        }
    }
}

fn node(text: &str) -> anyhow::Result<Node> {
    let parted = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match parted {
        Some((host, port)) if !host.is_empty() => {
            Ok(Node { host: host.trim_matches(['[', ']']).to_owned(), port })
        }
        _ => bail!("nodes: {text:?} is not host:port, such as rabbit-0.example:5671"),
    }
}
