//! A real RabbitMQ for tests: Debian's, on free loopback ports, with a folder, a node name and an epmd of its own.
//!
//! Nothing survives the test: a shell that waits for the end of its standard input stands between the two and kills
//! the broker's process group, also when the test process is killed.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const BIN: &str = "/usr/lib/rabbitmq/bin";
/// Generous: a loaded machine with one core takes a minute.
const PATIENCE: Duration = Duration::from_mins(3);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A line on standard input kills the broker; its end, which is the test's, removes the folder too.
const KEEPER: &str = r#"
set -m
( epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 &
  until epmd -port "$ERL_EPMD_PORT" -names >/dev/null 2>&1; do sleep 0.02; done
  "$SERVER"; touch "$FOLDER/exited" ) </dev/null >>"$FOLDER/console.log" 2>&1 &
broker=$!
read -r line; ended=$?
kill -KILL -- -$broker
wait $broker 2>/dev/null
for look in $(seq 500); do kill -0 -- -$broker 2>/dev/null || break; sleep 0.02; done
[ $ended = 0 ] || rm -rf "$FOLDER"
"#;

/// A running (or stopped) broker, with user `guest`, password `guest`, and the management plugin.
#[derive(Debug)]
pub struct RabbitMq {
    amqp: u16,
    admin: u16,
    distribution: u16,
    epmd: u16,
    /// The port for TLS, and what the broker is configured with for it.
    tls: Option<(u16, String)>,
    run: Mutex<Option<Run>>,
    /// Last, so that it goes after the broker.
    folder: TempDir,
}

/// One start of the broker.
#[derive(Debug)]
struct Run {
    keeper: Child,
    keeper_input: ChildStdin,
}

impl RabbitMq {
    /// Starts a broker and waits until it takes connections, which takes about eight seconds.
    ///
    /// # Panics
    /// If RabbitMQ is not installed or does not come up.
    #[must_use]
    pub fn start() -> Self {
        Self::configured(None)
    }

    /// Starts a broker that also speaks AMQP over mutual TLS: with this certificate and key, for clients of this authority (all
    /// PEM files). By SASL EXTERNAL a client is the user that is called like the URI in its certificate ([`add_user`](Self::add_user)).
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_with_tls(certificate: &Path, key: &Path, authority: &Path) -> Self {
        let [port] = free_ports();
        let (certificate, key, authority) = (certificate.display(), key.display(), authority.display());
        let configuration = format!(
            "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n\
             ssl_options.cacertfile = {authority}\nssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = true\nssl_options.versions.1 = tlsv1.3\nssl_options.versions.2 = tlsv1.2\n\
             auth_mechanisms.1 = PLAIN\nauth_mechanisms.2 = AMQPLAIN\nauth_mechanisms.3 = EXTERNAL\n\
             ssl_cert_login_from = subject_alternative_name\nssl_cert_login_san_type = uri\n"
        );
        Self::configured(Some((port, configuration)))
    }

    fn configured(tls: Option<(u16, String)>) -> Self {
        assert!(
            Path::new(BIN).join("rabbitmq-server").exists(),
            "this test needs RabbitMQ: apt-get install -y rabbitmq-server (and stop the service that this starts)"
        );
        let [amqp, admin, distribution, epmd] = free_ports();
        let folder = TempDir::with_prefix("kinetic-rabbitmq-").expect("a folder under the temporary one");
        let broker = Self { amqp, admin, distribution, epmd, tls, run: Mutex::new(None), folder };
        broker.configure();
        broker.start_again();
        broker
    }

    /// One broker for all tests of a process; each should use a vhost of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RabbitMq> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// `amqp://guest:guest@127.0.0.1:PORT/VHOST`.
    #[must_use]
    pub fn amqp_url(&self, vhost: &str) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/{}", self.amqp, percent_encoded(vhost))
    }

    /// `http://guest:guest@127.0.0.1:PORT`, the HTTP interface.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://guest:guest@127.0.0.1:{}", self.admin)
    }

    /// The port for AMQP.
    #[must_use]
    pub fn amqp_port(&self) -> u16 {
        self.amqp
    }

    /// The port for AMQP over TLS.
    ///
    /// # Panics
    /// If it was not started with TLS.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls.as_ref().expect("started with TLS").0
    }

    /// Creates a user without a password, who may do this much in a vhost: `{"configure":"","write":"…","read":""}`.
    ///
    /// # Panics
    /// If the broker refuses.
    pub fn add_user(&self, user: &str, vhost: &str, permissions: &str) {
        let (user, vhost) = (percent_encoded(user), percent_encoded(vhost));
        self.http("PUT", &format!("/api/users/{user}"), r#"{"password_hash":"","tags":""}"#);
        self.http("PUT", &format!("/api/permissions/{vhost}/{user}"), permissions);
    }

    /// Runs `rabbitmqctl` (a second or two) and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = self
            .command("rabbitmqctl")
            .args(["--quiet", "--node", &self.node()])
            .args(arguments)
            .output()
            .expect("rabbitmqctl starts");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {printed}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        printed
    }

    /// Creates a vhost in which `guest` may do everything.
    ///
    /// # Panics
    /// If the broker refuses.
    pub fn add_vhost(&self, vhost: &str) {
        let vhost = percent_encoded(vhost);
        self.http("PUT", &format!("/api/vhosts/{vhost}"), "{}");
        let all = r#"{"configure":".*","write":".*","read":".*"}"#;
        self.http("PUT", &format!("/api/permissions/{vhost}/guest"), all);
    }

    /// Asks the HTTP interface as `guest`; returns the answer's body.
    ///
    /// # Panics
    /// If the answer is not a 2xx.
    pub fn http(&self, method: &str, path: &str, body: &str) -> String {
        let mut answer = self.try_http(method, path, body);
        // RabbitMQ 3.10 cannot list queues while one of them is being deleted.
        for _ in 0..20 {
            let listing = method == "GET" && answer.as_ref().is_err_and(|problem| problem.contains(" 500 "));
            if !listing {
                break;
            }
            sleep(LOOK_AGAIN);
            answer = self.try_http(method, path, body);
        }
        answer.unwrap_or_else(|problem| panic!("{method} {path}: {problem}"))
    }

    /// The same; what is wrong with the answer is returned.
    ///
    /// # Errors
    /// An answer that is not a 2xx, or that there is none.
    pub fn try_http(&self, method: &str, path: &str, body: &str) -> Result<String, String> {
        let problem = |error: io::Error| error.to_string();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.admin)).map_err(problem)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(problem)?;
        let request = format!(
            "{method} {path} HTTP/1.0\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut answer = Vec::new();
        stream
            .write_all(request.as_bytes())
            .and_then(|()| stream.read_to_end(&mut answer))
            .map_err(problem)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let good = head.split(' ').nth(1).is_some_and(|code| code.starts_with('2'));
        if good { Ok(body.to_owned()) } else { Err(answer.into_owned()) }
    }

    /// What the HTTP interface was asked so far, other than to read: `PUT /api/vhosts/x`.
    ///
    /// # Panics
    /// If its log cannot be read.
    #[must_use]
    pub fn http_writes(&self) -> Vec<String> {
        let Ok(logs) = fs::read_dir(self.path("http")) else { return Vec::new() };
        let mut writes = Vec::new();
        for log in logs {
            let path = log.expect("our own folder is readable").path();
            let text = fs::read_to_string(path).expect("our own folder is readable");
            // 127.0.0.1 - guest [22/Nov/2026:06:00:00 +0000] "PUT /api/vhosts/x HTTP/1.1" 201 …
            let requests = text.lines().filter_map(|line| line.split('"').nth(1));
            writes.extend(requests.filter(|r| !r.starts_with("GET ")).map(str::to_owned));
        }
        writes
    }

    /// Stops the broker as an administrator would; data and ports stay for [`start_again`](Self::start_again).
    ///
    /// # Panics
    /// If it does not stop.
    pub fn stop(&self) {
        let pid = fs::read_to_string(self.path("pid")).expect("a running broker has written its pid");
        let pid = pid.trim();
        let killed = Command::new("kill").args(["-TERM", pid]).status().expect("kill starts");
        assert!(killed.success(), "no process {pid}: the broker has gone by itself: {}", self.log());
        let deadline = Instant::now() + PATIENCE;
        while !self.path("exited").exists() {
            assert!(Instant::now() < deadline, "the broker does not stop: {}", self.log());
            sleep(LOOK_AGAIN);
        }
        self.kill9();
    }

    /// Kills the broker, as a crash of its machine would.
    ///
    /// # Panics
    /// If it was not running.
    pub fn kill9(&self) {
        let mut run = self.run().take().expect("the broker runs");
        run.keeper_input.write_all(b"kill\n").expect("the keeper reads");
        run.keeper.wait().expect("the keeper ends");
    }

    /// Starts a stopped or killed broker on its data and ports, and waits until it takes connections.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start_again(&self) {
        let _ = fs::remove_file(self.path("pid"));
        let _ = fs::remove_file(self.path("exited"));
        let mut keeper = self
            .environment(Command::new("bash").args(["-c", KEEPER]))
            .env("SERVER", Path::new(BIN).join("rabbitmq-server"))
            .env("FOLDER", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of the test's process group: a test runner kills that, and the keeper must outlive it.
            .process_group(0)
            .spawn()
            .expect("bash starts");
        let keeper_input = keeper.stdin.take().expect("standard input is a pipe");
        *self.run() = Some(Run { keeper, keeper_input });
        let deadline = Instant::now() + PATIENCE;
        while !self.greets() {
            assert!(!self.path("exited").exists(), "the broker ended at once: {}", self.log());
            assert!(Instant::now() < deadline, "the broker does not come up: {}", self.log());
            sleep(LOOK_AGAIN);
        }
    }

    /// Does it answer AMQP's protocol header, and listen for HTTP?
    fn greets(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.amqp)) else { return false };
        let mut start = [0];
        stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
            && stream.write_all(b"AMQP\x00\x00\x09\x01").is_ok()
            && stream.read_exact(&mut start).is_ok()
            && start == [1]
            && TcpStream::connect((Ipv4Addr::LOCALHOST, self.admin)).is_ok()
    }

    fn configure(&self) {
        let tls = self.tls.as_ref().map_or("", |(_, configuration)| configuration);
        let configuration = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}\n\
             management.http_log_dir = {}\n{tls}",
            self.amqp,
            self.admin,
            self.path("http").display()
        );
        let write = |name, text: &str| fs::write(self.path(name), text).expect("our own folder is writable");
        write("rabbitmq.conf", &configuration);
        let external = self.tls.as_ref().map_or("", |_| ", rabbitmq_auth_mechanism_ssl");
        write("enabled_plugins", &format!("[rabbitmq_management{external}].\n"));
        write("rabbitmq-env.conf", "");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(Path::new(BIN).join(program));
        self.environment(&mut command);
        command
    }

    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("HOME", self.folder.path())
            .env("ERL_EPMD_PORT", self.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", self.path("rabbitmq-env.conf"))
            .env("RABBITMQ_CONFIG_FILE", self.path("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.path("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", self.path("mnesia"))
            .env("RABBITMQ_LOG_BASE", self.path("log"))
            .env("RABBITMQ_PID_FILE", self.path("pid"))
            .env("RABBITMQ_SCHEMA_DIR", self.path("schema"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", self.path("config"))
            // Listen on loopback only, and do not spin on the few cores that the tests have.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
            )
    }

    fn node(&self) -> String {
        format!("kinetic-{}@localhost", self.amqp)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The end of what the broker said, for a panic's message.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.path("console.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn run(&self) -> MutexGuard<'_, Option<Run>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        if let Some(Run { mut keeper, keeper_input }) = self.run().take() {
            drop(keeper_input);
            let _ = keeper.wait();
        }
    }
}

/// Free ports below those that the system gives to outgoing connections: a reconnecting client could otherwise be
/// given the stopped broker's port, and connect to itself.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let mut held = Vec::new();
    while held.len() < N {
        let random = RandomState::new().hash_one(held.len()) % 11_000;
        let port = 20_000 + u16::try_from(random).expect("less than 11,000");
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    std::array::from_fn(|index| held[index].0)
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
