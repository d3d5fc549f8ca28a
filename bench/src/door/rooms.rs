//! A RabbitMQ that speaks mutual TLS, and before it our front door and HAProxy, alike as far as they can be.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use kinetic_api::role::Role;
use kinetic_bus::Admin;
use kinetic_pki::{Client, ClientFiles, ServerIdentity, TlsMetrics, Trust, client::ClientIdentity};
use kinetic_tests::{
    process::{Kinetic as Process, free_port},
    rabbitmq::RabbitMq,
};
use lapin::{
    Connection, ConnectionProperties, ExchangeKind, options::ExchangeDeclareOptions, types::FieldTable,
};
use rustls::ClientConfig;
use tempfile::TempDir;

use super::publisher::Target;
use crate::peers::Kinetic;

pub const HAPROXY: &str = "/usr/sbin/haproxy";
/// Where the metrics go.
pub const VHOST: &str = "local.bench.acme";
const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(30);
/// Threads of either.
const THREADS: usize = 2;

/// All of it.
pub struct Rooms {
    folder: TempDir,
    broker: RabbitMq,
    ours: Process,
    our_port: u16,
    haproxy: Option<(Process, u16)>,
    tls: Arc<ClientConfig>,
    _follow: Client,
    client: Pair,
    role: Role,
}

impl Rooms {
    /// Makes certificates, and starts everything.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_by(Command::new(Kinetic::program()?)).await
    }

    /// The same, with a front door by a command that ends in the program.
    pub async fn start_by(front_door: Command) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let pki = folder.path().join("pki");
        let issue = |arguments: &[&str]| -> anyhow::Result<()> {
            let output = Command::new(Kinetic::program()?)
                .arg("pki")
                .args(arguments)
                .arg("--dir")
                .arg(&pki)
                .output()?;
            ensure!(output.status.success(), "kinetic pki: {}", String::from_utf8_lossy(&output.stderr));
            Ok(())
        };
        issue(&["init"])?;
        let at = |name: &str| folder.path().join(name);
        let out = |name: &str| at(name).display().to_string();
        issue(&["issue", "redirector", "--dns", "localhost", "--ip", "127.0.0.1", "--out", &out("server")])?;
        issue(&["issue", "client", "--customer", "acme", "--client", "web", "--out", &out("client")])?;
        let (server, client) = (Pair::in_folder(&at("server"))?, Pair::in_folder(&at("client"))?);

        let trust = pki.join("trust.crt");
        let files = ClientFiles {
            identity: Some(ClientIdentity {
                certificate: client.certificate.clone(),
                key: client.key.clone(),
            }),
            trust: Trust::File(trust.clone()),
        };
        let follow = Client::watch(files, ServerIdentity::Name, &TlsMetrics::default())?;
        let broker = {
            let (server, trust) = (server.clone(), trust.clone());
            tokio::task::spawn_blocking(move || {
                RabbitMq::start_with_tls(&server.certificate, &server.key, &trust)
            })
            .await?
        };
        let role = Role::Client { client: "web".into(), profile: "web".into() };
        prepare(&broker, &role).await?;

        let (our_port, ours) = redirector(front_door, folder.path(), &server, &trust, broker.tls_port())?;
        let haproxy =
            Path::new(HAPROXY).exists().then(|| haproxy(folder.path(), &server, &trust, broker.tls_port()));
        let rooms = Self {
            tls: follow.config(),
            _follow: follow,
            client,
            haproxy: haproxy.transpose()?,
            folder,
            broker,
            ours,
            our_port,
            role,
        };
        Ok(rooms)
    }

    /// Straight to the broker.
    pub fn direct(&self) -> Target {
        self.target(self.broker.tls_port(), self.plain())
    }

    /// By the front door.
    pub fn ours(&self) -> Target {
        self.target(self.our_port, ("EXTERNAL", Vec::new()))
    }

    /// By HAProxy, where it is installed.
    pub fn haproxy(&self) -> Option<Target> {
        self.haproxy.as_ref().map(|(_, port)| self.target(*port, self.plain()))
    }

    /// The front door's process.
    pub fn our_pid(&self) -> u32 {
        self.ours.pid()
    }

    /// What the front door has printed since it was last asked.
    pub fn our_log(&self) -> String {
        self.ours.printed()
    }

    /// HAProxy's process.
    pub fn haproxy_pid(&self) -> Option<u32> {
        self.haproxy.as_ref().map(|(process, _)| process.pid())
    }

    /// Where the front door takes AMQP.
    pub fn our_port(&self) -> u16 {
        self.our_port
    }

    /// The client's certificate and key.
    pub fn client(&self) -> &Pair {
        &self.client
    }

    /// The authority's certificate.
    pub fn trust(&self) -> PathBuf {
        self.at("pki/trust.crt")
    }

    /// A file of the folder for all of this.
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends the front door as a user would, and then all else.
    pub fn end(self) {
        self.ours.interrupt();
    }

    fn target(&self, port: u16, sasl: (&'static str, Vec<u8>)) -> Target {
        Target { port, tls: Arc::clone(&self.tls), vhost: VHOST.into(), sasl }
    }

    fn plain(&self) -> (&'static str, Vec<u8>) {
        let (user, password) = (self.role.user(VHOST), self.role.password(KEY, VHOST, 1));
        ("PLAIN", format!("\0{user}\0{password}").into_bytes())
    }
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Pair {
    fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let file = |end: &str| {
            let files = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
            files
                .filter(|path| path.file_name().is_some_and(|name| name != "trust.crt"))
                .find(|path| path.extension().is_some_and(|e| e == end))
        };
        let found = file("crt").zip(file("key"));
        let (certificate, key) =
            found.with_context(|| format!("{}: certificate and key", folder.display()))?;
        Ok(Self { certificate, key })
    }
}

async fn prepare(broker: &RabbitMq, role: &Role) -> anyhow::Result<()> {
    let admin = Admin::new(&broker.admin_url())?;
    admin.create_vhost(VHOST).await?;
    admin.grant(VHOST, "guest").await?;
    admin.create_user(VHOST, role, &role.password(KEY, VHOST, 1)).await?;
    let connection = Connection::connect(&broker.amqp_url(VHOST), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    // Bound to no queue: what is compared is the way to the broker.
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel
        .exchange_declare("kinetic.metrics".into(), ExchangeKind::Topic, durable, FieldTable::default())
        .await?;
    connection.close(200, "".into()).await?;
    Ok(())
}

fn redirector(
    mut command: Command,
    folder: &Path,
    server: &Pair,
    trust: &Path,
    broker: u16,
) -> anyhow::Result<(u16, Process)> {
    let port = free_port();
    let at = |name: &str| folder.join(name);
    fs::write(at("master.key"), KEY)?;
    fs::write(
        at("customers.yaml"),
        "apiVersion: kinetic.dev/v1alpha1\nkind: Customer\nmetadata: {name: acme}\nspec:\n  region: local\n  provider: bench\n  \
         limits: {connections: 100000, messagesPerSecond: 10000000}\n  clients: [{name: web, profile: web}]\n",
    )?;
    let config = format!(
        "listen: 127.0.0.1:{port}\ntls: {{certificate: {}, key: {}, trust: {}}}\nmasterKey: {{file: master.key}}\nfiles: [customers.yaml]\n\
         limits: {{bytesPerSecond: 100Gi, connectionsPerSecond: 10000, handshakesPerAddress: 2000}}\nplacements:\n  - region: local\n    provider: bench\n    brokers: [{{name: one, nodes: [\"localhost:{broker}\"], tls: {{}}}}]\n",
        server.certificate.display(),
        server.key.display(),
        trust.display(),
    );
    fs::write(at("redirector.yaml"), config)?;
    command.arg("redirector").arg("--config").arg(at("redirector.yaml"));
    command.env("TOKIO_WORKER_THREADS", THREADS.to_string());
    Ok((port, listening(Process::spawn(&mut command), port)?))
}

fn haproxy(folder: &Path, server: &Pair, trust: &Path, broker: u16) -> anyhow::Result<(Process, u16)> {
    let port = free_port();
    let pem = folder.join("haproxy.pem");
    fs::write(&pem, [fs::read(&server.certificate)?, fs::read(&server.key)?].concat())?;
    let (pem, trust) = (pem.display(), trust.display());
    // The cipher that the others choose between themselves; sessions are not resumed; buffers as large as ours.
    let config = format!(
        "global\n  nbthread {THREADS}\n  tune.bufsize 65536\n  tune.ssl.cachesize 0\n  \
         ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets\n  ssl-default-server-options ssl-min-ver TLSv1.3 no-tls-tickets\n  \
         ssl-default-bind-ciphersuites TLS_AES_256_GCM_SHA384\n  ssl-default-server-ciphersuites TLS_AES_256_GCM_SHA384\n\
         defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n\
         frontend in\n  bind 127.0.0.1:{port} ssl crt {pem} ca-file {trust} verify required\n  default_backend broker\n\
         backend broker\n  server one 127.0.0.1:{broker} ssl crt {pem} ca-file {trust} verify required sni str(localhost) verifyhost localhost no-ssl-reuse\n"
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, config)?;
    let mut command = Command::new(HAPROXY);
    command.arg("-db").arg("-f").arg(&file);
    Ok((listening(Process::spawn(&mut command), port)?, port))
}

/// A process, once it listens.
pub fn listening(mut process: Process, port: u16) -> anyhow::Result<Process> {
    let start = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(process.is_running(), "it ended before it listened:\n{}", process.printed());
        ensure!(start.elapsed() < PATIENCE, "it does not listen:\n{}", process.printed());
        sleep(Duration::from_millis(10));
    }
    Ok(process)
}
