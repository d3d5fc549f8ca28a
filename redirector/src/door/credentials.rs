//! As whom the front door logs in at a broker.

use std::{fmt, fs, io, path::Path};

use kinetic_api::role::Role;

/// As whom the front door logs in at a broker.
#[derive(Clone)]
pub enum Credentials {
    /// As the user of each role, whose password follows from a master key and its version.
    Roles {
        /// The key.
        master_key: Vec<u8>,
        /// Another version is another password.
        version: u32,
    },
    /// Always as this user, who must be allowed everything that anybody may do: for trials, where nobody makes users.
    One {
        /// Its name.
        user: String,
        /// Its password.
        password: String,
    },
}

/// Why a master key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("master key {0}: {1}")]
    Read(String, io::Error),
    /// It is too short to be one.
    #[error("master key {0}: has {1} bytes; make one of 32 or more, by `head -c 32 /dev/urandom`")]
    Short(String, usize),
}

impl Credentials {
    /// Reads a master key: all bytes of the file, of which there must be 32 or more.
    pub fn read(file: &Path, version: u32) -> Result<Self, CredentialsError> {
        let name = file.display().to_string();
        let master_key = fs::read(file).map_err(|error| CredentialsError::Read(name.clone(), error))?;
        if master_key.len() < 32 {
            return Err(CredentialsError::Short(name, master_key.len()));
        }
        Ok(Self::Roles { master_key, version })
    }

    /// User and password of a role on a vhost.
    #[must_use]
    pub fn of(&self, role: &Role, vhost: &str) -> (String, String) {
        match self {
            Self::Roles { master_key, version } => {
                (role.user(vhost), role.password(master_key, vhost, *version))
            }
            Self::One { user, password } => (user.clone(), password.clone()),
        }
    }
}

/// Without the secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roles { version, .. } => {
                formatter.debug_struct("Roles").field("version", version).finish_non_exhaustive()
            }
            Self::One { user, .. } => {
                formatter.debug_struct("One").field("user", user).finish_non_exhaustive()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_key_is_refused_and_none_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "short").unwrap();
        assert!(Credentials::read(&file, 1).unwrap_err().to_string().contains("5 bytes"));
        fs::write(&file, "k".repeat(32)).unwrap();
        let credentials = Credentials::read(&file, 1).unwrap();
        assert_eq!(credentials.of(&Role::Alert, "a.b.c").0, "a.b.c/alert");
        assert!(!format!("{credentials:?}").contains("kkk"));
    }
}
