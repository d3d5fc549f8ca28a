//! The operator's configuration: plain data, the same for what it does and for what it builds.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use kinetic_api::{duration::Duration as Span, plan::TopologyPlan, resources::Name};
use serde::Deserialize;

pub mod pods;

use pods::{ContainerSettings, PodSettings};

use crate::build::{redirector, stateful_set};

/// What the file says. Paths are relative to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where the operator's own objects are: the authority, the redirectors, the Lease.
    pub namespace: String,
    /// The namespaces whose resources are looked after; all where absent.
    #[serde(default)]
    pub watch_namespaces: Vec<String>,
    /// Whose identities the authority vouches for.
    #[serde(default = "kinetic_local")]
    pub trust_domain: String,
    /// The image of sidecars, redirectors and analyzers.
    pub image: String,
    /// When it is pulled, as a container's `imagePullPolicy`.
    #[serde(default)]
    pub image_pull_policy: Option<String>,
    /// Another version is another password of every role.
    #[serde(default = "first")]
    pub master_key_version: u32,
    /// How the authority is replaced.
    #[serde(default)]
    pub rotation: Rotation,
    /// Who issues certificates instead of an authority of the operator's own.
    #[serde(default)]
    pub issuer: Option<IssuerRef>,
    /// Where /healthz, /readyz and /metrics are served.
    #[serde(default)]
    pub admin: Option<SocketAddr>,
    /// Where customers may live.
    #[serde(default)]
    pub placements: Vec<Placement>,
    /// What all analyzers have in common.
    #[serde(default)]
    pub analyzer: Analyzer,
}

/// How the authority is replaced.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rotation {
    /// How long those who follow their Secret, or fetch from it by hand, may take: so long after the last Secret was brought up to date the next stage begins.
    pub settle: Span,
    /// So many certificates of a former authority are replaced a second.
    pub reissues_per_second: u32,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { settle: Span::from_secs(24 * 3600), reissues_per_second: 10 }
    }
}

/// An issuer of cert-manager's, or one that it knows how to ask.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerRef {
    /// What it is called.
    pub name: String,
    /// `ClusterIssuer`; or `Issuer`, of which every namespace with Customers or Topologies, and the operator's own, needs one.
    #[serde(default = "cluster_issuer")]
    pub kind: String,
    /// Whose kind that is.
    #[serde(default = "cert_manager")]
    pub group: String,
}

fn cluster_issuer() -> String {
    "ClusterIssuer".to_owned()
}

fn cert_manager() -> String {
    "cert-manager.io".to_owned()
}

/// A region of a provider: a front door and the brokers behind it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Placement {
    /// Its region.
    pub region: Name,
    /// Its provider.
    pub provider: Name,
    /// The name by which clients reach its front door; within the cluster alone where absent.
    #[serde(default)]
    pub host: Option<String>,
    /// Its broker clusters.
    pub brokers: Vec<Broker>,
    /// Its front door.
    #[serde(default)]
    pub redirector: Redirector,
}

/// A broker cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Broker {
    /// What it is called.
    pub name: String,
    /// `host:port` of each node, for AMQP.
    pub nodes: Vec<String>,
    /// Its HTTP interface.
    pub admin: Admin,
    /// So many customers at most.
    #[serde(default = "five_hundred")]
    pub max_customers: usize,
}

/// A broker's HTTP interface.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Admin {
    /// `http://host:15672`, or `https://host:15671`.
    pub url: String,
    /// The authorities that vouch for it, in PEM; those that the system trusts where absent. Followed: a changed file counts for the next call.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A folder with the files `username` and `password`, as a mounted Secret of RabbitMQ's Cluster Operator has them.
    pub credentials: PathBuf,
}

/// A front door.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Redirector {
    /// How many pods.
    pub replicas: i32,
    /// Its Service.
    pub service: Service,
    /// Its pods.
    pub pod: PodSettings,
    /// Their container.
    pub container: ContainerSettings,
}

impl Default for Redirector {
    fn default() -> Self {
        Self {
            replicas: 2,
            service: Service::default(),
            pod: PodSettings::default(),
            container: ContainerSettings::default(),
        }
    }
}

/// What is the platform's to say of analyzers: their Topologies say what they may use, and which image they are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Analyzer {
    /// Their pods.
    pub pod: PodSettings,
    /// The container that analyzes. A Topology's own `resources` win.
    pub container: ContainerSettings,
    /// The one beside it, that holds the certificate.
    pub sidecar: ContainerSettings,
}

/// A front door's Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Service {
    /// `ClusterIP`, `NodePort` or `LoadBalancer`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Which load balancer.
    pub load_balancer_class: Option<String>,
    /// For whoever makes the load balancer.
    pub annotations: BTreeMap<String, String>,
}

fn kinetic_local() -> String {
    "kinetic.local".to_owned()
}

const fn first() -> u32 {
    1
}

const fn five_hundred() -> usize {
    500
}

/// The port of AMQP over TLS (IANA: `amqps`).
pub const AMQPS: u16 = 5671;

/// Less is no time for anybody.
const MIN_SETTLE: Span = Span::from_secs(5);

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is no configuration.
    #[error("{}: {field}{error}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The field and a colon, if one was reached.
        field: String,
        /// Where and what.
        error: Box<serde_saphyr::Error>,
    },
    /// A field's value cannot be used.
    #[error("{}: {field}: {problem}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        let mut config = Self::parse(&text).map_err(|(field, error)| ConfigError::Parse {
            path: path.to_owned(),
            field,
            error,
        })?;
        let field = |field: String, problem: &str| ConfigError::Field {
            path: path.to_owned(),
            field,
            problem: problem.to_owned(),
        };
        if let Err(error) = config.trust_domain.parse::<kinetic_pki::TrustDomain>() {
            return Err(field("trustDomain".into(), &error.to_string()));
        }
        if config.rotation.settle < MIN_SETTLE {
            return Err(field(
                "rotation.settle".into(),
                "5s at least: pods take up to a minute to see a changed Secret, and machines outside as long as whoever carries it there",
            ));
        }
        let analyzer = &config.analyzer;
        let containers = [("container", &analyzer.container), ("sidecar", &analyzer.sidecar)];
        if let Some((at, problem)) = pods::fault(&analyzer.pod, &containers, &stateful_set::VOLUMES) {
            return Err(field(format!("analyzer.{at}"), &problem));
        }
        let mut places = Vec::new();
        let mut brokers = Vec::new();
        for (number, placement) in config.placements.iter_mut().enumerate() {
            let at = format!("placements[{number}]");
            if placement.brokers.is_empty() {
                return Err(field(format!("{at}.brokers"), "name a broker and its nodes"));
            }
            let place = (placement.region.clone(), placement.provider.clone());
            if places.contains(&place) {
                return Err(field(
                    at,
                    "there is another placement of this region and provider: put the brokers of both into one",
                ));
            }
            places.push(place);
            let door = &placement.redirector;
            let containers = [("container", &door.container)];
            if let Some((below, problem)) = pods::fault(&door.pod, &containers, &redirector::VOLUMES) {
                return Err(field(format!("{at}.redirector.{below}"), &problem));
            }
            for (number, broker) in placement.brokers.iter_mut().enumerate() {
                if broker.nodes.is_empty() {
                    return Err(field(format!("{at}.brokers[{number}].nodes"), "name one, as host:port"));
                }
                if brokers.contains(&broker.name) {
                    return Err(field(
                        format!("{at}.brokers[{number}].name"),
                        "there is another broker of this name",
                    ));
                }
                brokers.push(broker.name.clone());
                if broker.admin.ca_file.is_some() && !broker.admin.url.starts_with("https://") {
                    return Err(field(
                        format!("{at}.brokers[{number}].admin.caFile"),
                        "without https there is nobody to vouch for: write https://host:15671 as url, or leave it out",
                    ));
                }
                if let Some(folder) = path.parent() {
                    broker.admin.credentials = folder.join(&broker.admin.credentials);
                    broker.admin.ca_file = broker.admin.ca_file.as_ref().map(|file| folder.join(file));
                }
            }
        }
        Ok(config)
    }

    /// With the field where it goes wrong.
    fn parse(text: &str) -> Result<Self, (String, Box<serde_saphyr::Error>)> {
        let mut field = String::new();
        serde_saphyr::with_deserializer_from_str(text, |deserializer| {
            serde_path_to_error::deserialize(deserializer).map_err(|error| {
                field = error.path().iter().next().map(|_| format!("{}: ", error.path())).unwrap_or_default();
                error.into_inner()
            })
        })
        .map_err(|error| (field, Box::new(error)))
    }

    /// The placement of a region and provider.
    #[must_use]
    pub fn placement(&self, region: &str, provider: &str) -> Option<&Placement> {
        self.placements
            .iter()
            .find(|placement| &*placement.region == region && &*placement.provider == provider)
    }
}

impl Placement {
    /// What its front door's objects are called.
    #[must_use]
    pub fn redirector_name(&self) -> String {
        format!("kinetic-redirector-{}-{}", self.region, self.provider)
    }

    /// The front door's name within the cluster.
    #[must_use]
    pub fn internal_host(&self, namespace: &str) -> String {
        format!("{}.{namespace}.svc", self.redirector_name())
    }

    /// Where clients find the front door.
    #[must_use]
    pub fn public_host(&self, namespace: &str) -> String {
        self.host.clone().unwrap_or_else(|| self.internal_host(namespace))
    }
}

impl Admin {
    /// As whom the operator comes: user and password.
    pub fn credentials(&self) -> Result<(String, String), ConfigError> {
        let read = |name: &str| {
            let path = self.credentials.join(name);
            fs::read_to_string(&path)
                .map(|text| text.trim_end_matches('\n').to_owned())
                .map_err(|error| ConfigError::Read { path, error })
        };
        Ok((read("username")?, read("password")?))
    }
}

/// So many bytes a Topology's streams may hold together.
#[must_use]
pub fn retained(plan: &TopologyPlan) -> u64 {
    plan.sources.iter().map(|source| source.retention.size.get()).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.yaml");
        fs::write(&path, text).unwrap();
        Config::read(&path).map_err(|error| error.to_string())
    }

    const BROKER: &str = "{name: b, nodes: [r:5672], admin: {url: 'http://r:15672', credentials: b}}";

    #[test]
    fn reads_what_it_needs_and_names_what_is_wrong() {
        let good = read(&format!(
            "namespace: k\nimage: i\nplacements: [{{region: r, provider: p, brokers: [{BROKER}]}}]\n"
        ))
        .unwrap();
        assert_eq!(good.placements[0].brokers[0].max_customers, 500);
        assert_eq!(good.placements[0].public_host("k"), "kinetic-redirector-r-p.k.svc");
        assert!(good.placements[0].brokers[0].admin.credentials.is_absolute());
        for (text, field) in [
            ("namespace: k\n".to_owned(), "image"),
            ("namespace: k\nimage: i\ntrustDomain: UPPER\n".to_owned(), "trustDomain"),
            (
                format!(
                    "namespace: k\nimage: i\nplacements: [{{region: r, provider: p, brokers: [{}]}}]\n",
                    BROKER.replace("credentials: b", "credentials: b, caFile: c")
                ),
                "brokers[0].admin.caFile",
            ),
            ("namespace: k\nimage: i\nrotation: {settle: 1s}\n".to_owned(), "rotation.settle"),
            ("namespace: k\nimage: i\nimages: x\n".to_owned(), "images"),
            (
                "namespace: k\nimage: i\nanalyzer: {pod: {tolerations: [{operater: Exists}]}}\n".to_owned(),
                "[0].operater: there is no such field",
            ),
            (
                "namespace: k\nimage: i\nanalyzer: {sidecar: {extraVolumeMounts: [{name: tls, mountPath: /x}]}}\n"
                    .to_owned(),
                "analyzer.sidecar.extraVolumeMounts[0].name",
            ),
            (
                format!(
                    "namespace: k\nimage: i\nplacements: [{{region: r, provider: p, brokers: [{BROKER}], redirector: {{container: {{resources: {{limit: {{}}}}}}}}}}]\n"
                ),
                "limit: there is no such field",
            ),
            (
                format!(
                    "namespace: k\nimage: i\nplacements: [{{region: r, provider: p, brokers: [{BROKER}], redirector: {{pod: {{extraVolumes: [{{name: keys}}]}}}}}}]\n"
                ),
                "placements[0].redirector.pod.extraVolumes[0].name",
            ),
            (
                "namespace: k\nimage: i\nplacements: [{region: r, provider: p, brokers: []}]\n".to_owned(),
                "placements[0].brokers",
            ),
            (
                format!(
                    "namespace: k\nimage: i\nplacements: [{{region: r, provider: p, brokers: [{BROKER}, {BROKER}]}}]\n"
                ),
                "placements[0].brokers[1].name",
            ),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains("operator.yaml") && error.contains(field), "{error}");
        }
        let deep = read("namespace: k\nimage: i\nanalyzer: {pod: {tolerations: [{operater: Exists}]}}\n");
        assert!(deep.unwrap_err().contains("operator.yaml: analyzer.pod.tolerations: "));
    }
}
