//! A role's configuration file.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use kinetic_pki::TlsMetrics;
use kinetic_resources::Kind;
use serde::Deserialize;

use crate::{
    home::{Home, KubernetesConfig},
    listen::Listen,
    run::{
        broker::Broker,
        doors::{Addresses, DoorConfig, Doors, TlsConfig},
    },
};

/// What every role's file may say.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RoleConfig {
    /// The broker: `amqp://user:password@host:port`; with `tls`, a front door: `amqps://host:port`.
    amqp: Option<String>,
    /// The certificate to come to front doors with; the alert service's only.
    tls: Option<TlsConfig>,
    /// The front door of each placement, in place of `amqp`; the alert service's only.
    doors: Vec<DoorConfig>,
    /// Its management API, to make vhosts and retention policies.
    amqp_admin: Option<String>,
    /// Whether exchanges, queues and streams are made (true), or only checked and waited for: on Kubernetes the operator makes them.
    declare: Option<bool>,
    /// Files, or folders, that hold the resources; relative to the configuration file.
    files: Vec<PathBuf>,
    /// An API server in place of files; the alert service's only.
    kubernetes: Option<KubernetesConfig>,
    /// The folder for what must outlive the process; relative to the configuration file.
    data: Option<PathBuf>,
    /// Where /healthz, /readyz and /metrics are served.
    admin: Option<SocketAddr>,
    /// A file that says since when each analytic's findings are news, as JSON: names and times (RFC 3339); relative to the configuration file; the
    /// analyzer's only. Without it the data folder alone remembers.
    active_since: Option<PathBuf>,
    /// The Topology to run; the analyzer's only.
    topology: Option<String>,
    /// Files that describe collectd types, relative to the configuration file; the analyzer's only.
    types_db: Vec<PathBuf>,
    /// How mail leaves; the alert service's only.
    mail: MailConfig,
}

/// How mail leaves.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct MailConfig {
    pub(super) smtp: Option<String>,
    pub(super) from: Option<String>,
    pub(super) dir: Option<PathBuf>,
}

/// The flags that every role takes; each wins over the file.
#[derive(Clone, Debug, Args)]
pub(crate) struct RoleArgs {
    /// The configuration: a YAML file with amqp, amqpAdmin, declare, files, data, admin; topology and typesDb (analyzer); mail, kubernetes, doors and tls (alert).
    #[arg(long, value_name = "FILE", env = "KINETIC_CONFIG")]
    config: PathBuf,
    /// The broker, such as `amqp://user:password@host:5672`.
    #[arg(long, value_name = "URL", env = "KINETIC_AMQP", hide_env_values = true)]
    amqp: Option<String>,
    /// The folder for what must outlive the process.
    #[arg(long, value_name = "DIR", env = "KINETIC_DATA")]
    data: Option<PathBuf>,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, value_name = "ADDR|off", env = "KINETIC_ADMIN")]
    admin: Option<Listen>,
}

/// Who reads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Holds no credential of a customer's or a cluster's.
    Analyzer,
    /// Serves all customers.
    Alert,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Analyzer => "analyzer",
            Self::Alert => "alert",
        }
    }
}

/// How the customers' vhosts are reached.
#[derive(Clone, Debug)]
enum Upstream {
    Broker {
        amqp: String,
        admin: Option<String>,
        declare: bool,
    },
    /// Behind them the operator makes all objects.
    Doors {
        addresses: Addresses,
        tls: TlsConfig,
    },
}

/// A role's configuration, file and flags put together.
#[derive(Debug)]
pub(super) struct Settings {
    role: Role,
    upstream: Upstream,
    pub(super) home: Home,
    pub(super) data: PathBuf,
    pub(super) admin: Option<SocketAddr>,
    pub(super) active_since: Option<PathBuf>,
    pub(super) topology: Option<String>,
    pub(super) types_db: Vec<PathBuf>,
    pub(super) mail: MailConfig,
}

impl Settings {
    /// Reads the file and puts the flags over it.
    pub(super) fn read(args: RoleArgs, role: Role) -> anyhow::Result<Self> {
        let file = &args.config;
        let text = std::fs::read_to_string(file).with_context(|| format!("--config {}", file.display()))?;
        let config: RoleConfig = serde_saphyr::from_str(&text).with_context(|| file.display().to_string())?;
        let folder = file.parent().map(PathBuf::from).unwrap_or_default();
        let others = [
            ("tls", config.tls.is_some()),
            ("doors", !config.doors.is_empty()),
            ("kubernetes", config.kubernetes.is_some()),
        ];
        if let (Role::Analyzer, Some((field, _))) = (role, others.iter().find(|(_, set)| *set)) {
            bail!(
                "{}: {field}: an analyzer holds no credential: its sidecar has the certificate, and its resources are files; leave it out",
                file.display()
            );
        }
        let home = Home::of(file, &config.files, config.kubernetes, &Kind::ALL)?;
        let tls = config.tls.map(|TlsConfig { cert, key, ca }| TlsConfig {
            cert: folder.join(cert),
            key: folder.join(key),
            ca: folder.join(ca),
        });
        let declare = config.declare.unwrap_or(true);
        let upstream = upstream(args.amqp.or(config.amqp), config.amqp_admin, declare, &config.doors, tls)
            .with_context(|| file.display().to_string())?;
        let Some(data) = args.data.or(config.data.map(|data| folder.join(data))) else {
            bail!(
                "{}: data: name the folder for what must outlive the process, or give --data",
                file.display()
            );
        };
        let mail = MailConfig { dir: config.mail.dir.map(|dir| folder.join(dir)), ..config.mail };
        Ok(Self {
            role,
            upstream,
            home,
            data,
            admin: match args.admin {
                Some(Listen::At(address)) => Some(address),
                Some(Listen::Off) => None,
                None => config.admin,
            },
            active_since: config.active_since.map(|file| folder.join(file)),
            topology: config.topology,
            types_db: config.types_db.into_iter().map(|f| folder.join(f)).collect(),
            mail,
        })
    }

    /// The way to the customers' vhosts.
    pub(super) fn broker(&self, metrics: &TlsMetrics) -> anyhow::Result<Broker> {
        match &self.upstream {
            Upstream::Broker { amqp, admin, declare } => {
                let broker = Broker::new(Some(amqp), admin.as_deref(), self.role.as_str())?;
                Ok(if *declare { broker } else { broker.checking() })
            }
            Upstream::Doors { addresses, tls } => {
                Doors::new(addresses.clone(), tls, self.role.as_str(), metrics).map(Broker::Doors)
            }
        }
    }
}

fn upstream(
    amqp: Option<String>,
    admin: Option<String>,
    declare: bool,
    doors: &[DoorConfig],
    tls: Option<TlsConfig>,
) -> anyhow::Result<Upstream> {
    let addresses = match (amqp, doors, &tls) {
        (None, [], _) => bail!("amqp: a role alone needs a broker: set it, or --amqp, or KINETIC_AMQP"),
        (Some(_), [_, ..], _) => {
            bail!("amqp and doors: name one front door, or each placement's: leave out one of the two")
        }
        (Some(amqp), [], None) => return Ok(Upstream::Broker { amqp, admin, declare }),
        (Some(amqp), [], Some(_)) => Addresses::one(&amqp)?,
        (None, doors, _) => Addresses::by_placement(doors)?,
    };
    let Some(tls) = tls else { bail!("tls: front doors let in by certificate: name cert, key and ca") };
    if admin.is_some() {
        bail!("amqpAdmin: behind a front door the operator makes what is needed: leave it out");
    }
    Ok(Upstream::Doors { addresses, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(folder: &std::path::Path, text: &str) -> RoleArgs {
        let config = folder.join("role.yaml");
        std::fs::write(&config, text).unwrap();
        RoleArgs { config, amqp: None, data: None, admin: None }
    }

    #[test]
    fn flags_win_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut args = args(folder.path(), "amqp: amqp://a\nfiles: [r]\ndata: d\nadmin: 127.0.0.1:1\n");
        let amqp = |settings: &Settings| match &settings.upstream {
            Upstream::Broker { amqp, .. } => amqp.clone(),
            Upstream::Doors { .. } => "doors".to_owned(),
        };
        let settings = Settings::read(args.clone(), Role::Analyzer).unwrap();
        assert_eq!(amqp(&settings), "amqp://a");
        assert_eq!(settings.data, folder.path().join("d"));
        args.amqp = Some("amqp://b".into());
        args.admin = Some(Listen::Off);
        let settings = Settings::read(args, Role::Analyzer).unwrap();
        assert_eq!(amqp(&settings), "amqp://b");
        assert_eq!(settings.admin, None);
    }

    #[test]
    fn says_which_field_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        for (text, field) in [
            ("files: [r]\ndata: d\n", "amqp"),
            ("amqp: amqp://a\ndata: d\n", "files"),
            ("amqp: amqp://a\nfiles: [r]\n", "data"),
            ("amqp: amqp://a\nfils: [r]\n", "fils"),
            ("amqp: amqp://a\nkubernetes: {namespaces: []}\ndata: d\n", "kubernetes"),
            ("amqp: amqps://a\nfiles: [r]\ndata: d\ntls: {cert: a, key: b, ca: c}\n", "tls"),
        ] {
            let error =
                format!("{:#}", Settings::read(args(folder.path(), text), Role::Analyzer).unwrap_err());
            assert!(error.contains(field) && error.contains("role.yaml"), "{error}");
        }
    }

    #[test]
    fn the_alert_service_comes_to_front_doors_with_its_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let tls = "data: d\ntls: {cert: a, key: b, ca: c}\n";
        let door = "doors: [{region: us-west, provider: aws, amqp: 'amqps://a'}]\n";
        let read = |text: &str| Settings::read(args(folder.path(), text), Role::Alert);
        let settings = read(&format!("kubernetes: {{namespaces: [shops]}}\n{door}{tls}")).unwrap();
        assert!(settings.home.is_cluster());
        let Upstream::Doors { tls: found, .. } = &settings.upstream else { panic!("{settings:?}") };
        assert_eq!(found.cert, folder.path().join("a"));
        for (text, says) in [
            (format!("kubernetes: {{}}\n{door}data: d\n"), "tls: front doors"),
            (format!("kubernetes: {{}}\namqp: amqps://b\n{door}{tls}"), "amqp and doors"),
            (format!("kubernetes: {{}}\namqp: 'amqps://user:word@b'\n{tls}"), "amqp: `amqps://"),
            (format!("kubernetes: {{}}\namqpAdmin: http://b\n{door}{tls}"), "amqpAdmin"),
            (format!("kubernetes: {{}}\nfiles: [r]\n{door}{tls}"), "files and kubernetes"),
            (format!("kubernetes: {{namespace: a}}\n{door}{tls}"), "namespace"),
        ] {
            let error = format!("{:#}", read(&text).unwrap_err());
            assert!(error.contains(says) && error.contains("role.yaml"), "{error}");
        }
    }
}
