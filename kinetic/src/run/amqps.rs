//! `kinetic run --amqps`: the front door of this process, with an authority of its own under `--data`.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use jiff::Timestamp;
use kinetic_api::{resources::Customer, role::Role};
use kinetic_bus::Admin;
use kinetic_enroll::{
    FolderStore,
    metrics::SignerMetrics,
    rules::Rulebook,
    signer::{Signer, SignerSettings},
};
use kinetic_pki::{
    Client, ClientAuth, ClientFiles, Files, Leaf, Peer, PrivateKey, Server, ServerIdentity, Subject,
    TlsMetrics, Trust,
    durable::{self, Readers},
    folder::{Folder, FolderError, HandedOut, file_name},
    material::Pem,
};
use kinetic_redirector::{
    door::{
        Brokers, Door, DoorMetrics, DoorSettings,
        broker::{Broker, Node},
        credentials::Credentials,
        registry,
        routes::{PlacementBrokers, Routes},
    },
    enroll::{Intake, IntakeMetrics, IntakeSettings},
    https::{self, HttpsLimits, HttpsMetrics},
};
use kinetic_resources::Snapshot;
use prometheus_client::registry::Registry;
use rand::RngExt;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use url::Url;

use crate::{clients::FrontDoor, listen::Listen};

/// The only broker's name.
const BROKER: &str = "amqp";
/// Where the authority is, under `--data`.
pub(crate) const PKI: &str = "pki";
/// What the passwords of roles follow from, under `--data`.
const MASTER_KEY: &str = "master.key";
const AUTHORITY_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);
/// Of the front door's own certificate.
const OWN_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// Of a class's certificate, where its Customer does not say.
const CLIENT_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// How often it is looked whether a certificate is to be renewed: at two thirds of its life.
const RENEWING: Duration = Duration::from_hours(1);

/// The front door of `kinetic run`.
pub(crate) struct Amqps {
    door: Arc<Door>,
    folder: Folder,
    address: SocketAddr,
    admin: Admin,
    broker: Arc<Broker>,
    master_key: Vec<u8>,
    trust_domain: String,
    /// The users that have been made: vhost, role and profile.
    users: Mutex<BTreeSet<(String, Role)>>,
    /// By which machines get certificates.
    rules: watch::Sender<Arc<Rulebook>>,
    /// What the front door shows of itself.
    tls: Server,
}

impl Amqps {
    /// Makes what is missing under `data`, and listens.
    pub(crate) async fn listen(
        address: SocketAddr,
        data: &Path,
        amqp: Option<&str>,
        admin: Option<&str>,
        counters: &mut Registry,
    ) -> anyhow::Result<(Arc<Self>, TcpListener)> {
        let (Some(amqp), Some(admin)) = (amqp, admin) else {
            bail!(
                "--amqps leads clients to a RabbitMQ, each as a user with the least rights: it needs --amqp URL and --amqp-admin URL"
            );
        };
        let url = Url::parse(amqp).context("--amqp")?;
        let folder = data.join(PKI);
        let now = Timestamp::now();
        let folder = match Folder::open(&folder) {
            Err(FolderError::Missing(_)) => {
                let domain = "kinetic.local".parse().context("a trust domain")?;
                let made = Folder::init(&folder, &domain, AUTHORITY_LIFETIME, now)?;
                info!(folder = %made.path().display(), "made a certificate authority");
                made
            }
            opened => opened?,
        };
        let (tls_metrics, metrics) = (TlsMetrics::default(), DoorMetrics::default());
        tls_metrics.register(counters);
        metrics.register(counters);
        let own = renewed(&folder, &own_leaf(address), now)?;
        renewed(&folder, &operator_leaf(), now)?;
        let key = own.key.clone().context("the front door's key")?;
        let files = Files { certificate: own.certificate, key, trust: own.trust };
        let tls = Server::watch(files, ClientAuth::Optional, &tls_metrics)?;
        let master_key = master_key(&data.join(MASTER_KEY))?;
        let credentials = Credentials::Roles { master_key: master_key.clone(), version: 1 };
        let secured = url.scheme() == "amqps";
        let node = Node {
            host: url.host_str().unwrap_or("localhost").trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(if secured { 5671 } else { 5672 }),
        };
        let upstream = if secured {
            let files = ClientFiles { identity: None, trust: Trust::Platform };
            Some(Client::watch(files, ServerIdentity::Name, &tls_metrics)?)
        } else {
            None
        };
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("--amqps {address}: cannot listen"))?;
        let amqps = Self {
            door: Door::new(DoorSettings::default(), tls.clone(), credentials, metrics),
            rules: watch::Sender::default(),
            tls,
            trust_domain: folder.authority()?.trust_domain().to_string(),
            folder,
            address: listener.local_addr()?,
            admin: Admin::new(admin).context("--amqp-admin")?,
            broker: Arc::new(Broker::new(BROKER.to_owned(), vec![node], upstream, false)),
            master_key,
            users: Mutex::default(),
        };
        Ok((Arc::new(amqps), listener))
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads by these resources from now on: users and certificates are made for what is new.
    pub(crate) async fn lead(&self, snapshot: &Snapshot) {
        for customer in &snapshot.customers {
            if let Err(error) = self.provide(&customer.resource).await {
                error!(
                    customer = customer.name(),
                    error = format!("{error:#}"),
                    "its clients cannot be let in yet"
                );
            }
        }
        let placements: BTreeSet<_> = snapshot
            .customers
            .iter()
            .map(|customer| {
                (customer.resource.spec.region.to_string(), customer.resource.spec.provider.to_string())
            })
            .collect();
        let placements: Vec<_> = placements
            .into_iter()
            .map(|(region, provider)| PlacementBrokers { region, provider, brokers: vec![BROKER.to_owned()] })
            .collect();
        let customers = snapshot.customers.iter().map(|entry| &entry.resource);
        self.rules.send_replace(Arc::new(Rulebook::of(customers.clone())));
        let topologies = snapshot.topologies.iter().map(|entry| &entry.resource);
        let routes = Routes::new(&self.trust_domain, &placements, customers, topologies);
        self.door.lead(routes, Brokers::from([(BROKER.to_owned(), Arc::clone(&self.broker))]));
    }

    /// Users on the vhost, and a certificate for each class of machines.
    async fn provide(&self, customer: &Customer) -> anyhow::Result<()> {
        let vhost = customer.vhost();
        let classes = customer.spec.clients.iter();
        let roles = classes
            .map(|class| Role::Client { client: class.name.to_string(), profile: class.profile.to_string() })
            .chain([Role::Analyzer, Role::Alert, Role::Control]);
        for role in roles {
            let user = (vhost.clone(), role.clone());
            if self.users.lock().unwrap_or_else(PoisonError::into_inner).contains(&user) {
                continue;
            }
            self.admin.create_user(&vhost, &role, &role.password(&self.master_key, &vhost, 1)).await?;
            self.users.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
        }
        let name = customer.metadata.name.as_deref().unwrap_or_default();
        for class in &customer.spec.clients {
            let subject = Subject::Client { customer: name.parse()?, client: class.name.clone() };
            let lifetime = class.certificate.as_ref().map_or(CLIENT_LIFETIME, |set| set.lifetime.std());
            renewed(&self.folder, &Leaf::new(subject, lifetime), Timestamp::now())?;
        }
        Ok(())
    }

    /// Takes machines' requests for certificates, and signs what the rules and people let through, until stopped.
    pub(crate) async fn enroll(
        &self,
        address: SocketAddr,
        data: &Path,
        counters: &mut Registry,
        stop: &CancellationToken,
    ) -> anyhow::Result<SocketAddr> {
        let store = FolderStore::open(data)?;
        let (signing, taking) = (SignerMetrics::default(), IntakeMetrics::default());
        signing.register(counters);
        taking.register(counters);
        let rules = self.rules.subscribe();
        let signer =
            Signer::new(store.clone(), self.folder.clone(), rules, SignerSettings::default(), signing);
        let trust = self.folder.issued().join("trust.crt");
        let intake = Intake::new(
            store.clone(),
            store.id_key().clone(),
            Arc::clone(&self.door),
            trust,
            IntakeSettings::default(),
            taking,
        );
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("--enroll {address}: cannot listen"))?;
        let bound = listener.local_addr()?;
        tokio::spawn(signer.run(stop.clone()));
        tokio::spawn(intake.serve_deciding(listener, self.tls.clone(), stop.clone()));
        Ok(bound)
    }

    /// Tells by HTTPS who is connected, until stopped; notes under `data` where, for `kinetic clients`.
    pub(crate) async fn tell(
        &self,
        listen: Option<Listen>,
        data: &Path,
        counters: &mut Registry,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<SocketAddr>> {
        let address = match listen {
            Some(Listen::Off) => {
                FrontDoor::forget(data)?;
                return Ok(None);
            }
            Some(Listen::At(address)) => address,
            None => (Ipv4Addr::LOCALHOST, 0).into(),
        };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("--registry {address}: cannot listen"))?;
        let bound = listener.local_addr()?;
        FrontDoor::note(data, bound)?;
        let asking = HttpsMetrics::default();
        asking.register(counters.sub_registry_with_prefix("kinetic_registry"));
        let router = registry::router(Arc::clone(&self.door));
        let (tls, limits) = (self.tls.clone(), HttpsLimits::default());
        tokio::spawn(https::serve(listener, tls, router, limits, asking, stop.clone()));
        Ok(Some(bound))
    }

    /// Takes connections until stopped; renews the process's own certificates.
    pub(crate) fn serve(self: &Arc<Self>, listener: TcpListener, stop: &CancellationToken) -> JoinHandle<()> {
        let (renewing, stopped) = (Arc::clone(self), stop.clone());
        tokio::spawn(async move {
            while stopped.run_until_cancelled(tokio::time::sleep(RENEWING)).await.is_some() {
                for leaf in [own_leaf(renewing.address), operator_leaf()] {
                    if let Err(error) = renewed(&renewing.folder, &leaf, Timestamp::now()) {
                        error!(%error, subject = %leaf.subject, "the certificate could not be renewed");
                    }
                }
            }
        });
        tokio::spawn(Arc::clone(&self.door).serve(listener, stop.clone()))
    }
}

/// The front door, for clients on this machine and at the address that it listens on.
fn own_leaf(address: SocketAddr) -> Leaf {
    let mut leaf = Leaf::new(Subject::Redirector, OWN_LIFETIME);
    leaf.dns.extend("localhost".try_into());
    leaf.addresses = vec![IpAddr::from([127, 0, 0, 1])];
    if !address.ip().is_unspecified() && !address.ip().is_loopback() {
        leaf.addresses.push(address.ip());
    }
    leaf
}

/// Whoever may read the data folder, and with it the authority's key, is the operator.
fn operator_leaf() -> Leaf {
    Leaf::new(Subject::Operator, OWN_LIFETIME)
}

/// The holder's certificate, as it lies in the folder, or a new one for the same key if it is missing or two thirds of its life are over.
fn renewed(folder: &Folder, leaf: &Leaf, now: Timestamp) -> anyhow::Result<HandedOut> {
    let stem = folder.issued().join(file_name(&leaf.subject));
    let with = |extension: &str| {
        let mut path = stem.clone().into_os_string();
        path.push(extension);
        std::path::PathBuf::from(path)
    };
    let (certificate, key) = (with(".crt"), with(".key"));
    let there = Pem::read(&certificate).ok().and_then(|pem| pem.certificates().ok());
    let peer = there.and_then(|chain| Peer::of(chain.first()?).ok());
    if peer.is_some_and(|peer| now < peer.renewal_due()) && key.exists() {
        return Ok(HandedOut { certificate, key: Some(key), trust: folder.issued().join("trust.crt") });
    }
    let known = Pem::read(&key).ok().map(|pem| String::from_utf8_lossy(&pem.bytes).into_owned());
    let own = match known {
        Some(text) => PrivateKey::from_pem(&text)?,
        None => PrivateKey::generate()?,
    };
    let issued = folder.issue(leaf, own.public(), now)?;
    let handed_out = folder.hand_out(&folder.issued(), &issued, Some(&own))?;
    info!(
        identity = %issued.identity,
        file = %handed_out.certificate.display(),
        until = %issued.not_after,
        "issued a certificate"
    );
    Ok(handed_out)
}

fn master_key(file: &Path) -> anyhow::Result<Vec<u8>> {
    if !file.exists() {
        let key: [u8; 32] = rand::rng().random();
        durable::write(file, &hex::encode(key), Readers::Owner)
            .with_context(|| file.display().to_string())?;
    }
    std::fs::read(file).with_context(|| file.display().to_string())
}
