//! How mail leaves, by flags or by file.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use kinetic_alert::MailTransport;

/// How mail leaves.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct MailArgs {
    /// A mail server: smtp://[user:password@]host[:port] (STARTTLS where offered), or smtps:// for TLS from the start.
    #[arg(
        long,
        value_name = "URL",
        env = "KINETIC_SMTP",
        conflicts_with = "mail_dir",
        hide_env_values = true
    )]
    pub(crate) smtp: Option<String>,
    /// The sender's address.  [default: kinetic@localhost]
    #[arg(long, value_name = "ADDR", env = "KINETIC_MAIL_FROM")]
    pub(crate) mail_from: Option<String>,
    /// A folder that mails are written to as .eml files, where there is no mail server.  [default: mail/ in the data folder]
    #[arg(long, value_name = "DIR", env = "KINETIC_MAIL_DIR")]
    pub(crate) mail_dir: Option<PathBuf>,
}

/// The sender where none is named.
const DEFAULT_SENDER: &str = "kinetic@localhost";

/// The way out that the flags ask for: a server, a folder, or else `mail/` in the data folder.
pub(crate) fn transport(args: &MailArgs, data: &Path) -> anyhow::Result<MailTransport> {
    Ok(match (&args.smtp, &args.mail_dir) {
        (Some(url), _) => MailTransport::Smtp(url.parse().context("--smtp")?),
        (None, Some(folder)) => MailTransport::Folder(folder.clone()),
        (None, None) => MailTransport::Folder(data.join("mail")),
    })
}

/// The sender's address.
pub(crate) fn sender(args: &MailArgs) -> String {
    args.mail_from.clone().unwrap_or_else(|| DEFAULT_SENDER.to_owned())
}
