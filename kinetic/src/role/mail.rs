//! How mail leaves, by flags or by file.

use std::path::Path;

use anyhow::Context;
use kinetic_alert::MailTransport;

use crate::cli::MailArgs;

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
