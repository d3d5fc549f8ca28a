//! A real Kubernetes API server for tests: etcd and kube-apiserver on free loopback ports, with a folder of their own. No pods run there.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::rabbitmq::free_ports;

/// Generous: a loaded machine with one core takes a minute.
const PATIENCE: Duration = Duration::from_mins(3);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// What the API server writes down of what the operator asks for: a line a request.
const AUDIT: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\n\
                     rules: [{level: Metadata, users: [operator]}, {level: None}]\n";

/// A running API server; stopped when dropped.
#[derive(Debug)]
pub struct Kubernetes {
    port: u16,
    /// The API server first: without its etcd it would complain.
    processes: Vec<Child>,
    folder: TempDir,
}

/// Who asks: administrators, both of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// A test.
    Tests,
    /// An operator, whose requests are written down.
    Operator,
}

impl User {
    const fn name(self) -> &'static str {
        match self {
            Self::Tests => "tests",
            Self::Operator => "operator",
        }
    }
}

/// Something that the operator asked for, such as `patch topologies/status shops/web`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `patch`, `update`, `delete`.
    pub verb: String,
    /// The plural, with a subresource if there is one.
    pub resource: String,
    /// Namespace and name, as far as it has any.
    pub object: String,
}

/// Why there is no API server for a test.
#[must_use]
pub fn missing() -> Option<String> {
    let there = programs().is_some();
    (!there).then(|| {
        "no API server: set KUBEBUILDER_ASSETS to a folder with kube-apiserver (1.34 or later); etcd is taken from there or from Debian's etcd-server".to_owned()
    })
}

/// kube-apiserver and etcd.
fn programs() -> Option<(PathBuf, PathBuf)> {
    let assets =
        env::var_os("KUBEBUILDER_ASSETS").map_or_else(|| "/usr/local/kubebuilder/bin".into(), PathBuf::from);
    let etcd = [assets.join("etcd"), "/usr/bin/etcd".into()].into_iter().find(|path| path.exists())?;
    let server = assets.join("kube-apiserver");
    server.exists().then_some((server, etcd))
}

impl Kubernetes {
    /// Starts both and waits until the API server says that it is ready, which takes some ten seconds.
    ///
    /// # Panics
    /// If they are not there (ask [`missing`] first) or do not come up.
    #[must_use]
    pub fn start() -> Self {
        let (server, etcd) = programs().expect("missing() was asked");
        let [port, client, peer] = free_ports();
        let folder = TempDir::with_prefix("kinetic-kubernetes-").expect("a folder under the temporary one");
        let path = |name: &str| folder.path().join(name);
        let key = rcgen::KeyPair::generate().expect("a random key");
        let tokens: String = [User::Tests, User::Operator]
            .map(User::name)
            .map(|user| format!("token-{user},{user},{user},system:masters\n"))
            .concat();
        for (name, text) in [
            ("sa.key", key.serialize_pem()),
            ("sa.pub", key.public_key_pem()),
            ("tokens.csv", tokens),
            ("audit.yaml", AUDIT.to_owned()),
        ] {
            fs::write(path(name), text).expect("our own folder is writable");
        }
        let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let mut etcd = Command::new(etcd);
        etcd.arg("--data-dir")
            .arg(path("etcd"))
            .args(["--unsafe-no-fsync", "--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")]);
        let mut server = Command::new(server);
        server
            .arg(format!("--etcd-servers={client}"))
            .args([
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
            ])
            .arg(format!("--secure-port={port}"))
            .arg(format!("--cert-dir={}", path("certs").display()))
            .arg(format!("--token-auth-file={}", path("tokens.csv").display()))
            .arg(format!("--audit-policy-file={}", path("audit.yaml").display()))
            .arg(format!("--audit-log-path={}", path("audit.log").display()))
            .arg(format!("--service-account-key-file={}", path("sa.pub").display()))
            .arg(format!("--service-account-signing-key-file={}", path("sa.key").display()))
            .args([
                "--service-account-issuer=https://kubernetes.test",
                "--service-cluster-ip-range=10.96.0.0/16",
            ])
            .args([
                "--authorization-mode=RBAC",
                "--disable-admission-plugins=ServiceAccount",
                "--profiling=false",
            ]);
        // Without a controller manager a namespace would have no account to run pods as, and nothing would be collected: neither is asked for.
        let mut started = Self { port, processes: Vec::new(), folder };
        started.spawn("etcd", etcd);
        started.spawn("kube-apiserver", server);
        started.wait();
        started
    }

    fn spawn(&mut self, name: &str, mut command: Command) {
        let log = fs::File::create(self.folder.path().join(format!("{name}.log")))
            .expect("our own folder is writable");
        let error = log.try_clone().expect("a file can be had twice");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(error).spawn();
        self.processes.insert(0, child.unwrap_or_else(|error| panic!("{name} does not start: {error}")));
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "the API server does not come up: {}", self.log());
            for child in &mut self.processes {
                let ended = child.try_wait().expect("it is our child");
                assert!(ended.is_none(), "it ended at once ({ended:?}): {}", self.log());
            }
            if self.ready().unwrap_or(false) {
                return;
            }
            sleep(LOOK_AGAIN);
        }
    }

    /// Whether it says so. It listens long before it has made its own roles and priority classes.
    fn ready(&self) -> io::Result<bool> {
        let mut trusted = RootCertStore::empty();
        // Made by the server at its start, with the authority that signed it.
        let certificate = self.folder.path().join("certs/apiserver.crt");
        let certificates = CertificateDer::pem_file_iter(certificate).map_err(io::Error::other)?;
        trusted.add_parsable_certificates(certificates.flatten());
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks the default versions")
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let server = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
        let connection = ClientConnection::new(Arc::new(config), server).map_err(io::Error::other)?;
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut stream = StreamOwned::new(connection, stream);
        let token = User::Tests.name();
        write!(stream, "GET /readyz HTTP/1.0\r\nAuthorization: Bearer token-{token}\r\n\r\n")?;
        let mut answer = Vec::new();
        // It does not say goodbye, as TLS would have it.
        let _ = stream.read_to_end(&mut answer);
        Ok(answer.starts_with(b"HTTP/1.0 200"))
    }

    /// A kubeconfig of an administrator.
    ///
    /// # Panics
    /// If the folder cannot be written to.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_of(User::Tests)
    }

    /// A kubeconfig of this one.
    ///
    /// # Panics
    /// If the folder cannot be written to.
    #[must_use]
    pub fn kubeconfig_of(&self, user: User) -> PathBuf {
        let user = user.name();
        let path = self.folder.path().join(format!("kubeconfig-{user}"));
        let text = format!(
            "apiVersion: v1\nkind: Config\n\
             clusters: [{{name: t, cluster: {{server: \"https://127.0.0.1:{}\", insecure-skip-tls-verify: true}}}}]\n\
             users: [{{name: t, user: {{token: token-{user}}}}}]\n\
             contexts: [{{name: t, context: {{cluster: t, user: t}}}}]\ncurrent-context: t\n",
            self.port
        );
        fs::write(&path, text).expect("our own folder is writable");
        path
    }

    /// The port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the operator has asked for so far, in the order of the answers; a watch counts when it begins.
    ///
    /// # Panics
    /// If the API server's audit log cannot be read.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        let text = fs::read_to_string(self.folder.path().join("audit.log")).unwrap_or_default();
        // The last line may be under way.
        let events = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        events
            .map(|line| serde_json::from_str(line).expect("the API server writes JSON"))
            .filter(|event: &Value| event["verb"] != "watch" || event["stage"] == "ResponseStarted")
            .map(|event| {
                let text = |field: &str| event["objectRef"][field].as_str().unwrap_or_default();
                let subresource = event["objectRef"]["subresource"].as_str().map(|sub| format!("/{sub}"));
                Request {
                    verb: event["verb"].as_str().unwrap_or_default().to_owned(),
                    resource: format!("{}{}", text("resource"), subresource.unwrap_or_default()),
                    object: format!("{}/{}", text("namespace"), text("name")),
                }
            })
            .collect()
    }

    /// The end of what the API server said.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("kube-apiserver.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        for child in &mut self.processes {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
