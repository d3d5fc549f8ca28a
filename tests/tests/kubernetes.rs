//! The front door and the alert service follow a real API server: a customer is let in, assigned, watched, mailed, put out, without a restart.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kinetic_api::{
    resources::{Alert, Customer, Topology, definitions},
    role::Role,
};
use kinetic_bus::{Admin, AmqpConfig, Bus, needs};
use kinetic_tests::{
    http::{get, metric},
    kubernetes::{self, Kubernetes},
    process::{Kinetic, binary, eventually, free_port, kinetic},
    rabbitmq::RabbitMq,
    smtp::SmtpServer,
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const MASTER_KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const RESOURCES: &str = include_str!("resources/load.yaml");

/// The API server, as an administrator.
struct Cluster {
    client: Client,
    /// Written once: who reads it while it is written has half of it.
    kubeconfig: PathBuf,
    _kubernetes: Kubernetes,
}

impl Cluster {
    async fn start() -> Self {
        let kubernetes = Kubernetes::start();
        let kubeconfig = kubernetes.kubeconfig();
        let read = Kubeconfig::read_from(&kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
        Self { client: Client::try_from(config).unwrap(), kubeconfig, _kubernetes: kubernetes }
    }

    async fn define(&self) {
        for definition in definitions() {
            let name = definition.metadata.name.clone().unwrap();
            let api = Api::<CustomResourceDefinition>::all(self.client.clone());
            applied(&api, &name, &serde_json::to_value(definition).unwrap()).await;
        }
    }

    fn api<K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn apply<K>(&self, object: &Value)
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        applied(&self.api::<K>(), object["metadata"]["name"].as_str().unwrap(), object).await;
    }

    /// As the operator does.
    async fn assign(&self, customer: &str, broker: &str) {
        let status = Patch::Merge(json!({"status": {"broker": broker}}));
        self.api::<Customer>().patch_status(customer, &PatchParams::default(), &status).await.unwrap();
    }

    fn run(&self, role: &str, config: &Path) -> Kinetic {
        let mut command = Command::new(binary());
        Kinetic::spawn(command.args([role, "--config"]).arg(config).env("KUBECONFIG", &self.kubeconfig))
    }
}

/// Applies as soon as the API server lets it.
async fn applied<K: Resource + Clone + DeserializeOwned + std::fmt::Debug>(
    api: &Api<K>,
    name: &str,
    object: &Value,
) {
    let mut tries = 0;
    while let Err(error) = api.patch(name, &PatchParams::apply("tests"), &Patch::Apply(object)).await {
        tries += 1;
        assert!(tries < 300, "{name}: {error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The documents of the file, in the namespace `default`.
fn resources() -> Vec<Value> {
    RESOURCES.split("---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect()
}

/// What the operator makes on a broker.
async fn prepare(broker: &RabbitMq, vhost: &str) {
    broker.add_vhost(vhost);
    let bus = Bus::amqp(AmqpConfig::new(&broker.amqp_url(""), vhost).unwrap());
    bus.declare(&needs::customer()).await.unwrap();
    bus.close().await;
    let admin = Admin::new(&broker.admin_url()).unwrap();
    for role in [Role::Alert, Role::Client { client: "web".to_owned(), profile: "web".to_owned() }] {
        admin.create_user(vhost, &role, &role.password(MASTER_KEY, vhost, 1)).await.unwrap();
    }
}

fn issue(folder: &Path, whom: &[&str]) -> String {
    let dir = folder.join("pki").display().to_string();
    let arguments = [&["pki", "--dir", &dir, "issue"], whom, &["--json"]].concat();
    let said: Value = serde_json::from_str(&kinetic(arguments).expect_success().stdout).unwrap();
    said["serial"].as_str().unwrap().to_owned()
}

/// Whether a finding can be made: as a foreign publisher, over the broker's HTTP interface.
fn publish(broker: &RabbitMq, load: i64) {
    let message = format!(
        r#"{{"properties": {{"headers": {{"origin": "web-1"}}}}, "routing_key": "statsd.web.web-1",
            "payload": "host.load:{load}|g|#host:web-1", "payload_encoding": "string"}}"#
    );
    broker.http("POST", "/api/exchanges/test.local.shop/kinetic.metrics/publish", &message);
}

/// Where the front door listens, and where both are asked.
struct Ports {
    amqps: u16,
    registry: u16,
    door: u16,
    alert: u16,
}

/// The configurations of the front door and the alert service. Of the placement's two brokers the first does not answer.
fn configure(folder: &Path, ports: &Ports, broker: &RabbitMq, smtp: &SmtpServer) {
    let Ports { amqps, registry, door, alert } = ports;
    let nowhere = free_port();
    fs::write(
        folder.join("door.yaml"),
        format!(
            "listen: 127.0.0.1:{amqps}\nadmin: 127.0.0.1:{door}\nregistry: 127.0.0.1:{registry}\n\
             tls: {{certificate: pki/issued/redirector.crt, key: pki/issued/redirector.key, trust: pki/trust.crt}}\n\
             masterKey: {{file: master.key}}\nkubernetes: {{namespaces: [default]}}\n\
             placements:\n  - region: test\n    provider: local\n    brokers:\n      - {{name: one, nodes: [\"127.0.0.1:{nowhere}\"]}}\n      \
             - {{name: two, nodes: [\"127.0.0.1:{}\"]}}\n",
            broker.amqp_port()
        ),
    )
    .unwrap();
    fs::write(
        folder.join("alert.yaml"),
        format!(
            "kubernetes: {{}}\ndoors: [{{region: test, provider: local, amqp: 'amqps://localhost:{amqps}'}}]\n\
             tls: {{cert: pki/issued/alert.crt, key: pki/issued/alert.key, ca: pki/trust.crt}}\n\
             data: alert\nadmin: 127.0.0.1:{alert}\nmail: {{smtp: 'smtp://{}', from: kinetic@shop.example}}\n",
            smtp.address()
        ),
    )
    .unwrap();
}

/// Which classes of clients are connected is told without a certificate, and no more.
fn a_client_is_told_of(ports: &Ports, folder: &Path) {
    let clients = || get(ports.door, "/api/v1/clients").unwrap_or_default().1;
    assert_eq!(clients(), r#"{"customers":{}}"#);
    issue(folder, &["client", "--customer", "shop", "--client", "web"]);
    let mut sidecar = Command::new(binary());
    sidecar.args([
        "sidecar",
        "--upstream",
        &format!("localhost:{}", ports.amqps),
        "--vhost",
        "test.local.shop",
    ]);
    sidecar.args(["--statsd", &format!("127.0.0.1:{}", free_port()), "--amqp", "off"]);
    for (flag, file) in [
        ("--cert", "issued/shop.clients.web.crt"),
        ("--key", "issued/shop.clients.web.key"),
        ("--ca", "trust.crt"),
    ] {
        sidecar.arg(flag).arg(folder.join("pki").join(file));
    }
    let sidecar = Kinetic::spawn(&mut sidecar);
    eventually("the client to be told of", || clients() == r#"{"customers":{"shop":["web"]}}"#);
    let (status, said) = sidecar.interrupt();
    assert!(status.success(), "{status}\n{said}");
    eventually("it not to be told of any more", || clients() == r#"{"customers":{}}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn front_door_and_alert_service_follow_an_api_server() {
    if let Some(reason) = kubernetes::missing() {
        kinetic_tests::skip(&reason);
        return;
    }
    // Another test of this process may have done so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = Cluster::start().await;
    let (broker, smtp) = (RabbitMq::start(), SmtpServer::start());
    prepare(&broker, "test.local.shop").await;
    prepare(&broker, "test.local.later").await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    kinetic(["pki", "--dir", path("pki").to_str().unwrap(), "init"]).expect_success();
    for whom in [&["redirector", "--dns", "localhost", "--ip", "127.0.0.1"][..], &["operator"], &["alert"]] {
        issue(folder.path(), whom);
    }
    fs::write(path("master.key"), MASTER_KEY).unwrap();
    let ports = Ports { amqps: free_port(), registry: free_port(), door: free_port(), alert: free_port() };
    configure(folder.path(), &ports, &broker, &smtp);

    // Both wait for what the API server has to say, and say so.
    let mut door = cluster.run("redirector", &path("door.yaml"));
    let mut alert = cluster.run("alert", &path("alert.yaml"));
    door.wait_for("waiting for the API server");
    assert_eq!(get(ports.door, "/readyz").map(|(status, _)| status), Some(503));
    cluster.define().await;
    door.wait_for("taking AMQP over TLS");

    let objects = resources();
    cluster.apply::<Alert>(&objects[2]).await;
    cluster.apply::<Topology>(&objects[1]).await;
    cluster.apply::<Customer>(&objects[0]).await;
    cluster.assign("shop", "two").await;
    alert.wait_for("connected");
    let ready = |port: u16| get(port, "/readyz").is_some_and(|(status, _)| status == 200);
    eventually("both to be ready", || ready(ports.door) && ready(ports.alert));

    // What an analyzer finds is mailed.
    fs::write(path("resources.yaml"), RESOURCES.replace("above: 100", "above: 10")).unwrap();
    let amqp = broker.amqp_url("");
    fs::write(
        path("analyzer.yaml"),
        format!("amqp: {}\nfiles: [resources.yaml]\ndata: analyzer\n", amqp.trim_end_matches('/')),
    )
    .unwrap();
    let analyzer =
        Kinetic::start(["analyzer".as_ref(), "--config".as_ref(), path("analyzer.yaml").as_os_str()]);
    eventually("the finding to be mailed", || {
        publish(&broker, 50);
        !smtp.received().is_empty()
    });

    a_client_is_told_of(&ports, folder.path());

    // A second customer; the certificate is another, and the front door goes and comes back.
    let mut later = objects[0].clone();
    later["metadata"]["name"] = json!("later");
    cluster.apply::<Customer>(&later).await;
    cluster.assign("later", "two").await;
    let server = format!("https://localhost:{}", ports.registry);
    let issued = |name: &str| path("pki/issued").join(name).display().to_string();
    let (cert, key, trust) =
        (issued("operator.crt"), issued("operator.key"), path("pki/trust.crt").display().to_string());
    let connections = || {
        let asked = kinetic([
            "clients", "--json", "--server", &server, "--cert", &cert, "--key", &key, "--ca", &trust,
        ]);
        let all: Value = serde_json::from_str(&asked.stdout).unwrap_or_default();
        let of = |connection: &Value| {
            ["customer", "role", "serial"]
                .map(|field| connection[field].as_str().unwrap_or_default().to_owned())
        };
        let mut found: Vec<_> = all["connections"].as_array().into_iter().flatten().map(of).collect();
        found.sort();
        found
    };
    let customers = |wanted: &[&str], serial: Option<&str>| {
        let found = connections();
        found.len() == wanted.len()
            && found.iter().zip(wanted).all(|([customer, role, with], wanted)| {
                customer == wanted && role == "alert" && serial.is_none_or(|serial| with == serial)
            })
    };
    eventually("a connection a customer", || customers(&["later", "shop"], None));
    let end =
        || metric(ports.alert, "kinetic_tls_certificate_not_after_timestamp_seconds").unwrap_or_default();
    let before = end();
    let serial = issue(folder.path(), &["alert"]);
    // Issued later, it ends later.
    eventually("the alert service to have read it", || end() > before);
    door.kill();
    let mut door = cluster.run("redirector", &path("door.yaml"));
    door.wait_for("taking AMQP over TLS");
    eventually("both to come with the new certificate", || customers(&["later", "shop"], Some(&serial)));

    cluster.api::<Customer>().delete("later", &DeleteParams::default()).await.unwrap();
    eventually("the deleted one to be out", || customers(&["shop"], Some(&serial)));
    // Moved: its connection goes where the other broker would be.
    cluster.assign("shop", "one").await;
    eventually("the moved one to be sent elsewhere", || connections().is_empty());
    cluster.assign("shop", "two").await;
    eventually("it to be back", || customers(&["shop"], Some(&serial)));
    for role in [analyzer, alert, door] {
        let (status, said) = role.interrupt();
        assert!(status.success(), "{status}\n{said}");
    }
}
