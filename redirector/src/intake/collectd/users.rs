//! Users and their passwords, as collectd's `AuthFile` lists them.

use std::{collections::HashMap, fmt};

use sha2::{Digest, Sha256};

/// Users by name.
#[derive(Clone, Default)]
pub(super) struct Users(HashMap<String, Secret>);

/// What a user shares with us.
#[derive(Clone)]
pub(super) struct Secret {
    /// The key of signatures.
    pub(super) password: String,
    /// The key of the cipher: the password's SHA-256.
    pub(super) cipher_key: [u8; 32],
}

impl Secret {
    pub(super) fn new(password: &str) -> Self {
        Self { password: password.to_owned(), cipher_key: Sha256::digest(password).into() }
    }
}

/// A line of the file that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadUser {
    #[error("line {0} is not `user: password`")]
    NoPassword(usize),
    #[error("line {line}: `{user}` has a line already")]
    Twice { line: usize, user: String },
}

impl Users {
    /// Reads lines `user: password`; empty ones and those that begin with `#` say nothing. Blanks before the password are no part of it,
    /// those after it are (as collectd has it).
    pub(super) fn parse(text: &str) -> Result<Self, BadUser> {
        let mut users = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_end_matches('\r').trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (user, password) = line
                .split_once(':')
                .map(|(user, password)| (user.trim_end(), password.trim_start()))
                .filter(|(user, password)| !user.is_empty() && !password.is_empty())
                .ok_or(BadUser::NoPassword(number))?;
            if users.insert(user.to_owned(), Secret::new(password)).is_some() {
                return Err(BadUser::Twice { line: number, user: user.to_owned() });
            }
        }
        Ok(Self(users))
    }

    pub(super) fn get(&self, user: &[u8]) -> Option<&Secret> {
        self.0.get(std::str::from_utf8(user).ok()?)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Names only: passwords are never shown.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_collectd_reads_them() {
        let users = Users::parse("# who may send\n\n  web-1: s3cret: with colon \r\ndb :x\n").unwrap();
        assert_eq!(users.len(), 2);
        assert_eq!(users.get(b"web-1").unwrap().password, "s3cret: with colon ");
        assert_eq!(users.get(b"db").unwrap().password, "x");
        assert!(users.get(b"DB").is_none() && users.get(b"\xff").is_none());
        assert!(!format!("{users:?}").contains("s3cret"), "passwords are never shown");
    }

    #[test]
    fn a_bad_line_is_named_without_what_it_says() {
        assert_eq!(Users::parse("a: b\nsecret\n").unwrap_err(), BadUser::NoPassword(2));
        assert_eq!(Users::parse("a:\n").unwrap_err(), BadUser::NoPassword(1));
        assert_eq!(Users::parse("a: b\na: c").unwrap_err(), BadUser::Twice { line: 2, user: "a".into() });
    }
}
