//! What an attempt to deliver met, and whether another one can help.

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The next attempt may do better: nobody there, too slow, greylisted.
    Temporary(String),
    /// The next attempt does better once a person has set things right: a wrong password.
    Configuration(String),
    /// Refused for good: there is no next attempt.
    Permanent(String),
}

impl Failure {
    /// What happened: the server's own text where it gave one.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Temporary(text) | Self::Configuration(text) | Self::Permanent(text) => text,
        }
    }
}
