//! Who is let in.

use std::{fmt, str::FromStr};

use super::{AuthFile, users::Users};

/// What a packet must prove, as the `SecurityLevel` of collectd's network plugin has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Security {
    /// Nothing; what is signed or encrypted all the same must be so by a known user, where users are known.
    #[default]
    None,
    /// It is signed, or encrypted.
    Sign,
    /// It is encrypted.
    Encrypt,
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Sign => "sign",
            Self::Encrypt => "encrypt",
        })
    }
}

impl FromStr for Security {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::None, Self::Sign, Self::Encrypt]
            .into_iter()
            .find(|level| level.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("`{text}` is no security level: write none, sign or encrypt"))
    }
}

/// Lets packets in, or not: a level, and the users whose passwords are known.
#[derive(Debug)]
pub struct Guard {
    pub(super) security: Security,
    /// None: no passwords are known, and nobody's are asked for.
    file: Option<AuthFile>,
}

impl Guard {
    /// Lets in what says who it is by this file's passwords, or, with [`Security::None`], also what says nothing.
    #[must_use]
    pub fn new(security: Security, file: AuthFile) -> Self {
        Self { security, file: Some(file) }
    }

    /// Lets in anything that can be read: signatures are not checked, and what is encrypted is refused, since no password is known.
    #[must_use]
    pub fn open() -> Self {
        Self { security: Security::None, file: None }
    }

    /// The users as the file has them.
    pub(super) fn users(&self) -> Option<&Users> {
        self.file.as_ref().map(AuthFile::users)
    }

    /// Reads the file again if it has changed. A broken one changes nothing.
    pub(super) async fn refresh(&mut self) {
        let Some(file) = &mut self.file else { return };
        match file.refresh().await {
            Ok(false) => {}
            Ok(true) => {
                let path = file.path().display();
                tracing::info!(file = %path, users = file.users().len(), "collectd's users were read again");
            }
            Err(error) => tracing::warn!(%error, "collectd's users stay as they were"),
        }
    }
}
