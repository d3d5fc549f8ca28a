//! An authority, a broker that speaks TLS alone to those whom it trusts, a customer's vhost there, and the front door before it.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use kinetic_api::{names, role::Role};
use kinetic_bus::Admin;
use kinetic_tests::{
    http,
    process::{Kinetic, eventually, free_port, kinetic},
    rabbitmq::RabbitMq,
};
use lapin::{
    Connection, ConnectionProperties, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const VHOST: &str = "local.test.acme";
/// What analyzers read: of statsd and collectd alone, so that a message of another type comes back.
pub(crate) const STREAM: &str = "kinetic.metrics.pages.pages";
pub(crate) const WEB: [&str; 5] = ["client", "--customer", "acme", "--client", "web"];
pub(crate) const ANALYZER: [&str; 5] = ["analyzer", "--customer", "acme", "--topology", "pages"];
pub(crate) const ALERT: [&str; 1] = ["alert"];
/// By which names both servers are reached.
const SERVER: [&str; 5] = ["redirector", "--dns", "localhost", "--ip", "127.0.0.1"];
const MASTER_KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// What `kinetic pki issue` put somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) serial: String,
}

pub(crate) struct Site {
    pub(crate) door: Kinetic,
    pub(crate) broker: RabbitMq,
    /// Where the front door takes AMQP.
    pub(crate) port: u16,
    admin: u16,
    pub(crate) runtime: Runtime,
    folder: TempDir,
}

/// How the front door of a site is set.
pub(crate) struct Setting<'a> {
    /// The address that it listens on.
    pub(crate) listen: &'a str,
    /// Further lines of its configuration.
    pub(crate) more: &'a str,
    /// Further lines of the customer's specification.
    pub(crate) customer: &'a str,
    /// Where the broker seems to be, given where it is.
    pub(crate) way: &'a dyn Fn(u16) -> u16,
}

impl Default for Setting<'_> {
    fn default() -> Self {
        Self { listen: "127.0.0.1", more: "", customer: "", way: &|port| port }
    }
}

impl Site {
    pub(crate) fn start(setting: &Setting<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        kinetic(pki(folder.path(), &["init"])).expect_success();
        issue(folder.path(), &SERVER, None);
        let broker_folder = folder.path().join("broker");
        let own = issue(folder.path(), &SERVER, Some(&broker_folder));
        let trust = folder.path().join("pki/trust.crt");
        let broker = RabbitMq::start_with_tls(&own.certificate, &own.key, &trust);
        let runtime = Runtime::new().unwrap();
        runtime.block_on(prepare(&broker));
        let (port, admin) = (free_port(), free_port());
        fs::write(folder.path().join("master.key"), MASTER_KEY).unwrap();
        let configuration = format!(
            "listen: {}:{port}\nadmin: 127.0.0.1:{admin}\n\
             tls: {{certificate: pki/issued/redirector.crt, key: pki/issued/redirector.key, trust: pki/trust.crt}}\n\
             masterKey: {{file: master.key}}\nfiles: [resources.yaml]\n\
             placements:\n  - {{region: local, provider: test, brokers: [{{name: one, nodes: [\"127.0.0.1:{}\"], tls: {{}}}}]}}\n{}",
            setting.listen,
            (setting.way)(broker.tls_port()),
            setting.more
        );
        fs::write(folder.path().join("door.yaml"), configuration).unwrap();
        write_customer(folder.path(), setting.customer);
        let door = start_door(folder.path(), admin);
        Self { door, broker, port, admin, runtime, folder }
    }

    /// Kills the front door, as a crash does, and starts it again in its place.
    pub(crate) fn crash_door(&mut self) {
        self.door.kill();
        self.door = start_door(self.folder.path(), self.admin);
    }

    /// The authority's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The authorities that are trusted now.
    pub(crate) fn trust(&self) -> PathBuf {
        self.path("pki/trust.crt")
    }

    /// Changes the customer's specification.
    pub(crate) fn change_customer(&self, more: &str) {
        write_customer(self.folder.path(), more);
    }

    /// A certificate for somebody, in the place of the former one.
    pub(crate) fn issue(&self, whom: &[&str]) -> Issued {
        issue(self.folder.path(), whom, None)
    }

    /// The front door's own, in the place of the former one.
    pub(crate) fn issue_door(&self) -> Issued {
        self.issue(&SERVER)
    }

    /// The broker's, in the place of the former one; from now on it reads it, and whom it trusts, from its files.
    pub(crate) fn issue_broker(&self) -> Issued {
        let issued = issue(self.folder.path(), &SERVER, Some(&self.path("broker")));
        self.reload_broker();
        issued
    }

    /// Has the broker read its files for new connections.
    pub(crate) fn reload_broker(&self) {
        self.broker.ctl(&["eval", "ssl:clear_pem_cache()."]);
    }

    /// The next step of the authority's rotation.
    pub(crate) fn rotate(&self) -> u64 {
        let rotated = kinetic(pki(self.folder.path(), &["rotate", "--json"])).expect_success();
        serde_json::from_str::<Value>(&rotated.stdout).unwrap()["step"].as_u64().unwrap()
    }

    /// What the front door counts under a name, over all labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        http::metric(self.admin, name).unwrap_or_default()
    }

    /// The connections that ended for a reason.
    pub(crate) fn ended(&self, reason: &str) -> u64 {
        let (_, text) = http::get(self.admin, "/metrics").unwrap_or_default();
        let line = format!("kinetic_door_ended_connections_total{{reason=\"{reason}\"}} ");
        text.lines().find_map(|l| l.strip_prefix(&line)).map_or(0, |number| number.parse().unwrap())
    }

    /// The connections that the broker has, as its HTTP interface shows them.
    pub(crate) fn broker_connections(&self) -> Vec<Value> {
        serde_json::from_str(&self.broker.http("GET", "/api/connections", "")).unwrap()
    }

    pub(crate) fn wait_for_open(&self, number: f64) {
        eventually(&format!("{number} open connections"), || {
            (self.metric("kinetic_door_open_connections") - number).abs() < 0.5
        });
    }

    /// An example client in Python or JavaScript, which knows where to connect, and as whom.
    pub(crate) fn client(&self, program: Command, who: &Issued) -> Command {
        let place = format!("localhost:{}", self.port);
        client(program, &place, who, &self.trust())
    }
}

/// Gives a client of ours its place, certificate and trust.
pub(crate) fn client(mut program: Command, place: &str, who: &Issued, trust: &Path) -> Command {
    program
        .env("PLACE", place)
        .env("VHOST", VHOST)
        .env("CERTIFICATE", &who.certificate)
        .env("KEY", &who.key)
        .env("TRUST", trust)
        .env("PYTHONUNBUFFERED", "1");
    program
}

fn start_door(folder: &Path, admin: u16) -> Kinetic {
    let mut door =
        Kinetic::start(["redirector".as_ref(), "--config".as_ref(), folder.join("door.yaml").as_os_str()]);
    door.wait_for("taking AMQP over TLS");
    eventually("the front door to be ready", || {
        http::get(admin, "/readyz").is_some_and(|(status, _)| status == 200)
    });
    door
}

/// Written aside and put in its place: never half of it is read.
fn write_customer(folder: &Path, more: &str) {
    let mut text = String::from(
        "apiVersion: kinetic.dev/v1alpha1\nkind: Customer\nmetadata: {name: acme}\nspec:\n  region: local\n  provider: test\n  \
         clients: [{name: web, profile: web}]\n",
    );
    text.push_str(more);
    write!(
        text,
        "---\napiVersion: kinetic.dev/v1alpha1\nkind: Topology\nmetadata: {{name: pages}}\nspec:\n  customer: acme\n  \
         sources: [{{name: pages, type: statsd}}]\n  analytics: []\n"
    )
    .unwrap();
    fs::write(folder.join("aside"), text).unwrap();
    fs::rename(folder.join("aside"), folder.join("resources.yaml")).unwrap();
}

fn pki(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let folder = folder.join("pki").display().to_string();
    ["pki", "--dir", &folder].iter().chain(arguments).map(|&argument| argument.to_owned()).collect()
}

fn issue(folder: &Path, whom: &[&str], out: Option<&Path>) -> Issued {
    let mut arguments = pki(folder, &["issue"]);
    arguments.extend(whom.iter().map(|&argument| argument.to_owned()));
    arguments.push("--json".to_owned());
    arguments.extend(out.map(|out| format!("--out={}", out.display())));
    let said: Value = serde_json::from_str(&kinetic(arguments).expect_success().stdout).unwrap();
    let text = |name: &str| said[name].as_str().unwrap().to_owned();
    Issued { certificate: text("certificate").into(), key: text("key").into(), serial: text("serial") }
}

/// As an operator would.
async fn prepare(broker: &RabbitMq) {
    broker.add_vhost(VHOST);
    let admin = Admin::new(&broker.admin_url()).unwrap();
    let web = Role::Client { client: "web".into(), profile: "web".into() };
    for role in [web, Role::Analyzer, Role::Alert, Role::Control] {
        admin.create_user(VHOST, &role, &role.password(MASTER_KEY, VHOST, 1)).await.unwrap();
    }
    let connection =
        Connection::connect(&broker.amqp_url(VHOST), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    for exchange in [names::METRICS_EXCHANGE, names::ANOMALIES_EXCHANGE] {
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, durable, FieldTable::default())
            .await
            .unwrap();
    }
    for (queue, kind, exchange, keys) in [
        (STREAM, "stream", names::METRICS_EXCHANGE, &["statsd.#", "collectd.#"][..]),
        (names::ANOMALIES_QUEUE, "quorum", names::ANOMALIES_EXCHANGE, &["#"]),
    ] {
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        channel.queue_declare(queue.into(), durable, arguments).await.unwrap();
        for key in keys {
            channel
                .queue_bind(
                    queue.into(),
                    exchange.into(),
                    (*key).into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await
                .unwrap();
        }
    }
    connection.close(200, "".into()).await.unwrap();
}

/// Generous, for what is not waited for by [`eventually`].
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
