//! What `kinetic run` will be: intake and signer over a data folder; and the real command line beside it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use kinetic_api::resources::Customer;
use kinetic_enroll::{FolderStore, Rulebook, Signer, SignerMetrics, SignerSettings};
use kinetic_pki::{ClientAuth, Files, Folder, Identity, Leaf, PrivateKey, Server, TlsMetrics};
use kinetic_redirector::{
    door::{
        Brokers, Door, DoorMetrics, DoorSettings,
        credentials::Credentials,
        registry,
        routes::{PlacementBrokers, Routes},
    },
    enroll::{Intake, IntakeMetrics, IntakeSettings},
    https::{self, HttpsLimits, HttpsMetrics},
};
use prometheus_client::registry::Registry;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct Rig {
    pub(crate) place: tempfile::TempDir,
    pub(crate) folder: Folder,
    pub(crate) store: FolderStore,
    /// Of the intake.
    pub(crate) address: SocketAddr,
    /// Of the front door's registry.
    pub(crate) registry: SocketAddr,
    counters: Registry,
    rules: watch::Sender<Arc<Rulebook>>,
    door: Arc<Door>,
    _stop: DropGuard,
}

pub(crate) const ALLOW: &str =
    ", enrollment: {policy: AllowList, allow: [{client: web, names: [\"web-*\"]}]}";

pub(crate) async fn rig(enrollment: &str, settings: IntakeSettings) -> Rig {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = tempfile::tempdir().unwrap();
    let domain = "kinetic.local".parse().unwrap();
    let year = Duration::from_hours(24 * 365);
    let folder = Folder::init(&place.path().join("data/pki"), &domain, year, Timestamp::now()).unwrap();
    let files = issue(&folder, "spiffe://kinetic.local/redirector", &folder.issued());
    let trust = files.trust.clone();
    let tls = Server::watch(files, ClientAuth::Optional, &TlsMetrics::default()).unwrap();
    let store = FolderStore::open(&place.path().join("data")).unwrap();
    let (rules, told) = watch::channel(Arc::default());
    let mut counters = Registry::default();
    let (signing, taking) = (SignerMetrics::default(), IntakeMetrics::default());
    signing.register(&mut counters);
    taking.register(&mut counters);
    let stop = CancellationToken::new();
    let signer = Signer::new(store.clone(), folder.clone(), told, SignerSettings::default(), signing);
    tokio::spawn(signer.run(stop.clone()));
    let nobody = Credentials::Roles { master_key: vec![0; 32], version: 1 };
    let door = Door::new(DoorSettings::default(), tls.clone(), nobody, DoorMetrics::default());
    let (intake, address) = listen().await;
    let taking =
        Intake::new(store.clone(), store.id_key().clone(), Arc::clone(&door), trust, settings, taking);
    tokio::spawn(taking.serve_deciding(intake, tls.clone(), stop.clone()));
    let (telling, registry) = listen().await;
    let router = registry::router(Arc::clone(&door));
    let (limits, asking) = (HttpsLimits::default(), HttpsMetrics::default());
    tokio::spawn(https::serve(telling, tls, router, limits, asking, stop.clone()));
    let rig =
        Rig { place, folder, store, address, registry, counters, rules, door, _stop: stop.drop_guard() };
    rig.change(&["acme", "beta"], enrollment);
    rig
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A certificate for this identity, and where it lies.
pub(crate) fn issue(folder: &Folder, identity: &str, out: &Path) -> Files {
    let subject = identity.parse::<Identity>().unwrap().subject;
    let mut leaf = Leaf::new(subject, Duration::from_hours(1));
    if identity.ends_with("/redirector") {
        leaf.addresses.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let key = PrivateKey::generate().unwrap();
    let issued = folder.issue(&leaf, key.public(), Timestamp::now()).unwrap();
    let out = folder.hand_out(out, &issued, Some(&key)).unwrap();
    Files { certificate: out.certificate, key: out.key.unwrap(), trust: out.trust }
}

impl Rig {
    /// Has these Customers from now on, each with these further fields.
    pub(crate) fn change(&self, names: &[&str], more: &str) {
        let customers: Vec<Customer> = names
            .iter()
            .map(|name| {
                let text = format!(
                    "apiVersion: kinetic.dev/v1alpha1\nkind: Customer\nmetadata: {{name: {name}}}\nspec: {{region: us-west, provider: aws, \
                     clients: [{{name: web, profile: web}}]{more}}}\n"
                );
                serde_saphyr::from_str(&text).unwrap()
            })
            .collect();
        let placement = PlacementBrokers {
            region: "us-west".to_owned(),
            provider: "aws".to_owned(),
            brokers: vec!["one".to_owned()],
        };
        self.door.lead(Routes::new("kinetic.local", &[placement], &customers, []), Brokers::new());
        self.rules.send_replace(Arc::new(Rulebook::of(&customers)));
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    pub(crate) fn machine(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn pin(&self) -> String {
        self.folder.authority().unwrap().fingerprint().to_string()
    }

    /// Runs the real binary.
    pub(crate) async fn kinetic(&self, args: &[&str], token: Option<&str>) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_kinetic"));
        command.args(args).current_dir(self.place.path()).stdin(Stdio::null()).kill_on_drop(true);
        command
            .env_remove("KINETIC_DATA")
            .env_remove("KINETIC_REGISTRY")
            .env_remove("KINETIC_ENROLL_TOKEN")
            .env("USER", "ann");
        if let Some(token) = token {
            command.env("KINETIC_ENROLL_TOKEN", token);
        }
        tokio::time::timeout(Duration::from_mins(2), command.output()).await.unwrap().unwrap()
    }

    pub(crate) async fn token(&self, customer: &str) -> String {
        let data = self.data().display().to_string();
        let made = self.kinetic(&["token", "create", "--customer", customer, "--dir", &data], None).await;
        assert!(made.status.success(), "{}", err(&made));
        assert!(err(&made).contains(&self.pin()), "{}", err(&made));
        out(&made).trim().to_owned()
    }

    /// `kinetic enroll` of acme's `web` machine `name`, with its folder `dir`.
    pub(crate) async fn enroll(&self, name: &str, dir: &str, token: &str, more: &[&str]) -> Output {
        self.enroll_at(&self.pin(), "acme", name, dir, token, more).await
    }

    pub(crate) async fn enroll_at(
        &self,
        pin: &str,
        customer: &str,
        name: &str,
        dir: &str,
        token: &str,
        more: &[&str],
    ) -> Output {
        let (url, dir) = (self.url(), self.machine(dir).display().to_string());
        let mut args =
            vec!["enroll", "--server", &url, "--customer", customer, "--client", "web", "--name", name];
        args.extend(["--ca-hash", pin, "--dir", &dir]);
        args.extend(more);
        self.kinetic(&args, Some(token)).await
    }

    /// What the program would show at /metrics.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.counters).unwrap();
        text
    }

    /// Sends bytes over TLS, and reads until the server closes.
    pub(crate) async fn raw(&self, config: Arc<ClientConfig>, request: &[u8]) -> std::io::Result<String> {
        self.raw_to(self.address, config, request).await
    }

    pub(crate) async fn raw_to(
        &self,
        address: SocketAddr,
        config: Arc<ClientConfig>,
        request: &[u8],
    ) -> std::io::Result<String> {
        let socket = TcpStream::connect(address).await?;
        let name = ServerName::from(address.ip());
        let mut stream = TlsConnector::from(config).connect(name, socket).await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
