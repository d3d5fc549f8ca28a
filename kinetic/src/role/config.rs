//! A role's configuration file.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;

use crate::{listen::Listen, run::broker::Broker};

/// What every role's file may say.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RoleConfig {
    /// The broker: `amqp://user:password@host:port`.
    amqp: Option<String>,
    /// Its management API, to make vhosts and retention policies.
    amqp_admin: Option<String>,
    /// Whether exchanges, queues and streams are made (true), or only checked and waited for: on Kubernetes the operator makes them.
    declare: Option<bool>,
    /// Files, or folders, that hold the resources; relative to the configuration file.
    files: Vec<PathBuf>,
    /// The folder for what must outlive the process; relative to the configuration file.
    data: Option<PathBuf>,
    /// Where /healthz, /readyz and /metrics are served.
    admin: Option<SocketAddr>,
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
    /// The configuration: a YAML file with amqp, amqpAdmin, declare, files, data, admin, and topology and typesDb (analyzer) or mail (alert).
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

/// A role's configuration, file and flags put together.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) amqp: String,
    pub(super) amqp_admin: Option<String>,
    pub(super) declare: bool,
    pub(super) files: Vec<PathBuf>,
    pub(super) data: PathBuf,
    pub(super) admin: Option<SocketAddr>,
    pub(super) topology: Option<String>,
    pub(super) types_db: Vec<PathBuf>,
    pub(super) mail: MailConfig,
}

impl Settings {
    /// The broker, as this role comes to it.
    pub(super) fn broker(&self, role: &'static str) -> anyhow::Result<Broker> {
        let broker = Broker::new(Some(&self.amqp), self.amqp_admin.as_deref(), role)?;
        Ok(if self.declare { broker } else { broker.checking() })
    }

    /// Reads the file and puts the flags over it.
    pub(super) fn read(args: RoleArgs) -> anyhow::Result<Self> {
        let file = &args.config;
        let text = std::fs::read_to_string(file).with_context(|| format!("--config {}", file.display()))?;
        let config: RoleConfig = serde_saphyr::from_str(&text).with_context(|| file.display().to_string())?;
        let folder = file.parent().map(PathBuf::from).unwrap_or_default();
        let Some(amqp) = args.amqp.or(config.amqp) else {
            bail!(
                "{}: amqp: a role alone needs a broker: set it, or --amqp, or KINETIC_AMQP",
                file.display()
            );
        };
        if config.files.is_empty() {
            bail!("{}: files: name the files or folders that hold the resources", file.display());
        }
        let Some(data) = args.data.or(config.data.map(|data| folder.join(data))) else {
            bail!(
                "{}: data: name the folder for what must outlive the process, or give --data",
                file.display()
            );
        };
        let mail = MailConfig { dir: config.mail.dir.map(|dir| folder.join(dir)), ..config.mail };
        Ok(Self {
            amqp,
            amqp_admin: config.amqp_admin,
            declare: config.declare.unwrap_or(true),
            files: config.files.into_iter().map(|f| folder.join(f)).collect(),
            data,
            admin: match args.admin {
                Some(Listen::At(address)) => Some(address),
                Some(Listen::Off) => None,
                None => config.admin,
            },
            topology: config.topology,
            types_db: config.types_db.into_iter().map(|f| folder.join(f)).collect(),
            mail,
        })
    }
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
        let settings = Settings::read(args.clone()).unwrap();
        assert_eq!(settings.amqp, "amqp://a");
        assert_eq!(settings.data, folder.path().join("d"));
        args.amqp = Some("amqp://b".into());
        args.admin = Some(Listen::Off);
        let settings = Settings::read(args).unwrap();
        assert_eq!(settings.amqp, "amqp://b");
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
        ] {
            let error = format!("{:#}", Settings::read(args(folder.path(), text)).unwrap_err());
            assert!(error.contains(field) && error.contains("role.yaml"), "{error}");
        }
    }
}
